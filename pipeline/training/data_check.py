"""Whether the data suffice for every training of an experiment, which a dry run with a few of them cannot notice."""

from pipeline.config import Experiment
from pipeline.data.settings import MAX_FRAME_STEP
from pipeline.training.faces import Faces
from pipeline.training.images import Images
from pipeline.training.replicas import check_share

STEPS = (MAX_FRAME_STEP, 1024, 256, 64, 16, 4, 1)  # between the frames of a sequence


def check_data(experiment: Experiment, small: Experiment) -> Experiment:
    """Make the data of every seed and fold, as the real run does, but for the images of faces.

    Returns `small`, the dry run of `experiment`, asking for no more than there is.

    Raises:
        UserError: data that are missing or damaged, fewer examples than the configuration asks for, a part without
            examples, nothing to learn, or batches too small for the replicas.
    """
    is_faces = experiment.data.task == "multilabel"
    workload = Faces.listed(experiment) if is_faces else Images.load(experiment)
    for training in workload.trainings():
        data = workload.training_data(training)
        workload.task(data)
        check_share(min(experiment.train.batch_size, len(data.train_labels)), experiment.train.replicas)
    return _with_positives(small) if is_faces else _no_larger(small, workload)


def _no_larger(small: Experiment, images: Images) -> Experiment:
    data, there = small.data, {"train_examples": len(images.train), "test_examples": len(images.test)}
    return _with_data(small, **{key: min(getattr(data, key), count) for key, count in there.items()})


def _with_positives(small: Experiment) -> Experiment:
    """With more frames of each sequence, if no action unit is present in the first ones."""
    if small.data.rendered:
        return small
    return next(filter(_has_positives, (_with_data(small, frame_step=step) for step in STEPS)), small)


def _has_positives(experiment: Experiment) -> bool:
    faces = Faces.listed(experiment)
    return bool((faces.training_data(faces.trainings()[0]).train_labels == 1).any())


def _with_data(experiment: Experiment, **changes: int) -> Experiment:
    return experiment.model_copy(update={"data": experiment.data.model_copy(update=changes)})
