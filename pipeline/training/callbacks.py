"""Keras callbacks with which `model.fit` trains a quantized network as the project's own loop does."""

from contextlib import ExitStack

import tensorflow as tf
import tf_keras

from pipeline.errors import UserError
from pipeline.models.inputs import Batching, Examples, Intake
from pipeline.quantization.device import device_arithmetic
from pipeline.quantization.model_access import is_enabled, ranges_of, recipe_of, set_enabled, settings_of
from pipeline.settings import checked_settings
from pipeline.training.statistics import Statistics, unchanged


class WarmUp(tf_keras.callbacks.Callback):
    """Trains in float for the first `epochs` epochs, and with rounded weights and activations from then on.

    Without `epochs` it takes `warmup_epochs` of `quantize`. Raises UserError before training if the model is not quantized
    or no epoch is left to train rounded.
    """

    def __init__(self, epochs: int | None = None):
        super().__init__()
        if epochs is not None and (not isinstance(epochs, int) or isinstance(epochs, bool) or epochs < 1):
            raise UserError(f"WarmUp: epochs must be a whole number from 1, not {epochs!r}")
        self.epochs = epochs

    def on_train_begin(self, logs=None):
        if recipe_of(self.model) is None:
            raise UserError("WarmUp: this is a float model; train what quantize returned")
        self._until = self.epochs or settings_of(self.model).warmup_epochs
        if not self._until:
            raise UserError("WarmUp: say how many epochs: WarmUp(3), or warmup_epochs=3 in quantize")
        if self._until >= self.params["epochs"]:
            raise UserError(
                f"WarmUp: {self._until} of {self.params['epochs']} epochs in float leave none to train rounded. Train more"
            )

    def on_epoch_begin(self, epoch, logs=None):
        self._switch(epoch >= self._until)

    def on_train_end(self, logs=None):
        """Round from now on, also where training has ended early."""
        self._switch(True)

    def _switch(self, enabled: bool) -> None:
        """Round or not; compiled functions are traced again, as they read this when they are traced."""
        if set_enabled(self.model, enabled):
            self.model.make_train_function(force=True)
            self.model.test_function = self.model.predict_function = None


class Reestimate(tf_keras.callbacks.Callback):
    """Validates with statistics that match the weights, in the arithmetic of the device, and leaves these statistics.

    Moving averages of batch norm and of activation ranges lag behind weights that change quickly. Before every validation
    of `fit`, and when training has ended, they are set to their plain average over `data`, without dropout; training itself
    is not affected. Put it behind other callbacks. data: the training inputs as `calibrate` takes them, with the same
    `batches` and `batch_size`. Raises UserError before training for data that the network does not take.
    """

    def __init__(self, data: Examples | tf.data.Dataset, **sizes: int):
        super().__init__()
        self._data, self._sizes = data, checked_settings(Batching, None, sizes, "Reestimate")
        self._statistics: dict[bool, Statistics] = {}
        self._during_validation = ExitStack()

    def set_model(self, model):
        if model is not self.model:
            self._statistics = {}
        super().set_model(model)

    def on_train_begin(self, logs=None):
        next(self._batches())

    def on_test_begin(self, logs=None):
        self._during_validation.enter_context(self._current().reestimated(self._batches()))
        if recipe_of(self.model):
            self._during_validation.enter_context(device_arithmetic(self.model))

    def on_test_end(self, logs=None):
        self._during_validation.close()

    def on_train_end(self, logs=None):
        self._current().reestimate(self._batches())

    def _current(self) -> Statistics:
        """The statistics of the model as it rounds now: the graph that measures them is traced once for each way."""
        rounds = is_enabled(self.model)
        if rounds not in self._statistics:
            self._statistics[rounds] = Statistics(self.model, prepare=unchanged)
        return self._statistics[rounds]

    def _batches(self):
        ranges = ranges_of(self.model) if recipe_of(self.model) else None
        return Intake(self.model, "Reestimate", ranges).batches(self._data, self._sizes)
