"""The configuration sections of data sets and label noise: their fields, and the facts that other stages ask for."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self, get_args

from pydantic import Field, FiniteFloat

from pipeline.action_units.labels import AU_NUMBERS
from pipeline.data.prepared import bp4d_folder, tfds_folder
from pipeline.settings import Conflict, Count, Section, Seed, Share, repeated

BP4D_PARTS = 3
MAX_FRAME_STEP = 10**9
DRY_RUN_IMAGES = 32
DRY_RUN_FACES = 8  # large crops through a large encoder need gigabytes


class Data(Section):
    """The facts about a data set that other stages ask for."""

    task: ClassVar[Literal["multiclass", "multilabel"]]
    validation_metric: ClassVar[Literal["val_accuracy", "val_f1"]]
    network: ClassVar[str]  # the name of the model section that fits
    noise_kinds: ClassVar[tuple[str, ...]]
    truth_known: ClassVar[bool] = True  # whether the labels before any noise are the truth
    license: ClassVar[str]
    limits: ClassVar[str]  # what a network trained on it is not for
    max_dry_run_batch: ClassVar[int | None] = None
    au_names: ClassVar[tuple[str, ...]] = ()  # such as AU1, AU2

    def caches(self) -> tuple[Path, ...]:
        """The folders that a run writes besides its own."""
        return ()

    def unknown_aus(self, names: Iterable[str]) -> list[str]:
        """The ones of `names` that are neither an action unit of the data nor `default`; [] for classes."""
        allowed = {*self.au_names, "default"}
        return [name for name in names if self.au_names and name not in allowed]


class ImageData(Data):
    """What the image sets have in common."""

    task = "multiclass"
    validation_metric = "val_accuracy"
    network = "resnet20"
    noise_kinds = ("none", "uniform", "pair_flip", "matrix")
    limits = (
        "trained on small images of one data set, possibly with label noise added on purpose; for comparing methods, not "
        "for decisions about people or things."
    )
    classes: ClassVar[int] = 10

    name: str
    root: str | None = Field(
        None, min_length=1, description="Folder with the original files; null searches the usual places."
    )
    train_examples: Count | None = Field(
        None, description="Training images used, a random subset that is the same for all seeds; null uses all."
    )
    test_examples: Count | None = Field(None, description="Test images used, from the first; null uses all.")
    val_fraction: FiniteFloat = Field(0.1, ge=0, le=0.5, description="Share of the training images held out.")
    augment: bool = Field(False, description="Flip images and crop them after padding by 4 pixels.")

    def small(self, batch_size: int) -> Self:
        """One batch of training images and a few test images."""
        needed = int(batch_size / (1 - self.val_fraction)) + 1
        if self.val_fraction:
            needed = max(needed, math.ceil(1 / self.val_fraction))
        return self.model_copy(update={"train_examples": needed, "test_examples": DRY_RUN_IMAGES})


class FashionMnist(ImageData):
    """Fashion-MNIST: 28x28 grey images of 10 kinds of clothing."""

    license = "Fashion-MNIST, MIT License (Zalando SE)"

    name: Literal["fashion_mnist"] = Field("fashion_mnist", description="The data set.")


class Cifar10(ImageData):
    """CIFAR-10: 32x32 colour images of 10 classes."""

    license = "CIFAR-10 (Krizhevsky 2009), no license stated by its authors"

    name: Literal["cifar10"] = Field("cifar10", description="The data set.")
    augment: bool = Field(True, description="Flip images and crop them after padding by 4 pixels.")


class FaceCrop(Section):
    """How a face is cut out: a square with the eyes level, sized by the distance between the eyes."""

    side: FiniteFloat = Field(3.2, ge=1.5, le=10, description="Side of the square in distances between the eyes.")
    eye_line: Share = Field(0.38, description="Height of the eyes in the crop, as a share from its top.")
    detector: bool = Field(True, description="Detect the face where neither landmarks nor a box are given.")


class FaceAugmentation(Section):
    """Random changes of the training faces, different in every epoch."""

    flip: bool = Field(True, description="Mirror every other image.")
    rotation: FiniteFloat = Field(10.0, ge=0, le=90, description="Largest rotation in degrees, either way.")
    zoom: FiniteFloat = Field(0.1, ge=0, lt=1, description="Largest change of size as a share, either way.")
    shift: FiniteFloat = Field(0.05, ge=0, le=0.5, description="Largest shift as a share of the side, either way.")


class FaceData(Data):
    """What the sets of faces with action units have in common."""

    task = "multilabel"
    validation_metric = "val_f1"
    network = "au_network"
    noise_kinds = ("none", "per_label", "annotators")
    rendered: ClassVar[bool] = False  # made by this project on first use
    max_dry_run_batch = DRY_RUN_FACES

    name: str
    root: str | None = Field(None, min_length=1, description="Folder of the data set; null searches the usual place.")
    aus: list[Annotated[int, Field(ge=1, le=70)]] = Field(
        list(AU_NUMBERS), min_length=1, description="The action units that are learned, by number."
    )
    image_size: int = Field(64, ge=24, le=512, description="Side of the square crops in pixels.")
    grey: bool = Field(False, description="One grey channel instead of three colours.")
    crop: FaceCrop = Field(FaceCrop(), description="How faces are cut out.")
    frame_step: int = Field(1, ge=1, le=MAX_FRAME_STEP, description="Take every n-th coded frame of a sequence.")
    max_missing: Share = Field(0.05, description="Largest share of the coded frames that may lack a readable image.")
    parts: list[Annotated[list[str], Field(min_length=1)]] | None = Field(
        None, min_length=2, description="Subjects of every part; null takes BP4D's three."
    )
    folds: list[Count] = Field([1], min_length=1, description="Parts that are tested on, one training each.")
    val_fraction: FiniteFloat = Field(0.15, ge=0, le=0.5, description="Share of the training subjects held out.")
    train_examples: Count | None = Field(
        None, description="Training images used, a random subset that is the same for all seeds; null uses all."
    )
    test_examples: Count | None = Field(
        None, description="Images used of the validation and the test part each, evenly spaced; null uses all."
    )
    augment: FaceAugmentation | None = Field(FaceAugmentation(), description="Random changes of images; null: none.")

    @property
    def au_names(self) -> tuple[str, ...]:
        """Such as ("AU1", "AU2")."""
        return tuple(f"AU{number}" for number in self.aus)

    def conflicts(self) -> Iterator[Conflict]:
        """Repeated action units and folds, folds that do not exist, and subjects in two parts."""
        yield from repeated("aus", "action unit", self.aus)
        yield from repeated("folds", "fold", self.folds)
        count, first = len(self.parts) if self.parts else BP4D_PARTS, {}
        for index, fold in enumerate(self.folds):
            if fold > count:
                message = f"there are {count} parts to test on, so a fold is 1 to {count}"
                yield Conflict(("folds", index), message, (("parts",),))
        for index, part in enumerate(self.parts or ()):
            for subject in part:
                if subject in first:
                    message = f"subject {subject!r} is in part {first[subject] + 1} already. Leave it in one part only"
                    yield Conflict(("parts", index), message, (("parts", first[subject]),))
                first.setdefault(subject, index)

    def caches(self) -> tuple[Path, ...]:
        """TFDS's, for the face crops."""
        return (tfds_folder(),)

    def small(self, batch_size: int) -> Self:
        """One fold with a few test faces."""
        fewer = {"folds": self.folds[:1], "train_examples": None, "test_examples": DRY_RUN_FACES}
        return self.model_copy(update=fewer)


