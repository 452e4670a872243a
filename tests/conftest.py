"""Settings that hold for all tests, made before anything imports TensorFlow."""

import os

from hypothesis import settings

# One thread each, since pytest-xdist already uses every core; few words; and, as `import pipeline` does, Keras 2.
THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
os.environ.update(dict.fromkeys(THREADS, "1"), TF_CPP_MIN_LOG_LEVEL="2", TF_USE_LEGACY_KERAS="1")

settings.register_profile("nibble", deadline=None, print_blob=True)  # no deadline: no test measures time
settings.load_profile("nibble")
