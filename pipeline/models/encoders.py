"""What turns a face into feature maps: a small residual network, MobileNetV2 or InceptionV3."""

from dataclasses import dataclass
from typing import Literal

import tensorflow as tf
import tf_keras

from pipeline.errors import UserError
from pipeline.models.applications import application_features
from pipeline.models.pretrained import load_file
from pipeline.models.residual import ResidualLayers, check_depth, check_side, residual_body

EncoderName = Literal["small_resnet", "mobilenet_v2", "inception_v3"]
SMALLEST_SIDE = 8  # of small_resnet, whose stem halves the image too


@dataclass(frozen=True)
class Encoder:
    """An encoder and what it is made with: `width` and `depth` are small_resnet's, `alpha` is mobilenet_v2's."""

    name: EncoderName
    weights: str
    width: int
    depth: int
    alpha: float

    def __call__(self, layers: ResidualLayers, image: tf.Tensor) -> tf.Tensor:
        """The feature maps (B, H', W', C') of images (B, H, W, C) in [0, 1]; UserError for what it cannot do."""
        if self.name == "small_resnet":
            return self._small_resnet(layers, image)
        return application_features(self.name, image, self.weights, self.alpha, layers.seed, layers.momentum)

    def _small_resnet(self, layers: ResidualLayers, image: tf.Tensor) -> tf.Tensor:
        if self.weights == "imagenet":
            raise UserError("model.weights: imagenet weights exist for mobilenet_v2 and inception_v3 only. Use none")
        check_depth(self.depth)
        check_side(image.shape[1:], SMALLEST_SIDE, "three times")
        features = residual_body(layers, image, self.width, self.depth, stem_stride=2)
        if self.weights != "none":
            load_file(tf_keras.Model(image, features, name=self.name), self.weights)
        return features
