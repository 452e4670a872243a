"""Benchmarks; their results go to docs/results/ with the command and the machine."""

import pipeline  # noqa: F401, sets TF_USE_LEGACY_KERAS before TensorFlow is imported
