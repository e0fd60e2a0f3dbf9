"""The losses of a Keras model's outputs one by one, as Keras computes them; Keras itself gives their sum only."""

import contextvars
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from harmonization.part_gradients import LossParts

# What Keras makes of a function when it compiles a model. Keras 3 has no public name for it, but all of its losses
# derive from it.
_FunctionLoss = tf.keras.losses.MeanSquaredError.__base__
# A context variable, since the replicas of a strategy run in threads of their own.
_RECORDING = contextvars.ContextVar("recording", default=None)


def recorded_losses(losses: Mapping[str, Any] | Sequence[Any]) -> dict[str, Any] | list[Any]:
    """Makes losses that Keras compiles and computes like the given ones, and `output_losses` can tell apart.

    Args:
      losses: Names of losses, functions (true values, predictions) -> [batch, ...] or Keras losses, by the names of
        the outputs or in their order; `None` stays `None`.

    Raises:
      ValueError: If an entry is a dict or a list of losses, or names none.
    """
    if isinstance(losses, Mapping):
        return {name: _recorded(name, loss) for name, loss in losses.items()}
    return [_recorded(index, loss) for index, loss in enumerate(losses)]


def count_losses(losses: Mapping[str, Any] | Sequence[Any]) -> int:
    """How many outputs have a loss."""
    return sum(loss is not None for loss in (losses.values() if isinstance(losses, Mapping) else losses))


def output_losses(
    compute_loss: Callable[[], tf.Tensor], losses: Any, outputs: Any, names: Sequence | None
) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Takes Keras' total loss apart.

    Args:
      compute_loss: Computes the total with the losses that the model was compiled with.
      losses: Those losses, from `recorded_losses`.
      outputs: Predictions: a dict by the outputs' names, a list in their order, or one tensor.
      names: Names of the outputs if they are a list of named ones.

    Returns:
      A [] float32 tensor for every output that has a loss, in the order of the outputs: its share of the total, loss
      weights included, with a gradient. Their sums over the replicas are the losses of the global batch. Then the
      total, which includes penalties and has no gradient from the outputs' losses.
    """
    with tf.GradientTape() as tape:
        recording = _Recording(tape)
        token = _RECORDING.set(recording)
        try:
            total = compute_loss()
        finally:
            _RECORDING.reset(token)
    factors = tape.gradient(total, recording.constants)  # loss weights, and Keras 2's share of a replica
    keys = recording.keys
    shares = [
        tf.reduce_sum(tf.cast(value, tf.float32) * tf.cast(factor, tf.float32))
        for value, factor in zip(recording.values, factors, strict=True)
    ]
    if isinstance(losses, Mapping):  # Keras 2 sorts the names
        order = _names_of(outputs, names)
        keys = [order.index(key) for key in keys]
    return [share for _, share in sorted(zip(keys, shares, strict=True), key=lambda pair: pair[0])], total


def split_outputs(tape: tf.GradientTape, outputs: Any) -> LossParts:
    """Returns what splits the gradients of losses by the examples; the losses start from its outputs."""
    parts = LossParts(tape, outputs)
    for copy, output in zip(tf.nest.flatten(parts.outputs), tf.nest.flatten(outputs), strict=True):
        if hasattr(output, "_keras_mask"):  # where Keras keeps which steps of a sequence count
            copy._keras_mask = output._keras_mask
    return parts


def check_losses(columns: Mapping[str, Any], outputs: Any, names: Sequence | None) -> None:
    """Checks what belongs to the outputs one by one.

    Args:
      columns: The losses ("loss"), "loss_weights", "targets" and "sample_weight": dicts by the outputs' names, lists in
        their order, or one value for all outputs.
      outputs: As in `output_losses`.
      names: As in `output_losses`.

    Raises:
      ValueError: If no output has a loss, targets are missing, or names and numbers do not match.
    """
    order = _names_of(outputs, names)
    ordered = {key: _in_order(key, column, order, outputs) for key, column in columns.items()}
    losses, targets = ordered["loss"], ordered["targets"]
    if all(loss is None for loss in losses):
        raise ValueError(f"At least one of the outputs {order} should have a loss. Found none.")
    for name, loss, target in zip(order, losses, targets, strict=True):
        if loss is not None and target is None:
            raise ValueError(f"Output {name!r} has a loss, so there should be true values. Found none.")


@dataclass
class _Recording:
    """What the losses of one step came to, in the order in which Keras asked for them."""

    tape: tf.GradientTape
    keys: list = field(default_factory=list)
    values: list[tf.Tensor] = field(default_factory=list)
    constants: list[tf.Tensor] = field(default_factory=list)

    def add(self, key: str | int, value: tf.Tensor) -> tf.Tensor:
        """Keeps a loss; returns what Keras adds up, a constant, so that the total's gradient says its factor."""
        constant = tf.stop_gradient(value)
        self.tape.watch(constant)
        self.keys.append(key)
        self.values.append(value)
        self.constants.append(constant)
        return constant


