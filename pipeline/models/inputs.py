"""A network's inputs from what `model.fit` takes: NumPy arrays or a tf.data set, several of them for several inputs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import tensorflow as tf
import tf_keras

from pipeline.errors import UserError
from pipeline.models.graph import Range
from pipeline.models.input_range import check_inside
from pipeline.settings import Count, Section

SEED = 0
Examples = np.ndarray | Sequence[np.ndarray] | Mapping[str, np.ndarray]  # of one input, or of several
Batch = np.ndarray | tuple[np.ndarray, ...]  # one array (B, ...), or one for each of several inputs


class Batching(Section):
    """How many examples are read."""

    batches: Count = 32
    batch_size: Count = 128


@dataclass(frozen=True)
class Intake:
    """What `model` takes in function `where`, which errors name; `ranges` by input, None for a float model (any)."""

    model: tf_keras.Model
    where: str
    ranges: dict[str, Range] | None = None

    def batches(self, data: object, settings: Batching) -> Iterator[Batch]:
        """Up to `batches` float32 batches: `batch_size` random examples of arrays, or a tf.data set's own batches, whose
        labels are left out; arrays give the same ones every time.

        Raises UserError for other data, for another shape, and for values that the network does not take.
        """
        if isinstance(data, tf.data.Dataset):
            parts = (self.arrays(_inputs(element)) for element in data)
        else:
            arrays = self.arrays(data)
            self.check_counts(arrays)
            parts = _parts(arrays, settings)
        return self._checked(islice(parts, settings.batches))

    def arrays(self, data: object) -> tuple[np.ndarray, ...]:
        """The array of every input, in order: from one, from a tuple or list of them, or from a dict by input name."""
        names = self.model.input_names
        if isinstance(data, Mapping):
            if set(data) != set(names):
                raise UserError(
                    f"{self.where}: the arrays are called {_text(data)}, the network's inputs {_text(names)}"
                )
            data = [data[name] for name in names]
        elif not isinstance(data, Sequence) or isinstance(data, str) or len(names) == 1 != len(data):
            data = [data]
        if len(data) != len(names):
            raise UserError(f"{self.where}: {len(data)} arrays, but the network has the inputs {_text(names)}")
        return tuple(self._array(part) for part in data)

    def _array(self, data: object) -> np.ndarray:
        if not (isinstance(data, np.ndarray) or tf.is_tensor(data)):
            raise UserError(f"{self.where}: data must be a NumPy array or a tf.data.Dataset, not {type(data).__name__}")
        return np.asarray(data)

    def check_shapes(self, arrays: tuple[np.ndarray, ...]) -> None:
        """Raise UserError unless these are as many examples (N, ...) for every input, of its shape."""
        for name, tensor, array in zip(self.model.input_names, self.model.inputs, arrays, strict=True):
            wanted = tuple(tensor.shape)[1:]
            if array.shape[1:] != wanted or array.dtype.kind not in "fiub" or not len(array):
                advice = ". Call batch(128) on the data set" if array.shape == wanted else ""
                takes = ", ".join(map(str, ("N", *wanted)))
                raise UserError(
                    f"{self._place(name)}: data are {array.dtype} {array.shape}, the network takes ({takes}){advice}"
                )
        self.check_counts(arrays)

    def check_counts(self, arrays: tuple[np.ndarray, ...]) -> None:
        """Raise UserError unless every input has the same number of examples."""
        if len({len(array) for array in arrays}) > 1:
            raise UserError(f"{self.where}: the inputs have {_text(map(len, arrays))} examples; they must have as many")

    def check_values(self, arrays: tuple[np.ndarray, ...], bytes_too: bool = True) -> None:
        """Raise UserError for values out of the declared ranges; not `bytes_too`: except in uint8 arrays."""
        for name, array in zip(self.model.input_names, arrays, strict=True):
            if self.ranges is not None and (bytes_too or array.dtype != np.uint8):
                check_inside(array, self.ranges[name], self._place(name))

    def _checked(self, parts: Iterator[tuple[np.ndarray, ...]]) -> Iterator[Batch]:
        empty = True
        for arrays in parts:
            self.check_shapes(arrays)
            self.check_values(arrays)
            empty = False
            floats = tuple(array.astype(np.float32) for array in arrays)
            yield floats[0] if len(floats) == 1 else floats
        if empty:
            raise UserError(f"{self.where}: the data set is empty")

    def _place(self, name: str) -> str:
        return self.where if len(self.model.inputs) == 1 else f"{self.where}: input '{name}'"


def _parts(arrays: tuple[np.ndarray, ...], settings: Batching) -> Iterator[tuple[np.ndarray, ...]]:
    """Random parts of equal size, as a small last batch would count as much as the others."""
    count = len(arrays[0])
    order = np.random.default_rng(SEED).permutation(count)
    for chosen in np.array_split(order, max(-(-count // settings.batch_size), 1)):
        yield tuple(array[np.sort(chosen)] for array in arrays)


def _inputs(element: object) -> object:
    """The inputs in an element of a data set: itself, or the first of (inputs, labels, ...)."""
    return element[0] if isinstance(element, tuple) else element


def _text(names) -> str:
    return ", ".join(map(str, names))
