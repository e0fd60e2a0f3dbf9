"""The method's state as Keras saves it."""

import warnings

import tensorflow as tf

from harmonization.harmonizer import Harmonizer


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
                "The file has the step, but another harmonization method's state: it has "
                f"{sorted(names)}, the model has {sorted(named)}. The method's state starts anew.",
                stacklevel=2,
            )

    def _named(self) -> dict[str, tf.Variable]:
        """The variables by names that are the same in every process; a group's name may hold a slash."""
        return {variable.name.partition(":")[0].replace("/", "|"): variable for variable in self._training.variables}
