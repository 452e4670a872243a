"""Settings that hold for all tests, made before anything imports TensorFlow."""

import os

import pytest
from hypothesis import settings

# One thread each, since pytest-xdist already uses every core; few words; and, as `import pipeline` does, Keras 2.
THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
os.environ.update(dict.fromkeys(THREADS, "1"), TF_CPP_MIN_LOG_LEVEL="2", TF_USE_LEGACY_KERAS="1")

settings.register_profile("nibble", deadline=None, print_blob=True)  # no deadline: no test measures time
settings.load_profile("nibble")

# The folders whose tests take longest come first, so that at the end no process waits for another one.
SLOW = ("web", "study", "docs", "config", "au_bits", "training", "tests", "quantization", "tflite", "methods", "models")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests by folder: those of SLOW in its order, then all others."""
    items.sort(key=lambda item: SLOW.index(name) if (name := item.path.parent.name) in SLOW else len(SLOW))