class Bp4d(FaceData):
    """BP4D-Spontaneous, or any folder in its layout."""

    truth_known = False
    license = (
        "BP4D-Spontaneous (Zhang et al. 2014), licensed by Binghamton University for research only, or another data set "
        "in its folder layout; what is trained on such data inherits their terms"
    )
    limits = (
        "trained on few people filmed in one setting (BP4D: 41 young adults in one laboratory); other ages, head poses, "
        "lighting and cameras were not seen. Scores describe muscle movements, not what a person feels. The terms of the "
        "data apply."
    )

    name: Literal["bp4d"] = Field("bp4d", description="The data set.")
    frame_offset: int = Field(
        0, ge=-(10**9), le=10**9, description="Number of a frame's image minus the frame's number in the CSV."
    )

    def small(self, batch_size: int) -> Self:
        """One frame of every sequence, still read from where the data are while caches lie elsewhere."""
        root = self.root or str(bp4d_folder())
        one_frame = {"frame_step": MAX_FRAME_STEP, "max_missing": 1.0, "root": root}
        return super().small(batch_size).model_copy(update=one_frame)


class SyntheticFaces(FaceData):
    """Rendered faces with known action units, rendered on first use in BP4D's layout."""

    rendered = True
    license = "rendered by this project from MakeHuman and Face Units assets (CC0 1.0); no person is shown"
    limits = (
        "trained and tested on RENDERED faces, not on people. How well it works on photographs has not been measured; it "
        "shows how methods compare and how a network is shipped. The action units are combinations of face shapes, not "
        "certified by FACS coders. Not for decisions about people."
    )

    name: Literal["synthetic_faces"] = Field("synthetic_faces", description="The data set.")
    subjects: int = Field(41, ge=6, le=41, description="Subjects rendered, spread over BP4D's parts.")
    frames: Count = Field(40, description="Frames rendered of each of a subject's 8 sequences.")
    render_size: int = Field(96, ge=48, le=512, description="Side of the rendered frames in pixels.")
    render_seed: Seed = Field(0, description="Seed of identities, expressions, poses and light.")

    def conflicts(self) -> Iterator[Conflict]:
        """Also action units that are not rendered."""
        yield from super().conflicts()
        for index, number in enumerate(self.aus):
            if number not in AU_NUMBERS:
                message = f"AU{number} is not rendered. Choose from {', '.join(map(str, AU_NUMBERS))}"
                yield Conflict(("aus", index), message)

    def small(self, batch_size: int) -> Self:
        """One rendered frame of every sequence."""
        return super().small(batch_size).model_copy(update={"frames": 1, "root": None})


