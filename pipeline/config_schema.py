"""The schema of an experiment: every section, its fields, ranges and defaults."""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat
from pydantic_core import PydanticCustomError

from pipeline.data.au_set import AU_NUMBERS
from pipeline.methods import AnyMethod

NAME_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$"
OPTIMIZER_ONLY = {"momentum": "sgd", "weight_decay": "adamw"}

Share = Annotated[FiniteFloat, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]


class Section(BaseModel):
    """A strict, frozen part of the configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ImageData(Section):
    """What the image sets have in common."""

    classes: ClassVar[int] = 10

    name: str
    root: str | None = Field(None, min_length=1, description="Folder with the original files; null looks elsewhere.")
    train_examples: Count | None = Field(
        None, description="Training images used, chosen at random once for all seeds; null uses all."
    )
    test_examples: Count | None = Field(None, description="Test images used, from the first; null uses all.")
    val_fraction: FiniteFloat = Field(0.1, ge=0, le=0.5, description="Share of the training images held out.")


class FashionMnist(ImageData):
    """Fashion-MNIST: 28x28 grey images of 10 kinds of clothing."""

    name: Literal["fashion_mnist"] = Field("fashion_mnist", description="The data set.")
    augment: bool = Field(False, description="Flip images and crop them after padding by 4 pixels.")


class Cifar10(ImageData):
    """CIFAR-10: 32x32 colour images of 10 kinds of things."""

    name: Literal["cifar10"] = Field("cifar10", description="The data set.")
    augment: bool = Field(True, description="Flip images and crop them after padding by 4 pixels.")


class FaceCrop(Section):
    """How a face is cut out: the eyes level, a square of some eye distances."""

    side: FiniteFloat = Field(3.2, ge=1.5, le=10, description="Side of the square in distances between the eyes.")
    eye_line: Share = Field(0.38, description="Height of the eyes in the crop, as a share from its top.")
    detector: bool = Field(True, description="Look for the face where neither landmarks nor a box are given.")


class FaceAugmentation(Section):
    """Random changes of the training faces, drawn anew every epoch."""

    flip: bool = Field(True, description="Mirror every other image.")
    rotation: FiniteFloat = Field(10.0, ge=0, le=90, description="Largest rotation in degrees, either way.")
    zoom: FiniteFloat = Field(0.1, ge=0, lt=1, description="Largest change of size as a share, either way.")
    shift: FiniteFloat = Field(0.05, ge=0, le=0.5, description="Largest shift as a share of the side, either way.")


def _some_aus(aus: list[int]) -> list[int]:
    """`aus` itself if every number occurs once and is one of FACS's action units."""
    if len(set(aus)) < len(aus):
        raise PydanticCustomError("au_twice", "a list without repetitions")
    return aus


class FaceData(Section):
    """What the sets of faces with action units have in common."""

    name: str
    root: str | None = Field(None, min_length=1, description="Folder of the data set; null looks in the usual place.")
    aus: Annotated[list[Annotated[int, Field(ge=1, le=70)]], AfterValidator(_some_aus)] = Field(
        list(AU_NUMBERS), min_length=1, description="The action units that are learned, by number."
    )
    image_size: int = Field(64, ge=24, le=512, description="Side of the square crops in pixels.")
    grey: bool = Field(False, description="One grey channel instead of three colours.")
    crop: FaceCrop = Field(FaceCrop(), description="How faces are cut out.")
    frame_step: int = Field(1, ge=1, le=10**9, description="Take every n-th coded frame of a sequence.")
    max_missing: Share = Field(0.05, description="Largest share of the coded frames that may lack a readable image.")
    parts: list[Annotated[list[str], Field(min_length=1)]] | None = Field(
        None, min_length=2, description="Subjects of every part; null takes BP4D's three."
    )
    folds: list[Count] = Field([1], min_length=1, description="Parts that are tested on, one training each.")
    val_fraction: FiniteFloat = Field(0.15, ge=0, le=0.5, description="Share of the training subjects held out.")
    train_examples: Count | None = Field(
        None, description="Training images used, chosen at random once for all seeds; null uses all."
    )
    test_examples: Count | None = Field(
        None, description="Images used of the validation and the test part each, evenly spaced; null uses all."
    )
    augment: FaceAugmentation | None = Field(FaceAugmentation(), description="Random changes of images; null: none.")

    @property
    def au_names(self) -> tuple[str, ...]:
        """Such as ("AU1", "AU2")."""
        return tuple(f"AU{number}" for number in self.aus)


class Bp4d(FaceData):
    """BP4D-Spontaneous, or any folder in its layout."""

    name: Literal["bp4d"] = Field("bp4d", description="The data set.")
    frame_offset: int = Field(
        0, ge=-(10**9), le=10**9, description="Number of a frame's image minus the frame's number in the CSV."
    )


