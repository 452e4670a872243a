"""What is known of a network that is shipped, beside its files, and the licenses of the data it was trained on."""

from dataclasses import dataclass

DATA_LICENSES = {
    "fashion_mnist": "Fashion-MNIST, MIT License (Zalando SE)",
    "cifar10": "CIFAR-10 (Krizhevsky 2009), no license stated by its authors",
    "bp4d": (
        "BP4D-Spontaneous (Zhang et al. 2014), licensed by Binghamton University for research only, or another data set in its "
        "folder layout; what is trained on such data inherits their terms"
    ),
    "synthetic_faces": "rendered by this project from MakeHuman and Face Units assets (CC0 1.0); no person is shown",
}


@dataclass(frozen=True)
class Shipment:
    """What the sidecar says beside the files."""

    name: str
    task: str
    labels: tuple[str, ...]
    image_shape: tuple[int, ...]
    crop: dict | None
    metric: str
    validation_metric: str
    data: str
    noise: dict
    methods: list[dict]
    io: str
    seed: int
    fold: int | None
    config_hash: str

    @classmethod
    def of(cls, experiment, workload, unit, config_hash: str) -> "Shipment":
        """The shipment of one unit (seed and fold) of an experiment on a `Workload`."""
        return cls(
            experiment.name,
            workload.task_name,
            workload.labels(),
            workload.image_shape(),
            workload.crop(),
            workload.metric_name,
            workload.validation_metric,
            experiment.data.name,
            experiment.noise.model_dump(),
            [method.model_dump() for method in experiment.methods],
            experiment.convert.io,
            unit.seed,
            unit.fold,
            config_hash,
        )
