"""Data-parallel training with tf.distribute.MirroredStrategy: every replica computes its share of each batch.

The loss is computed from the logits of the whole batch, so it is normalised, masked and weighted as on one device, and
the sum of the replicas' gradients is its gradient. Batch norm and the quantizers see only the share.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache

import tensorflow as tf
import tf_keras

from pipeline.errors import UserError

PER_REPLICA = tf.VariableSynchronization.ON_READ
DROPOUT_STRIDE = 2**40  # more steps than any training has, so that no two replicas share a mask


class OneReplica:
    """Training on TensorFlow's default device: every operation between replicas is the identity."""

    count = 1

    def scope(self) -> AbstractContextManager:
        """The scope in which to create an optimizer."""
        return nullcontext()

    def network_scope(self) -> AbstractContextManager:
        """The scope in which to create a network."""
        return nullcontext()

    def run(self, function: Callable[..., None], *arguments) -> None:
        """Call `function` on every replica."""
        function(*arguments)

    def own(self, batch: tf.Tensor) -> tf.Tensor:
        """This replica's share of a batch (B, ...)."""
        return batch

    def gathered(self, share: tf.Tensor, size: int) -> tf.Tensor:
        """The whole batch (B, ...) of `size` B from the shares of all replicas, differentiable."""
        return share

    def part(self, value: tf.Tensor) -> tf.Tensor:
        """The part of this replica, so that the sum over all replicas is `value`, which is equal on each."""
        return value

    def summed(self, tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Each tensor summed over the replicas."""
        return list(tensors)

    def once(self, function: Callable[[], object]) -> None:
        """Call `function` once for all replicas; its assignments apply to each of them."""
        function()

    def dropout_step(self, step: tf.Tensor) -> tf.Tensor:
        """The int64 key of this replica's dropout masks at 0-based `step`."""
        return step

    def average_statistics(self, model: tf_keras.Model) -> None:
        """Set the moving statistics of every replica to their mean."""


ONE = OneReplica()


class MirroredReplicas(OneReplica):
    """The replicas of a `strategy`; the computations of a step on a replica happen inside `run`."""

    def __init__(self, strategy: tf.distribute.Strategy):
        self.strategy = strategy
        self.count = strategy.num_replicas_in_sync

    def scope(self) -> AbstractContextManager:
        """Variables created inside have a copy on every device."""
        return self.strategy.scope()

    @contextmanager
    def network_scope(self) -> Iterator[None]:
        """Like `scope`, but the copies of untrained variables (moving statistics, dropout steps) may differ."""
        with self.strategy.scope(), tf.variable_creator_scope(_statistics_per_replica):
            yield

    def run(self, function: Callable[..., None], *arguments) -> None:
        """Trace `function` once per replica, with the same arguments."""
        self.strategy.run(function, arguments)

    def own(self, batch: tf.Tensor) -> tf.Tensor:
        """Contiguous rows, of as equal a number as possible; UserError if a replica would have none."""
        check_share(batch.shape[0], self.count)
        start, stop = self._rows(batch.shape[0])
        return batch[start:stop]

    def gathered(self, share: tf.Tensor, size: int) -> tf.Tensor:
        """The sum of all shares, each padded with zeros to the size of the batch."""
        start, stop = self._rows(size)
        padding = [[start, size - stop], *[[0, 0]] * (share.shape.rank - 1)]
        return _replica().all_reduce("SUM", tf.pad(share, padding))

    def part(self, value: tf.Tensor) -> tf.Tensor:
        """The value divided by the number of replicas."""
        return value / self.count

    def summed(self, tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """All tensors are summed in a single all-reduce."""
        return self._reduced("SUM", list(tensors))

    def once(self, function: Callable[[], object]) -> None:
        """Call it in the cross-replica context, after the control dependencies of every replica."""
        _replica().merge_call(lambda _: function())

    def dropout_step(self, step: tf.Tensor) -> tf.Tensor:
        """Replica 0 has the same masks as a training on one device."""
        return step + _number() * DROPOUT_STRIDE

    def average_statistics(self, model: tf_keras.Model) -> None:
        """Average the copies, so that a checkpoint of one is a checkpoint of all."""
        found = [variable for variable in model.non_trainable_variables if variable.synchronization == PER_REPLICA]
        statistics = [variable for variable in found if variable.dtype.is_floating]
        means = self._reduced("MEAN", [variable.read_value() for variable in statistics])
        for variable, mean in zip(statistics, means, strict=True):
            variable.assign(mean)

    def _reduced(self, operation: str, tensors: list[tf.Tensor]) -> list[tf.Tensor]:
        return _replica().all_reduce(operation, tensors) if tensors else []  # MirroredStrategy rejects an empty list

    def _rows(self, size: int) -> tuple[int, int]:
        """The first row of this replica in a batch of `size`, and the row after its last."""
        number = _number()
        return size * number // self.count, size * (number + 1) // self.count


@cache  # a second strategy on the same devices would interfere with the collective operations of the first
def make_replicas(count: int) -> OneReplica:
    """`count` replicas on as many GPUs, or on logical CPU devices if there is no GPU.

    Call it before TensorFlow computes anything. Raises UserError if there are too few devices.
    """
    if count == 1:
        return ONE
    return MirroredReplicas(tf.distribute.MirroredStrategy(_devices(count)))


def check_share(batch: int, count: int) -> None:
    """Raise UserError if a batch is too small for every replica to have a row."""
    if batch < count:
        raise UserError(
            f"train.replicas: a batch of {batch} is too small for {count} replicas; "
            "use fewer replicas or more training images"
        )


def replicas_of(model: tf_keras.Model) -> OneReplica:
    """The replicas in whose `network_scope` a model was created."""
    strategy = model.distribute_strategy
    return MirroredReplicas(strategy) if strategy.num_replicas_in_sync > 1 else ONE


def _devices(count: int) -> list[str]:
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return _logical_cpus(count)
    if count > len(gpus):
        names = ", ".join(tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus)
        raise UserError(f"train.replicas: {count}, but TensorFlow finds only these GPUs: {names}. Lower it")
    return [f"GPU:{number}" for number in range(count)]


def _logical_cpus(count: int) -> list[str]:
    """Devices that share the cores of the machine, to test training on several GPUs; no faster than one device."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    try:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    except RuntimeError:  # TensorFlow is already initialised, perhaps with enough devices
        found = len(tf.config.list_logical_devices("CPU"))
        if found < count:
            raise UserError(
                f"train.replicas: {count}, but TensorFlow already runs in this process with {found} logical CPU devices. "
                "Start a new process"
            ) from None
    return [f"CPU:{number}" for number in range(count)]


def _replica() -> tf.distribute.ReplicaContext:
    return tf.distribute.get_replica_context()


def _number() -> int:
    """The number of the replica being traced."""
    return int(tf.get_static_value(_replica().replica_id_in_sync_group))


def _statistics_per_replica(next_creator: Callable, **options) -> tf.Variable:
    if options.get("trainable") is False:
        options |= {"synchronization": PER_REPLICA, "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA}
    return next_creator(**options)
