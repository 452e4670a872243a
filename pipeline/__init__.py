"""Nibble: 4-bit networks that resist wrong labels, from one YAML to a verified TFLite file.

What is named here is the public API; everything is imported when it is first asked for.
"""

import importlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.config import Experiment, load_config
    from pipeline.detect import Detector
    from pipeline.errors import RunFailed, UserError
    from pipeline.quantization.model_access import quantize_scope
    from pipeline.quantization.saving import load
    from pipeline.quantization.scheme import quantize
    from pipeline.reports.load import load_run
    from pipeline.run import run
    from pipeline.tflite.convert import convert
    from pipeline.tflite.shipping import ship
    from pipeline.tflite.verify import verify
    from pipeline.training.calibration import calibrate
    from pipeline.training.callbacks import Reestimate, WarmUp

# TF-MOT works on tf_keras only; this has to be set before TensorFlow is imported.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

_HOMES = {
    "Detector": "pipeline.detect",
    "Experiment": "pipeline.config",
    "Reestimate": "pipeline.training.callbacks",
    "RunFailed": "pipeline.errors",
    "UserError": "pipeline.errors",
    "WarmUp": "pipeline.training.callbacks",
    "calibrate": "pipeline.training.calibration",
    "convert": "pipeline.tflite.convert",
    "load": "pipeline.quantization.saving",
    "load_config": "pipeline.config",
    "load_run": "pipeline.reports.load",
    "quantize": "pipeline.quantization.scheme",
    "quantize_scope": "pipeline.quantization.model_access",
    "run": "pipeline.run",
    "ship": "pipeline.tflite.shipping",
    "verify": "pipeline.tflite.verify",
}

__all__ = [
    "Detector",
    "Experiment",
    "Reestimate",
    "RunFailed",
    "UserError",
    "WarmUp",
    "calibrate",
    "convert",
    "load",
    "load_config",
    "load_run",
    "quantize",
    "quantize_scope",
    "run",
    "ship",
    "verify",
]


def __getattr__(name: str) -> object:
    """A public name, from the module that defines it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """The public names."""
    return __all__
