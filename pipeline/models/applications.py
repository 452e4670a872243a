"""The networks of tf_keras.applications by the names that configurations use (TensorFlow-free)."""

import difflib

_SERIES = (  # how names begin in a configuration and in tf_keras, and how they end
    ("convnext_", "ConvNeXt", "Tiny Small Base Large XLarge"),
    ("densenet", "DenseNet", "121 169 201"),
    ("efficientnet_", "EfficientNet", "B0 B1 B2 B3 B4 B5 B6 B7"),
    ("efficientnet_v2_", "EfficientNetV2", "B0 B1 B2 B3 S M L"),
    ("inception_", "Inception", "V3"),
    ("inception_resnet_", "InceptionResNet", "V2"),
    ("mobilenet_", "MobileNet", "V2"),
    ("mobilenet_v3_", "MobileNetV3", "Small Large"),
    ("nasnet_", "NASNet", "Mobile Large"),
    ("regnet_", "RegNet", "X002 X004 X006 X008 X016 X032 X040 X064 X080 X120 X160 X320"),
    ("regnet_", "RegNet", "Y002 Y004 Y006 Y008 Y016 Y032 Y040 Y064 Y080 Y120 Y160 Y320"),
    ("resnet", "ResNet", "50 101 152"),
    ("resnet_rs", "ResNetRS", "50 101 152 200 270 350 420"),
    ("vgg", "VGG", "16 19"),
)
APPLICATIONS = {
    **{f"{ours}{end.lower()}": f"{keras}{end}" for ours, keras, ends in _SERIES for end in ends.split()},
    **{f"resnet{depth}_v2": f"ResNet{depth}V2" for depth in (50, 101, 152)},
    "mobilenet": "MobileNet",
    "xception": "Xception",
}
RESERVED = frozenset(
    {"weights", "classes", "input_shape", "input_tensor", "include_top", "pooling"}
)  # set by the pipeline


def closest_application(wanted: str) -> str | None:
    """The name that `wanted` most likely means, such as mobilenet_v3_small for MobileNetV3Small; None if none is close."""
    plain = {_plain(name): name for name in APPLICATIONS}
    close = difflib.get_close_matches(_plain(wanted), plain, n=1)
    return plain[close[0]] if close else None


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower()
