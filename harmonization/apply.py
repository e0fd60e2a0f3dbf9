"""Applies an update, or skips a gated step without a trace."""

import inspect
from collections.abc import Callable, Sequence

import tensorflow as tf


@tf.autograph.experimental.do_not_convert
def apply_if(
    keep: tf.Tensor,
    optimizer,
    gradients: Sequence[tf.Tensor | None],
    variables: Sequence[tf.Variable],
) -> None:
    """Applies gradients if `keep`; otherwise changes no weight (not even by decay), moment or iteration.

    The optimizer runs inside a `tf.cond`, so that the weights are neither copied nor selected from.
    Call it in the replica context (inside `strategy.run`, or without any strategy), in a
    `tf.function` with or without XLA, or eagerly.

    Args:
      keep: [] bool, the same on all replicas. If each replica decides separately, combine the
        decisions first, for example by a logical or.
      optimizer: A Keras optimizer, of Keras 2 (tf_keras) or Keras 3.
      gradients: A list over variables, the same on all replicas, hence already reduced over them:
        they are not added up again. `None` leaves a variable unchanged.
      variables: The variables, in the same order.
    """
    if replicas_run_in_threads():
        # A Keras optimizer meets the other replicas in a `merge_call`, which a `tf.cond` forbids.
        # So we meet first, branch once for all, and reenter the replica context in the branch.
        tf.distribute.get_replica_context().merge_call(
            _apply_on_all_replicas, args=(keep, optimizer, list(gradients), list(variables))
        )
    else:
        _branch(keep, lambda: _apply(optimizer, gradients, variables))


def _apply_on_all_replicas(strategy, keep, optimizer, gradients, variables) -> None:
    def on_replica(own_gradients):
        _apply(optimizer, own_gradients, variables)

    same_everywhere = strategy.experimental_local_results(keep)[0]
    _branch(same_everywhere, lambda: strategy.run(on_replica, args=(gradients,)))


def _apply(optimizer, gradients, variables) -> None:
    if "skip_gradients_aggregation" in inspect.signature(optimizer.apply_gradients).parameters:
        pairs = list(zip(gradients, variables, strict=True))
        optimizer.apply_gradients(pairs, skip_gradients_aggregation=True)
    else:
        # Keras 3 always sums over the replicas; a replica's share of the same update, then.
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        shares = [None if each is None else each / replicas for each in gradients]
        optimizer.apply_gradients(list(zip(shares, variables, strict=True)))


def _branch(keep: tf.Tensor, apply: Callable[[], None]) -> None:
    def kept():
        apply()
        return tf.constant(True)

    tf.cond(keep, kept, lambda: tf.constant(False))


def replicas_run_in_threads() -> bool:
    """True under the mirrored strategies, which trace each replica in a Python thread of its own.

    False without a strategy, on one device and on TPUs, whose merge calls work inside a `tf.cond`.
    """
    mirrored = (tf.distribute.MirroredStrategy, tf.distribute.MultiWorkerMirroredStrategy)
    if not isinstance(tf.distribute.get_strategy(), mirrored):
        return False
    # The mirrored strategies do without merge calls when XLA compiles the replica for a GPU.
    return not tf.__internal__.distribute.strategy_supports_no_merge_call()
