"""What training keeps next to a Keras model: the method's state, as Keras saves it, and what `fit` reports."""

import numbers
import warnings
from collections.abc import Mapping

import tensorflow as tf

from harmonization.apply import replicas_run_in_threads
from harmonization.harmonizer import Harmonizer

_COMPARED = ("gradient_cosine", "gradient_conflict")
_ERROR_BARS = {"gradient_cosine_error": "cosine_error", "gradient_conflict_p": "conflict_p"}
_KEPT = "step_kept"
LOGGED = (*_COMPARED, *_ERROR_BARS, _KEPT)
"""All that a `HarmonizedModel` may report besides what Keras does."""


class TrainingState(tf.Module):
    """What training has changed besides the weights: the method's variables and the step.

    Args:
      harmonizer: The method.
      step: How many steps it has seen.
    """

    def __init__(self, harmonizer: Harmonizer, step: int):
        super().__init__()
        self.harmonizer = harmonizer
        self.step = tf.Variable(
            step, dtype=tf.int64, trainable=False, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA, name="step"
        )


class SavedState(tf.keras.losses.Loss):
    """Puts the training's state into the files that Keras writes.

    Keras saves the variables of a model's layers, optimizers, metrics and losses. Of these, a loss is the only one
    whose variables count neither among the model's weights nor in its reports.

    Args:
      state: The state.
    """

    def __init__(self, state: TrainingState):
        super().__init__(name="harmonization_state")
        self._training = state

    def call(self, y_true, y_pred):
        """Not a loss; see the class."""
        raise NotImplementedError("The saved state of the training is no loss.")

    def save_own_variables(self, store) -> None:
        """Writes the variables into a mapping of names to arrays; called by Keras."""
        for name, variable in self._named().items():
            store[name] = variable.numpy()

    def load_own_variables(self, store) -> None:
        """Reads the variables; called by Keras. A file that was written without them changes nothing.

        A file from a training with another method gives its step, and a warning.
        """
        names = set(store.keys())
        if not names:
            return
        named = self._named()
        if names == set(named):
            for name, variable in named.items():
                variable.assign(store[name][()])
        else:
            self._training.step.assign(store["step"][()])
            warnings.warn(
                "The file has the step, but another harmonization method's state, or one of an earlier version: it has "
                f"{sorted(names)}, the model has {sorted(named)}. The method's state starts anew.",
                stacklevel=2,
            )

    def _named(self) -> dict[str, tf.Variable]:
        """The variables by names that are the same in every process; a group's name may hold a slash."""
        named = {}
        for variable in self._training.variables:
            first = name = variable.name.removesuffix(":0").replace("/", "|")
            others = 0
            while name in named:  # such as those of two methods of one kind in `Significant`
                others += 1
                name = f"{first}#{others}"
            named[name] = variable
        return named


class LoggedMeans:
    """Means over the steps of an epoch.

    Args:
      compared: Whether gradients are measured, in some steps at least.
      error_bars: Whether gradients are measured in parts.

    Attributes:
      metrics: Keras metrics.
    """

    def __init__(self, compared: bool, error_bars: bool):
        names = [*_COMPARED, *(_ERROR_BARS if error_bars else ())] if compared else []
        self._by_name = {name: tf.keras.metrics.Mean(name=name) for name in [*names, _KEPT]}
        self.metrics = list(self._by_name.values())

    def report(self, report: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns what of a step's report is logged, of the same structure with and without measured gradients."""
        found = {name: report[name] for name in ("cosine", "defined", "conflict", "keep", "measured")}
        bars = [name for key, name in _ERROR_BARS.items() if key in self._by_name]
        return found | {name: report.get(name, tf.zeros_like(report["cosine"])) for name in bars}

    def update(self, found: Mapping[str, tf.Tensor]) -> None:
        """Adds a step, as `report` returns it."""
        measured = tf.fill(tf.shape(found["conflict"]), tf.cast(found["measured"], tf.float32))
        defined = tf.cast(found["defined"], tf.float32)
        self._add("gradient_cosine", found["cosine"], defined)
        self._add("gradient_conflict", found["conflict"], measured)
        for key, name in _ERROR_BARS.items():
            self._add(key, found.get(name), defined)
        self._add(_KEPT, found["keep"])

    def _add(self, name, value, weight=None):
        if name in self._by_name:
            self._by_name[name].update_state(tf.cast(value, tf.float32), weight)


def check_frequency(every: int | None, strategy: tf.distribute.Strategy) -> None:
    """Raises a ValueError if the gradients cannot be measured every so many steps."""
    if every is not None and (not isinstance(every, numbers.Integral) or every < 1):
        raise ValueError(f"`measure_gradients_every` should be None or an integer of at least 1. Found {every!r}.")
    with strategy.scope():
        if every not in (1, None) and replicas_run_in_threads():
            raise ValueError(
                f"Under {type(strategy).__name__} `measure_gradients_every` should be 1 or None. Found {every}."
            )
