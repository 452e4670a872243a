"""Keras layers as TFLite operations: kind and options of each (TensorFlow-free)."""

from pipeline.quantization.graph import Node


def linear_operation(node: Node) -> tuple[str, dict]:
    """The operation of a Conv2D, DepthwiseConv2D or Dense layer."""
    if node.kind == "Dense":
        return "FULLY_CONNECTED", {}
    config = node.layer.get_config()
    options = {"strides": config["strides"], "padding": config["padding"], "dilation": config["dilation_rate"]}
    if node.kind == "DepthwiseConv2D":
        return "DEPTHWISE_CONV_2D", {**options, "depth_multiplier": config["depth_multiplier"]}
    return "CONV_2D", options


def averaging_operation(node: Node) -> tuple[str, dict]:
    """The operation of an AveragePooling2D without padding: a depthwise convolution, several times faster in LiteRT."""
    strides = node.layer.get_config()["strides"]
    return "DEPTHWISE_CONV_2D", {"strides": strides, "padding": "valid", "depth_multiplier": 1}


def lone_batch_norm_operation() -> tuple[str, dict]:
    """The operation of a batch norm with nothing linear before it: a scale and a shift for each channel."""
    return "DEPTHWISE_CONV_2D", {"strides": (1, 1), "padding": "valid", "depth_multiplier": 1}


def pooling(node: Node) -> dict:
    """The options of a pooling layer's window."""
    config = node.layer.get_config()
    return {"size": config["pool_size"], "strides": config["strides"], "padding": config["padding"]}


def passing_operation(node: Node) -> tuple[str | None, dict]:
    """The operation of a layer that passes codes on unchanged; None where nothing is left to do."""
    config = node.layer.get_config()
    if node.kind == "MaxPooling2D":
        return "MAX_POOL_2D", pooling(node)
    if node.kind == "GlobalMaxPooling2D":
        return "REDUCE_MAX", {}
    if node.kind == "Flatten":
        return "RESHAPE", {}
    if node.kind == "ZeroPadding2D":
        return "PAD", {"paddings": (*config["padding"], (0, 0))}
    if node.kind == "PadChannels":
        return "PAD", {"paddings": ((0, 0), (0, 0), (config["before"], config["after"]))}
    return None, {}


def fused(node: Node | None) -> dict:
    """The option of a ReLU layer fused into the operation before it; {} for none."""
    if node is None:
        return {}
    return {"activation": "RELU" if node.layer.get_config()["max_value"] is None else "RELU6"}
