"""The losses of a Keras model's outputs one by one; Keras itself gives their sum only."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf


def loss_objects(losses: Mapping[str, Any] | Sequence[Any]) -> dict[str, Any] | list[Any]:
    """Makes each loss an object of Keras, whichever way it was given; `None` stays `None`.

    Args:
      losses: Names of losses, functions (true values, predictions) -> [batch, ...] or Keras losses.
    """
    if isinstance(losses, Mapping):
        return {name: _loss_object(loss) for name, loss in losses.items()}
    return [_loss_object(loss) for loss in losses]


def output_losses(
    losses: Any, loss_weights: Any, targets: Any, outputs: Any, sample_weight: Any, names: Sequence | None
) -> list[tf.Tensor]:
    """The loss of every output that has one, as Keras computes it, masks and sample weights included.

    Args:
      losses: What `loss_objects` returns. This and the following are dicts by the outputs' names,
        or lists in their order.
      loss_weights: Factors on the losses, or `None`.
      targets: True values; one tensor if there is one output.
      outputs: Predictions; one tensor if there is one output.
      sample_weight: Weights per output, or one tensor for all outputs, or `None`.
      names: Names of the outputs if they are a list of named ones.

    Returns:
      [] float32 tensors. Their sums over the replicas are the losses of the global batch.

    Raises:
      ValueError: If no output has a loss, targets are missing, or names and numbers do not match.
    """
    if tf.is_tensor(outputs):
        outputs, targets = [outputs], targets if isinstance(targets, (Mapping, list, tuple)) else [targets]
    if isinstance(outputs, Mapping):
        names = list(outputs)
    names = names or list(range(len(outputs)))
    columns = {"loss": losses, "loss_weights": loss_weights, "targets": targets, "outputs": outputs}
    ordered = [_in_order(key, column, names, outputs) for key, column in columns.items()]
    ordered.append(_in_order("sample_weight", sample_weight, names, outputs))
    with_loss = [row for row in zip(names, *ordered, strict=True) if row[1] is not None]
    if not with_loss:
        raise ValueError(f"At least one of the outputs {names} should have a loss. Found none.")
    return [_output_loss(*row) for row in with_loss]


def _loss_object(loss: Any) -> Any:
    found = None if loss is None else tf.keras.losses.get(loss)
    if found is None or isinstance(found, tf.keras.losses.Loss):
        return found
    return _FunctionLoss(found)


class _FunctionLoss(tf.keras.losses.Loss):
    """What Keras makes of a function when it compiles a model, with a class that is not public."""

    def __init__(self, function):
        super().__init__(name=getattr(function, "__name__", "loss"))
        self._function = function

    def call(self, y_true, y_pred):
        return self._function(y_true, y_pred)


def _in_order(key: str, values: Any, names: Sequence, outputs: Any) -> list[Any]:
    """Per-output values as a list in the order of the outputs; one tensor stands for all of them."""
    if isinstance(values, Mapping):
        if key.startswith("loss") and (unknown := sorted(set(values) - set(names), key=str)):
            raise ValueError(f"`{key}` should name outputs among {list(names)}. Found {unknown}.")
        return [values.get(name) for name in names]
    if not isinstance(values, (list, tuple)):
        return [values] * len(names)
    if isinstance(outputs, Mapping):
        raise ValueError(
            f"The outputs are a dict, so `{key}` should be a dict with their names {list(names)}. Found a list."
        )
    if len(values) != len(names):
        raise ValueError(f"`{key}` should have one entry per output ({len(names)}). Found {len(values)}.")
    return list(values)


def _output_loss(name, loss, loss_weight, target, output, sample_weight) -> tf.Tensor:
    if target is None:
        raise ValueError(f"Output {name!r} has a loss, so there should be true values. Found none.")
    # Keras sets this on the losses of a compiled model, whose mean it divides by the replicas.
    loss._allow_sum_over_batch_size = True
    target, sample_weight = _matching(tf.convert_to_tensor(target), output, sample_weight)
    value = tf.reduce_mean(tf.cast(loss(target, output, sample_weight=sample_weight), tf.float32))
    if loss.reduction != "sum":
        value /= tf.distribute.get_strategy().num_replicas_in_sync
    return value if loss_weight is None else loss_weight * value


def _matching(target: tf.Tensor, output: tf.Tensor, sample_weight) -> tuple[tf.Tensor, tf.Tensor | None]:
    """Targets and weights with the rank and kind of the outputs; else a loss would compare all pairs."""
    if target.shape.rank == 1 and output.shape.rank == 2:
        target = target[:, None]
    elif target.shape.rank == output.shape.rank + 1 and target.shape[-1] == 1:
        target = target[..., 0]
    if target.dtype.is_floating and output.dtype.is_floating:
        target = tf.cast(target, output.dtype)
    if sample_weight is not None:
        sample_weight = tf.cast(sample_weight, output.dtype)
        if sample_weight.shape.rank == 1 and output.shape.rank == 2:
            sample_weight = sample_weight[:, None]
    return target, sample_weight
