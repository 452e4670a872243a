"""What an experiment is made of, by kind of data: images with a class each, or faces with action units."""

from pipeline.config_schema import FaceData


def load_workload(experiment, terminal):
    """The `Workload` of an experiment, with its data loaded; progress of long preparations goes to `terminal`.

    Raises UserError for data that are missing or damaged.
    """
    if isinstance(experiment.data, FaceData):
        from pipeline.workloads.faces import Faces

        return Faces.load(experiment, terminal)
    from pipeline.workloads.images import Images

    return Images.load(experiment)
