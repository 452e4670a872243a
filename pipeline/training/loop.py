"""The training loop, the same for all methods: a killed training resumes with exactly the same numbers."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras

from pipeline.config.schema import Train as TrainSettings
from pipeline.data.augmentation import Augmentation
from pipeline.data.batches import prefetched, training_batches
from pipeline.errors import RunFailed
from pipeline.methods.base import Method
from pipeline.models.inference import Forward, compile_forward, logits_in_batches
from pipeline.runs.files import write_jsonl
from pipeline.runs.names import BEST_WEIGHTS, CURVES, METRICS
from pipeline.runs.progress import TrainingProgress
from pipeline.runs.stopping import StopFlag, Stopped
from pipeline.training.checkpoints import Checkpoint, assign, newest_checkpoint, save_checkpoint, save_weights
from pipeline.training.curves import Curves
from pipeline.training.data import TrainingData
from pipeline.training.optimizers import learning_rate, make_optimizer
from pipeline.training.replicas import replicas_of
from pipeline.training.selection import TrainResult, selection_rule
from pipeline.training.statistics import Statistics, statistics_batches
from pipeline.training.step import compile_step, culprit, is_divergence
from pipeline.training.tasks import Predict, Task

STEPS_BETWEEN_REPORTS = 20

PrepareEvaluation = Callable[[tf_keras.Model], AbstractContextManager[Forward | tf_keras.Model | None]]


@contextmanager
def own_forward(model: tf_keras.Model) -> Iterator[None]:
    """No preparation: the model is evaluated with its own forward function."""
    yield None


@dataclass(frozen=True)
class Recipe:
    """How to train: configuration section train, methods, seed of all random choices, and augmentation."""

    settings: TrainSettings
    methods: Sequence[Method]
    seed: int
    augmentation: Augmentation | None = None


def train(
    model: tf_keras.Model,
    data: TrainingData,
    task: Task,
    recipe: Recipe,
    folder: Path,
    stop: StopFlag,
    progress: TrainingProgress,
    prepare_evaluation: PrepareEvaluation = own_forward,
) -> TrainResult:
    """Train the wrapped `model` by `recipe`, or resume from the last checkpoint in `folder`.

    Afterwards the model and best.weights.h5 have the selected weights with the statistics used to evaluate them.
    `prepare_evaluation(model)` is a context for every evaluation that yields the forward function (for a quantized
    network, in the arithmetic of the device); the model itself or None means the model's own. Raises Stopped after
    saving a checkpoint if `stop` is set, RunFailed if training diverges, UserError if a checkpoint belongs to another
    network.
    """
    run = _Run(model, data, task, recipe, folder, stop, progress, prepare_evaluation)
    try:
        run.resume()
        run.train()
        return run.finish()
    finally:
        progress.finish()


@dataclass
class _Run:
    """A training in progress: its `state`, and the number of `steps` per epoch."""

    model: tf_keras.Model
    data: TrainingData
    task: Task
    recipe: Recipe
    folder: Path
    stop: StopFlag
    progress: TrainingProgress
    prepare_evaluation: PrepareEvaluation

    def __post_init__(self):
        self.settings, self.methods, self.seed = self.recipe.settings, self.recipe.methods, self.recipe.seed
        self._evaluation_data = self.data.for_evaluation(self.settings.evaluate_train_examples)
        self.steps = max(len(self.data.train_images) // self.settings.batch_size, 1)
        self.selection = selection_rule(self.methods, self.settings.epochs)
        with replicas_of(self.model).scope():
            self.optimizer = make_optimizer(self.settings, self.model)
        self.total = tf.Variable(0.0, dtype=tf.float64, trainable=False)
        self.state = Checkpoint()
        self.step = None
        self.saved_at = self.started = time.monotonic()

    def resume(self) -> None:
        """Continue from the last intact checkpoint, if there is one."""
        checkpoint = newest_checkpoint(self.folder, self.progress.warning)
        if checkpoint:
            where = f"the checkpoint in {self.folder}"
            assign(self.model.variables, checkpoint.model, where)
            assign(self.optimizer.variables, checkpoint.optimizer, where)
            self.total.assign(checkpoint.loss_sum)
            self.state = replace(checkpoint, model=[], optimizer=[])
        self._write_metrics()
        self.curves = Curves(self.folder / CURVES, self.state.history) if self.settings.tensorboard else None
        self.progress.start(self.settings.epochs, self.steps, self._done())

    def train(self) -> None:
        """Train the remaining epochs; save before stopping."""
        while self.state.epoch < self.settings.epochs and not self.selection.is_over(self.state.history):
            self._prepare(self.state.epoch)
            try:
                self._train_epoch()
                line = self._line()
            except Stopped:
                self._save()
                raise
            self._complete(line)

    def finish(self) -> TrainResult:
        """Put the selected weights and their statistics into the model and into best.weights.h5."""
        if self.step is None:  # no epoch was left to train, so the methods have not prepared the model
            self._prepare(self.state.epoch - 1)
        if self.state.best:
            assign(self.model.variables, self.state.best, "the best epoch")
        if self.settings.statistics == "reestimate":
            self.statistics.reestimate(self._statistics_batches())
        save_weights(self.model, self.folder / BEST_WEIGHTS)
        epoch = self.selection.epoch(self.state.history)
        with self._evaluated() as predict:
            details = self.task.details(predict, self._evaluation_data)
        line = self.state.history[epoch - 1]
        details["no_better_than_chance"] = self.task.no_better_than_chance(line, details, self._evaluation_data)
        rule = self.selection
        return TrainResult(self.state.history, epoch, rule.name(self.state.history), rule.unsettled, details)

    def _prepare(self, epoch: int) -> None:
        changed = [method.before_epoch(self.model, epoch, self.settings.epochs) for method in self.methods]
        if any(changed) or self.step is None:
            self.step = compile_step(self.model, self.optimizer, self.task, self.methods, self.total)
            self.forward = compile_forward(self.model)
            self.statistics = Statistics(self.model)

    def _train_epoch(self) -> None:
        data, state = self.data, self.state
        order = (self.settings.batch_size, self.seed, state.epoch)
        batches = training_batches(data.train_images, data.train_labels, *order, self.recipe.augmentation, state.step)
        for images, labels in prefetched(batches):
            self.stop.check()
            self._train_step(images, labels)
            state.step += 1
            self._report()
            if time.monotonic() - self.saved_at > 60 * self.settings.checkpoint_minutes:
                self._save()

    def _train_step(self, images: np.ndarray, labels: np.ndarray) -> None:
        number = self._done()
        try:
            self.step(images, labels, np.float32(self._rate(number)), np.int64(number))
        except tf.errors.InvalidArgumentError as error:
            if not is_divergence(error):
                raise
            what = culprit(self.model, self.task, self.methods, images, labels)
            raise self._divergence(what, number) from error

    def _divergence(self, what: str, number: int) -> RunFailed:
        """The error for 0-based step `number` of the training."""
        epoch, step = divmod(number, self.steps)
        return RunFailed(
            f"training diverged at step {number + 1} (epoch {epoch + 1}, its step {step + 1} of {self.steps}): "
            f"{what} is not finite. Try a smaller train.learning_rate than {self.settings.learning_rate:g}. "
            f"The files in {self.folder} are from before that step"
        )

    def _report(self) -> None:
        if self.state.step % STEPS_BETWEEN_REPORTS == 0 or self.state.step == self.steps:
            self.progress.steps(self._done(), float(self.total.numpy()) / self.state.step)

    def _line(self) -> dict:
        epoch = self.state.epoch + 1
        evaluated = epoch % self.settings.evaluate_every == 0 or epoch == self.settings.epochs
        return {
            "epoch": epoch,
            "learning_rate": self._rate(self.state.epoch * self.steps),
            "train_loss": float(self.total.numpy()) / self.steps,
            **(self._evaluate() if evaluated else dict.fromkeys(self.task.metric_names)),
            "seconds": self._seconds(),
        }

    def _evaluate(self) -> dict:
        configured = self.settings.statistics
        metrics = self._evaluate_with(configured)
        if self.settings.log_both_statistics:
            other = {"reestimate": "moving", "moving": "reestimate"}[configured]
            metrics[other] = self._evaluate_with(other)
        return metrics

    def _evaluate_with(self, statistics: str) -> dict:
        reestimated = self.statistics.reestimated(self._statistics_batches())
        context = reestimated if statistics == "reestimate" else nullcontext()
        with context, self._evaluated() as predict:
            return self.task.evaluate(predict, self._evaluation_data)

    @contextmanager
    def _evaluated(self) -> Iterator[Predict]:
        """The function from images to logits, with the current weights and statistics."""
        with self.prepare_evaluation(self.model) as given:
            forward = self.forward if given is None or given is self.model else given
            yield partial(self._finite_logits, forward)

    def _finite_logits(self, forward: Forward, images: np.ndarray) -> np.ndarray:
        logits = logits_in_batches(forward, images, self.stop.check)
        if not np.isfinite(logits).all():
            raise self._divergence("the network's output in evaluation", self._done() - 1)
        return logits

    def _statistics_batches(self) -> Iterator[np.ndarray]:
        settings = self.settings
        return statistics_batches(self.data.train_images, settings.batch_size, self.seed, settings.statistics_batches)

    def _complete(self, line: dict) -> None:
        state = self.state
        state.history.append(line)
        state.epoch, state.step, state.seconds = state.epoch + 1, 0, 0.0
        self.total.assign(0.0)
        self.started = time.monotonic()
        if self.selection.keeps_last(state.history):
            state.best = _values(self.model.variables)
        self._write_metrics()
        if self.curves:
            self.curves.add(line)
        self.progress.epoch(line)
        self._save()

    def _save(self) -> None:
        model, optimizer = self.model.variables, self.optimizer.variables
        here = {"loss_sum": float(self.total.numpy()), "seconds": self._seconds()}
        state = replace(self.state, **here, model=_values(model), optimizer=_values(optimizer))
        for variable, value in zip([*model, *optimizer], state.model + state.optimizer, strict=True):
            if not np.isfinite(value).all():
                raise self._divergence(f"'{variable.name}'", self._done() - 1)
        save_checkpoint(self.folder, state)
        self.saved_at = time.monotonic()

    def _write_metrics(self) -> None:
        write_jsonl(self.folder / METRICS, self.state.history)

    def _rate(self, step: int) -> float:
        return learning_rate(self.settings, step, self.steps)

    def _done(self) -> int:
        return self.state.epoch * self.steps + self.state.step

    def _seconds(self) -> float:
        return self.state.seconds + time.monotonic() - self.started


def _values(variables: Sequence) -> list[np.ndarray]:
    return [variable.numpy() for variable in variables]