@tf.keras.utils.register_keras_serializable("harmonization", "RecordedLoss")
class _RecordedLoss(tf.keras.losses.Loss):
    """A loss that Keras takes for the one in it; `given` is that one as the user gave it."""

    def __init__(self, key: str | int, loss: tf.keras.losses.Loss, given: Any):
        super().__init__(reduction=loss.reduction, name=loss.name)
        self.key, self.loss, self.given = key, loss, given
        loss._allow_sum_over_batch_size = True  # Keras 2 sets this on the losses of a compiled model

    def __call__(self, y_true, y_pred, sample_weight=None):
        value = self.loss(y_true, y_pred, sample_weight=sample_weight)
        recording = _RECORDING.get()
        return value if recording is None else recording.add(self.key, value)

    def call(self, y_true, y_pred):
        return self.loss.call(y_true, y_pred)

    def get_config(self):
        given = self.given
        return {"key": self.key, "loss": tf.keras.losses.serialize(given) if callable(given) else given}

    @classmethod
    def from_config(cls, config):
        return _recorded(**config)


def _cross_entropy(y_true, y_pred):
    """What "crossentropy" and "ce" mean to Keras 3: the cross-entropy that fits the shapes."""
    losses = tf.keras.losses
    if y_pred.shape[-1] == 1:
        return losses.binary_crossentropy(y_true, y_pred)
    if len(y_true.shape) < len(y_pred.shape) or y_true.shape[-1] == 1:
        return losses.sparse_categorical_crossentropy(y_true, y_pred)
    return losses.categorical_crossentropy(y_true, y_pred)


def _recorded(key: str | int, loss: Any) -> _RecordedLoss | None:
    if loss is None:
        return None
    if hasattr(tf.keras, "ops") and str(loss).lower() in ("crossentropy", "ce"):
        return _RecordedLoss(key, _FunctionLoss(_cross_entropy, name=loss), loss)
    if isinstance(loss, _RecordedLoss):  # compiled again with `model.loss`
        return _RecordedLoss(key, loss.loss, loss.given)
    if isinstance(loss, (list, tuple)) or (isinstance(loss, Mapping) and "class_name" not in loss):
        raise ValueError(
            f"`loss` should have one loss for output {key!r}, and outputs should not be nested. Found {loss!r}."
        )
    found = tf.keras.losses.get(loss)
    if not isinstance(found, tf.keras.losses.Loss):
        found = _FunctionLoss(found, name=loss if isinstance(loss, str) else _name_of(found))
    return _RecordedLoss(key, found, loss)


def _name_of(function: Callable) -> str:
    """The name that Keras gives a function, by which it logs the losses of outputs without names."""
    if hasattr(function, "name"):
        return function.name
    name = re.sub(r"\W+", "", getattr(function, "__name__", type(function).__name__))
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _names_of(outputs: Any, names: Sequence | None) -> list:
    if isinstance(outputs, Mapping):
        return list(outputs)
    return list(names or range(1 if tf.is_tensor(outputs) else len(outputs)))


def _in_order(key: str, values: Any, names: Sequence, outputs: Any) -> list[Any]:
    """Per-output values as a list in the order of the outputs; one tensor stands for all of them."""
    if isinstance(values, Mapping):
        unknown = sorted(set(values) - set(names), key=str)
        if key.startswith("loss") and unknown:
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