AnyData = Annotated[FashionMnist | Cifar10 | Bp4d | SyntheticFaces, Field(discriminator="name")]
DATA_SETS: dict[str, type[Data]] = {kind.model_fields["name"].default: kind for kind in get_args(get_args(AnyData)[0])}


class NoNoise(Section):
    """Labels as they are."""

    kind: Literal["none"] = Field("none", description="The kind of label noise.")


class UniformNoise(Section):
    """A share of the labels is resampled uniformly over all classes, the true one included."""

    kind: Literal["uniform"] = Field("uniform", description="The kind of label noise.")
    rate: Share = Field(description="Share of the training labels that are resampled.")


class PairFlipNoise(Section):
    """A share of the labels moves to the next class."""

    kind: Literal["pair_flip"] = Field("pair_flip", description="The kind of label noise.")
    rate: Share = Field(description="Share of the training labels that move to the next class.")


class MatrixNoise(Section):
    """Labels follow a full transition matrix."""

    kind: Literal["matrix"] = Field("matrix", description="The kind of label noise.")
    matrix: list[list[Share]] = Field(
        description="K x K, P(label = row | true label = column): every column sums to 1 (cleanlab's convention)."
    )


class PerLabelNoise(Section):
    """A share of each action unit's labels is flipped, independently per action unit."""

    kind: Literal["per_label"] = Field("per_label", description="The kind of label noise.")
    rates: dict[str, Share] = Field(
        min_length=1, description="Share of flipped labels by action unit, such as {AU12: 0.05, default: 0.1}."
    )


class AnnotatorNoise(Section):
    """Typical annotator errors: shifted onsets and offsets, missed and spurious events."""

    kind: Literal["annotators"] = Field("annotators", description="The kind of label noise.")
    strength: FiniteFloat = Field(1.0, ge=0, le=5, description="0: no errors, 1: realistic, above 1: worse.")


AnyNoise = Annotated[
    NoNoise | UniformNoise | PairFlipNoise | MatrixNoise | PerLabelNoise | AnnotatorNoise, Field(discriminator="kind")
]
