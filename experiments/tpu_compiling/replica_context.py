"""A stand-in for the replica context of a TPU strategy, for a step that is lowered where there is no TPU."""

import contextlib
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
from tensorflow.compiler.tf2xla.ops import gen_xla_ops


class CompiledReplica:
    """One replica of many: its collectives become those of XLA.

    It has what the step asks of `tf.distribute.ReplicaContext`. TensorFlow's own collectives of TPUs have no kernel in its
    CPU bridge, which lowers the step; these have.

    Args:
      replicas: How many there are.
    """

    def __init__(self, replicas: int):
        self.num_replicas_in_sync = replicas

    @property
    def replica_id_in_sync_group(self) -> tf.Tensor:
        """This replica's number, [] int32."""
        return gen_xla_ops.xla_replica_id()

    def all_reduce(self, reduce_op: Any, value: Any, options: Any = None) -> Any:
        """See `tf.distribute.ReplicaContext.all_reduce`; differentiable, sums and means."""
        del options
        replicas = self.num_replicas_in_sync if _is_mean(reduce_op) else 1

        @tf.custom_gradient
        def reduce(tensor):
            def backward(gradient):
                return self._sum(gradient) / tf.cast(replicas, gradient.dtype)

            return self._sum(tensor) / tf.cast(replicas, tensor.dtype), backward

        return tf.nest.map_structure(reduce, value)

    def all_gather(self, value: tf.Tensor, axis: int, options: Any = None) -> tf.Tensor:
        """See `tf.distribute.ReplicaContext.all_gather`; along the first axis, differentiable.

        As TPUStrategy does it: a sum of tensors that are zero but for the replica's own rows.
        """
        del options
        if axis != 0:
            raise NotImplementedError(f"The first axis is all that the step gathers along. Found axis {axis}.")
        rows, rest = value.shape[0], value.shape[1:].as_list()
        start = tf.stack([self.replica_id_in_sync_group * rows, *[0] * len(rest)])

        @tf.custom_gradient
        def gather(own):
            places = tf.zeros([self.num_replicas_in_sync * rows, *rest], own.dtype)

            def backward(gradient):
                return gen_xla_ops.xla_dynamic_slice(self._sum(gradient), start, tf.constant([rows, *rest], tf.int32))

            return self._sum(gen_xla_ops.xla_dynamic_update_slice(places, own, start)), backward

        return gather(value)

    def _sum(self, value):
        # The constant has to be made inside the function that is traced.
        everyone = tf.constant([list(range(self.num_replicas_in_sync))], tf.int32)
        return gen_xla_ops.xla_all_reduce(value, everyone, reduce_op="Add", mode="CrossReplica")


@contextlib.contextmanager
def one_of(replicas: int) -> Iterator[CompiledReplica]:
    """A context in which whatever asks for the replica context is told that it is one of so many replicas."""
    real, stand_in = tf.distribute.get_replica_context, CompiledReplica(replicas)
    tf.distribute.get_replica_context = lambda: stand_in
    try:
        yield stand_in
    finally:
        tf.distribute.get_replica_context = real


def _is_mean(reduce_op):
    return reduce_op in (tf.distribute.ReduceOp.MEAN, "MEAN", "mean")
