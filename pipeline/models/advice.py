"""What to write instead of a layer that cannot be quantized: why it cannot, and the way around it, by kind of layer."""

from typing import TYPE_CHECKING

from pipeline.models.graph import kind_of

if TYPE_CHECKING:
    import tf_keras

NO_ADVICE = "no supported layer stands for it"
_STATISTICS = (
    "it needs the mean and variance of every single input, which no integer operation gives. Use BatchNormalization"
)
_ATTENTION = (
    "attention multiplies activations as matrices. Use convolutions, and Multiply by a sigmoid to weight channels"
)
_MATRICES = "it multiplies activations as matrices. Use Dense, or Multiply, value by value"
_STEPS = "it passes a state from step to step. Use Conv1D over the steps"
_FRAMES = "it passes a state from frame to frame. Use Conv2D with the frames as channels"
_LOOKUP = "it takes integers or text. Do this before the network, in the data pipeline, and give the network floats"
_RANDOM_SIZE = "the sizes of all tensors must be fixed. Do this before the network, in the data pipeline"
_THREE_AXES = (
    "there are no integer operations on three axes. Use the layer for two axes, with slices or frames as channels"
)
_LOCAL = "it has other weights at every place. Use a convolution of the same kernel"

ADVICE = {
    **dict.fromkeys(("LayerNormalization", "GroupNormalization", "UnitNormalization"), _STATISTICS),
    "SpectralNormalization": "it divides the kernel in every step. Use the layer inside of it",
    **dict.fromkeys(("MultiHeadAttention", "Attention", "AdditiveAttention"), _ATTENTION),
    **dict.fromkeys(("Dot", "TFOpLambda:linalg.matmul"), _MATRICES),
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional"), _STEPS),
    **dict.fromkeys(("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"), _FRAMES),
    "TimeDistributed": "it calls a layer for every step. TimeDistributed(Dense) is Dense: use that; for images, put the "
    "frames into the channels",
    "Lambda": "its function cannot be followed. Call its operations on the tensors themselves, as in x * 2, without the "
    "Lambda",
    **dict.fromkeys(("Embedding", "StringLookup", "IntegerLookup", "TextVectorization", "Hashing"), _LOOKUP),
    **dict.fromkeys(("HashedCrossing", "CategoryEncoding", "Discretization"), _LOOKUP),
    **dict.fromkeys(("RandomCrop", "RandomHeight", "RandomWidth"), _RANDOM_SIZE),
    **dict.fromkeys(("Conv3D", "Conv3DTranspose", "MaxPooling3D", "AveragePooling3D"), _THREE_AXES),
    **dict.fromkeys(("GlobalMaxPooling3D", "GlobalAveragePooling3D"), _THREE_AXES),
    **dict.fromkeys(("ZeroPadding3D", "UpSampling3D", "Cropping3D", "SpatialDropout3D"), _THREE_AXES),
    **dict.fromkeys(("LocallyConnected1D", "LocallyConnected2D"), _LOCAL),
    "EinsumDense": "its equation can be any. Use Dense, or Conv2D with a kernel of 1",
    "ThresholdedReLU": "the device has no threshold. Use ReLU",
    "Masking": "masks are for recurrent layers. Remove it",
    "TFOpLambda:compat.v1.shape": "shapes must be fixed. Use Reshape with numbers",
}

_QUANTIZED = "already quantized by TF-MOT. Pass the float network, as it was before quantize_model"
TFMOT = {
    "QuantizeAnnotate": "TF-MOT's annotation for its own quantization. Pass the float network, without quantize_annotate",
    **dict.fromkeys(("QuantizeWrapper", "QuantizeWrapperV2", "QuantizeLayer"), _QUANTIZED),
    "PruneLowMagnitude": "TF-MOT's wrapper for pruning. Pass tfmot.sparsity.keras.strip_pruning(network)",
    "ClusterWeights": "TF-MOT's wrapper for clustering. Pass tfmot.clustering.keras.strip_clustering(network)",
}

ACTIVATION_ADVICE = {
    "softmax": "only the last layer of a network can be one; use sigmoid inside",
    "selu": "use elu, and BatchNormalization",
    "softplus": "use elu",
    "softsign": "use tanh",
    "exponential": "use elu",
    "log_softmax": "end the network in softmax, or in logits",
    "mish": "use swish",
    "leaky_relu": "call LeakyReLU on the output instead",
}


def listed(problems: list[str]) -> str:
    """The error message with these problems of layers."""
    return "this network cannot be quantized:\n  " + "\n  ".join(problems)


def advice_for(layer: "tf_keras.layers.Layer") -> str:
    """Why a layer of an unsupported kind is not taken, and what to write instead."""
    kind, name, module = kind_of(layer), type(layer).__name__, type(layer).__module__
    if module.startswith("tensorflow_model_optimization.") and name in TFMOT:
        return TFMOT[name]
    if kind in ADVICE:
        return ADVICE[kind]
    if ":" in kind:
        return f"{NO_ADVICE}. Use a layer instead of TensorFlow's function, or do this outside of the network"
    if module.startswith("tf_keras."):
        return NO_ADVICE
    return (
        "a layer class of somebody's own. Write what its call does as a function that calls supported layers and "
        "operators on tensors"
    )