class SyntheticFaces(FaceData):
    """Rendered faces with known action units, made on the spot in BP4D's layout."""

    name: Literal["synthetic_faces"] = Field("synthetic_faces", description="The data set.")
    subjects: int = Field(41, ge=6, le=41, description="Subjects rendered, spread over BP4D's parts.")
    frames: Count = Field(40, description="Frames rendered of each of a subject's 8 sequences.")
    render_size: int = Field(96, ge=48, le=512, description="Side of the rendered frames in pixels.")
    render_seed: Seed = Field(0, description="Seed of identities, expressions, poses and light.")


AnyData = Annotated[FashionMnist | Cifar10 | Bp4d | SyntheticFaces, Field(discriminator="name")]


class NoNoise(Section):
    """Labels as they are."""

    kind: Literal["none"] = Field("none", description="The kind of label noise.")


class UniformNoise(Section):
    """A share of the labels is drawn again over all classes, the true one included."""

    kind: Literal["uniform"] = Field("uniform", description="The kind of label noise.")
    rate: Share = Field(description="Share of the training labels that are drawn again.")


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
    """A share of each action unit's labels is turned round, each for itself."""

    kind: Literal["per_label"] = Field("per_label", description="The kind of label noise.")
    rates: dict[str, Share] = Field(
        min_length=1, description="Share of the labels turned round by action unit, such as {AU12: 0.05, default: 0.1}."
    )


class AnnotatorNoise(Section):
    """What annotators get wrong: shifted onsets and offsets, bouts missed and invented."""

    kind: Literal["annotators"] = Field("annotators", description="The kind of label noise.")
    strength: FiniteFloat = Field(1.0, ge=0, le=5, description="0: no error, 1: as in life, more: worse.")


AnyNoise = Annotated[
    NoNoise | UniformNoise | PairFlipNoise | MatrixNoise | PerLabelNoise | AnnotatorNoise, Field(discriminator="kind")
]
IMAGE_NOISE, AU_NOISE = (UniformNoise, PairFlipNoise, MatrixNoise), (PerLabelNoise, AnnotatorNoise)


def _resnet_depth(depth: int) -> int:
    """`depth` itself if it is 6n + 2 with n >= 1 (He et al. 2015, section 4.2)."""
    if depth < 8 or depth % 6 != 2:
        raise PydanticCustomError("resnet_depth", "6n + 2, such as 8, 14, 20, 32, 44 or 56")
    return depth


class ResNet20(Section):
    """The residual network of He et al. for CIFAR-10."""

    name: Literal["resnet20"] = Field("resnet20", description="The network.")
    depth: Annotated[int, AfterValidator(_resnet_depth)] = Field(20, description="Layers with weights: 6n + 2.")
    width: int = Field(16, ge=1, le=256, description="Filters of the first stage; the others have 2 and 4 times more.")
    shortcut: Literal["identity", "projection"] = Field(
        "identity", description="Shortcut where the size changes: subsample and pad, or a 1x1 convolution."
    )


class AuNetwork(Section):
    """An encoder with a head for every action unit."""

    name: Literal["au_network"] = Field("au_network", description="The network.")
    encoder: Literal["small_resnet", "mobilenet_v2", "inception_v3"] = Field(
        "small_resnet", description="What turns a face into features."
    )
    weights: str = Field(
        "none", min_length=1, description="First weights of the encoder: none, imagenet, or a file of Keras weights."
    )
    pooling: Literal["avg", "max"] = Field("avg", description="How features are pooled over the image.")
    heads: Literal["common", "per_au"] = Field("per_au", description="One stack of dense layers for all AUs, or each.")
    head_units: int = Field(64, ge=1, le=1024, description="Units of the two hidden layers of a head.")
    width: int = Field(
        16, ge=1, le=256, description="Filters of small_resnet's first stage; others have 2 and 4 times."
    )
    depth: Annotated[int, AfterValidator(_resnet_depth)] = Field(8, description="Layers of small_resnet: 6n + 2.")
    alpha: FiniteFloat = Field(1.0, gt=0, le=2, description="Factor on the filters of mobilenet_v2.")


AnyModel = Annotated[ResNet20 | AuNetwork, Field(discriminator="name")]


class ConstantSchedule(Section):
    """The learning rate stays."""

    kind: Literal["constant"] = Field("constant", description="The kind of schedule.")


class CosineSchedule(Section):
    """The learning rate falls as half a cosine over the epochs."""

    kind: Literal["cosine"] = Field("cosine", description="The kind of schedule.")
    final: Share = Field(0.0, description="Last rate as a share of the first.")


class StepSchedule(Section):
    """The learning rate is multiplied by a factor every few epochs."""

    kind: Literal["step"] = Field("step", description="The kind of schedule.")
    every: Count = Field(description="Epochs between two steps.")
    factor: FiniteFloat = Field(gt=0, le=1, description="Factor of each step.")


