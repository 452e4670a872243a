"""Data-parallel training by tf.distribute.MirroredStrategy: every replica takes its share of each batch.

The loss is computed from the logits of the whole batch, so it is normalised, masked and weighted as on one device, and
the sum of the replicas' gradients is its gradient. Batch norm and the quantizers see the share alone.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache

import tensorflow as tf
import tf_keras

from pipeline.errors import UserError

PER_REPLICA = tf.VariableSynchronization.ON_READ
DROPOUT_STRIDE = 2**40  # steps; more than any run has, so no two replicas ever share a mask


class OneReplica:
    """Training where TensorFlow puts it: every operation between replicas is the identity."""

    count = 1

    def scope(self) -> AbstractContextManager:
        """Where an optimizer is made."""
        return nullcontext()

    def network_scope(self) -> AbstractContextManager:
        """Where a network is made."""
        return nullcontext()

    def run(self, function: Callable[..., None], *arguments) -> None:
        """Call `function` on every replica."""
        function(*arguments)

    def own(self, batch: tf.Tensor) -> tf.Tensor:
        """This replica's share of a batch (B, ...)."""
        return batch

    def gathered(self, share: tf.Tensor, size: int) -> tf.Tensor:
        """The batch (B, ...) of `size` B that the replicas' shares make, in order and differentiable."""
        return share

    def part(self, value: tf.Tensor) -> tf.Tensor:
        """What this replica contributes to a sum that is to be `value`, which every replica has."""
        return value

    def summed(self, tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Each tensor summed over the replicas."""
        return list(tensors)

    def once(self, function: Callable[[], object]) -> None:
        """Call `function` for all replicas together; what it assigns, it assigns on each of them."""
        function()

    def dropout_step(self, step: tf.Tensor) -> tf.Tensor:
        """The int64 that keys this replica's dropout masks at 0-based `step`."""
        return step

    def average_statistics(self, model: tf_keras.Model) -> None:
        """Give every replica the mean of the replicas' moving statistics."""


ONE = OneReplica()


class MirroredReplicas(OneReplica):
    """The replicas of a `strategy`; what a step computes on a replica is computed inside `run`."""

    def __init__(self, strategy: tf.distribute.Strategy):
        self.strategy = strategy
        self.count = strategy.num_replicas_in_sync

    def scope(self) -> AbstractContextManager:
        """Variables made inside have a copy on every device."""
        return self.strategy.scope()

    @contextmanager
    def network_scope(self) -> Iterator[None]:
        """As `scope`; what is not trained (moving statistics, dropout's step) may differ between the copies."""
        with self.strategy.scope(), tf.variable_creator_scope(_statistics_per_replica):
            yield

    def run(self, function: Callable[..., None], *arguments) -> None:
        """Trace `function` once a replica; every argument is the same for all."""
        self.strategy.run(function, arguments)

    def own(self, batch: tf.Tensor) -> tf.Tensor:
        """Contiguous rows, as equal in number as B allows; UserError if a replica would have none."""
        start, stop = self._rows(batch.shape[0])
        if start == stop:
            raise UserError(
                f"train.replicas: a batch of {batch.shape[0]} cannot be shared by {self.count}; "
                "train on fewer replicas or more images"
            )
        return batch[start:stop]

    def gathered(self, share: tf.Tensor, size: int) -> tf.Tensor:
        """A sum of the shares, each padded with zeros to the whole batch."""
        start, stop = self._rows(size)
        padding = [[start, size - stop], *[[0, 0]] * (share.shape.rank - 1)]
        return _replica().all_reduce("SUM", tf.pad(share, padding))

    def part(self, value: tf.Tensor) -> tf.Tensor:
        """An equal part."""
        return value / self.count

    def summed(self, tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """All of them in one exchange."""
        return self._reduced("SUM", list(tensors))

    def once(self, function: Callable[[], object]) -> None:
        """In the cross-replica context, after the control dependencies of every replica."""
        _replica().merge_call(lambda _: function())

    def dropout_step(self, step: tf.Tensor) -> tf.Tensor:
        """Replica 0 has the masks of a training without replicas."""
        return step + _number() * DROPOUT_STRIDE

    def average_statistics(self, model: tf_keras.Model) -> None:
        """Afterwards the copies are equal, so that a checkpoint of one is a checkpoint of all."""
        found = [variable for variable in model.non_trainable_variables if variable.synchronization == PER_REPLICA]
        statistics = [variable for variable in found if variable.dtype.is_floating]
        means = self._reduced("MEAN", [variable.read_value() for variable in statistics])
        for variable, mean in zip(statistics, means, strict=True):
            variable.assign(mean)

    def _reduced(self, operation: str, tensors: list[tf.Tensor]) -> list[tf.Tensor]:
        return _replica().all_reduce(operation, tensors) if tensors else []  # MirroredStrategy refuses an empty list

    def _rows(self, size: int) -> tuple[int, int]:
        """First row and the one after the last of this replica in a batch of `size`."""
        number = _number()
        return size * number // self.count, size * (number + 1) // self.count


@cache  # a second strategy on the same devices would take the first one's collective operations for its own
def make_replicas(count: int) -> OneReplica:
    """`count` replicas on as many GPUs, or on logical CPU devices where there is no GPU.

    Call it before TensorFlow computes anything. Raises UserError if there are too few devices.
    """
    if count == 1:
        return ONE
    return MirroredReplicas(tf.distribute.MirroredStrategy(_devices(count)))


def replicas_of(model: tf_keras.Model) -> OneReplica:
    """The replicas in whose `network_scope` a model was made."""
    strategy = model.distribute_strategy
    return MirroredReplicas(strategy) if strategy.num_replicas_in_sync > 1 else ONE


def _devices(count: int) -> list[str]:
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return _logical_cpus(count)
    if count > len(gpus):
        names = ", ".join(tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus)
        raise UserError(f"train.replicas: {count} GPUs asked for, but TensorFlow finds only {names}; lower it")
    return [f"GPU:{number}" for number in range(count)]


def _logical_cpus(count: int) -> list[str]:
    """Devices that share the machine's cores: a rehearsal of several GPUs, no faster than one device."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    try:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    except RuntimeError:  # TensorFlow is running: it may have started with as many
        found = len(tf.config.list_logical_devices("CPU"))
        if found < count:
            raise UserError(
                f"train.replicas: {count} asked for, but TensorFlow runs in this process already, "
                f"on {found} logical CPU; start another process"
            ) from None
    return [f"CPU:{number}" for number in range(count)]


def _replica() -> tf.distribute.ReplicaContext:
    return tf.distribute.get_replica_context()


def _number() -> int:
    """Which of the replicas this one is, known while it is traced."""
    return int(tf.get_static_value(_replica().replica_id_in_sync_group))


def _statistics_per_replica(next_creator: Callable, **options) -> tf.Variable:
    if options.get("trainable") is False:
        options |= {"synchronization": PER_REPLICA, "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA}
    return next_creator(**options)
