"""keras-tuner without Keras: chief and workers hand out trials and scores, and build no network.

keras-tuner imports Keras, which imports TensorFlow: seconds and 500 MB for each of these processes. What trials need
of Keras is here; all else that keras-tuner mentions is an empty class.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace


class _Empty(type):
    """Classes without content, whose attributes are such classes."""

    def __getattr__(cls, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Empty(name, (), {})


def _written(instance: object) -> dict:
    """A hyperparameter or condition as Keras writes it."""
    return {"class_name": type(instance).__name__, "config": instance.get_config()}


def _read(record: dict, _custom: object, classes: Mapping[str, type]) -> object:
    """The hyperparameter or condition that `_written` wrote."""
    return classes[record["class_name"]].from_config(record["config"])


def _modules() -> dict[str, ModuleType]:
    """The modules of Keras that keras-tuner imports, by their names."""
    modules = {name: ModuleType(name) for name in ("keras", "keras.src", "keras.src.ops", "keras.random")}
    parts = {name: _Empty(name, (), {}) for name in ("applications", "callbacks", "layers", "models")}
    vars(modules["keras"]).update(
        parts,
        version=lambda: "3.",
        config=SimpleNamespace(backend=lambda: "none"),
        saving=SimpleNamespace(register_keras_serializable=lambda package: lambda cls: cls),
        utils=SimpleNamespace(serialize_keras_object=_written, deserialize_keras_object=_read),
    )
    return modules


@contextmanager
def _without_keras() -> Iterator[None]:
    """A block in which `import keras` gives what is above, unless Keras has been imported before."""
    modules = {} if "keras" in sys.modules else _modules()
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in modules:
            del sys.modules[name]


with _without_keras():
    import keras_tuner
    from keras_tuner.src import protos
    from keras_tuner.src.distribute.oracle_chief import OracleServicer
    from keras_tuner.src.distribute.oracle_client import OracleClient
    from keras_tuner.src.engine.base_tuner import BaseTuner
    from keras_tuner.src.engine.trial import Trial
    from keras_tuner.src.errors import FailedTrialError, FatalError

__all__ = [
    "BaseTuner",
    "FailedTrialError",
    "FatalError",
    "OracleClient",
    "OracleServicer",
    "Trial",
    "keras_tuner",
    "protos",
]