class ExponentialSchedule(Section):
    """The learning rate is multiplied by a factor every epoch."""

    kind: Literal["exponential"] = Field("exponential", description="The kind of schedule.")
    factor: FiniteFloat = Field(gt=0, le=1, description="Factor of each epoch.")


AnySchedule = Annotated[
    ConstantSchedule | CosineSchedule | StepSchedule | ExponentialSchedule, Field(discriminator="kind")
]


class Loss(Section):
    """The loss of a network with one logit an action unit."""

    class_weights: Literal["inverse_frequency", "none"] = Field(
        "inverse_frequency", description="Weight of each AU's cross entropy: by 1 / base rate, or equal."
    )
    dice: FiniteFloat = Field(0.0, ge=0, le=10, description="Weight of a soft Dice loss beside the cross entropy.")


class Train(Section):
    """How the network is trained; the same for every method."""

    epochs: Count = Field(30, description="Passes over the training images.")
    batch_size: Count = Field(128, description="Images in a training step.")
    replicas: Count = Field(
        1,
        exclude_if=lambda count: count == 1,  # any other count gives slightly other numbers, so it is another run
        description="Devices that share every batch: GPUs, or for a rehearsal logical CPU devices; divides batch_size.",
    )
    optimizer: Literal["adam", "adamw", "sgd"] = Field("adam", description="The optimizer.")
    learning_rate: FiniteFloat = Field(1e-3, gt=0, description="First learning rate.")
    momentum: FiniteFloat = Field(0.9, ge=0, lt=1, description="Momentum of sgd; for no other optimizer.")
    weight_decay: FiniteFloat = Field(0.0, ge=0, description="Decoupled decay of adamw; for no other optimizer.")
    schedule: AnySchedule = Field(ConstantSchedule(), description="How the learning rate changes over the epochs.")
    statistics: Literal["reestimate", "moving"] = Field(
        "reestimate", description="Statistics of batch norm and activations: anew from training batches, or moving."
    )
    statistics_batches: Count = Field(32, description="Training batches of a re-estimation.")
    batch_norm_momentum: Annotated[FiniteFloat, Field(ge=0, lt=1)] | Literal["auto"] = Field(
        "auto", description="Momentum of the moving averages; auto suits the steps of an epoch."
    )
    log_both_statistics: bool = Field(False, description="Evaluate with both kinds of statistics.")
    evaluate_every: Count = Field(1, description="Epochs between two evaluations.")
    evaluate_train_examples: Count | None = Field(
        None, description="Training images in an evaluation, evenly spaced; null takes all."
    )
    checkpoint_minutes: FiniteFloat = Field(10.0, ge=0, description="Minutes between two checkpoints.")


class Convert(Section):
    """Which TFLite files are written, and how."""

    int8: bool = Field(True, description="Write model_int8.tflite, the fast one.")
    int4: bool = Field(True, description="Write model_int4.tflite, the small one.")
    float32: bool = Field(True, description="Write model_float32.tflite to compare with.")
    per_channel_dense: bool = Field(True, description="One weight scale per output of a dense layer, else one in all.")
    io: Literal["float32", "int8"] = Field("float32", description="Type of the network's input and output.")
    weight_storage: Literal["narrow", "scaled"] = Field(
        "narrow", description="4-bit codes in int8 as they are (-7..7), or spread over the int8 range."
    )


class Verify(Section):
    """How the TFLite files are checked, and the limits they must keep."""

    examples: Count | None = Field(None, description="Test images compared; null takes all.")
    code_mismatch: Share = Field(0.0, description="Largest share of output codes that may differ.")
    decision_agreement: Share = Field(0.999, description="Smallest share of equal decisions, evaluation against file.")
    fake_quant_agreement: Share = Field(
        0.99, description="The same for Keras's float training graph, which shares nothing with the file's numbers."
    )
    metric_delta: FiniteFloat = Field(0.1, ge=0, description="Largest difference of the metric in points.")
    latency_runs: Count = Field(200, description="Timed runs of each file.")


class Experiment(Section):
    """One experiment: data, label noise, network, methods, training, conversion and verification."""

    name: str = Field(pattern=NAME_PATTERN, max_length=100, description="Name of the folders; default: the file's.")
    data: AnyData = Field(description="The data set.")
    noise: AnyNoise = Field(NoNoise(), description="Wrong labels put into the training set.")
    model: AnyModel = Field(ResNet20(), description="The network.")
    methods: list[AnyMethod] = Field([], description="Regularisation and compression methods, all at once.")
    loss: Loss = Field(Loss(), description="What is minimised for action units.")
    train: Train = Field(Train(), description="How the network is trained.")
    seeds: list[Seed] = Field([1], min_length=1, description="One training a seed.")
    baseline: bool = Field(False, description="Train the float network without any method beside it.")
    convert: Convert = Field(Convert(), description="The TFLite files.")
    verify: Verify = Field(Verify(), description="How the TFLite files are checked.")
