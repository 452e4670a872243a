"""Nibble: 4-bit networks that resist wrong labels, from one YAML to a verified TFLite file."""

import os

# TF-MOT works on tf_keras only; this has to be set before TensorFlow is imported.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
