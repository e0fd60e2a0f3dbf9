"""A Keras model whose `fit` harmonizes the gradients of its losses."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from harmonization.groups import check_names, indices_of, places_of
from harmonization.harmonizer import Harmonizer, check_method
from harmonization.keras_state import LOGGED, LoggedMeans, SavedState, TrainingState, check_frequency
from harmonization.methods import SAVED_METHODS, get, make_saved
from harmonization.minimize import minimize
from harmonization.output_losses import check_losses, count_losses, output_losses, recorded_losses, split_outputs
from harmonization.part_gradients import check_parts
from harmonization.saved_methods import method_config, method_from_config

_CONFIG = "harmonization"


class HarmonizedTraining:
    """A mixin whose `fit` harmonizes gradients; put it before `tf.keras.Model` among your model's bases.

        class MyModel(harmonization.HarmonizedTraining, tf.keras.Model): ...

    Besides what Keras reports, `fit` reports means over the epoch: `gradient_cosine` (the smallest
    of any two losses, over the steps and groups where it is defined), `gradient_conflict` (the share
    of steps and groups in conflict) and `step_kept` (the share of steps that were taken). With
    `gradient_parts`, also `gradient_cosine_error` and `gradient_conflict_p`, the means of a step's
    `cosine_error` and `conflict_p` (see `harmonize`) where the cosine is defined.
    Regularization losses take no part: their gradients are added to the update. Works with Keras 2
    (tf_keras) and Keras 3, whichever `tf.keras` is, with XLA, mixed precision and `tf.distribute`.

    `.keras` and `.weights.h5` files, `ModelCheckpoint`, `BackupAndRestore` and `tf.train.Checkpoint(model=model)` hold the
    method's state and step as well; a `.keras` file also says which method it is, with which options and groups. An
    overridden `compute_loss` changes what is logged, not what is trained on.
    """

    _beside = None
    _saved_state = None

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Mapping[str, Any] | Sequence[Any] | None = None,
        metrics: Any = None,
        *,
        harmonizer: Harmonizer | str = "sum",
        groups: Mapping[str, Any] | None = None,
        loss_weights: Mapping[str, float] | Sequence[float] | None = None,
        measure_gradients_every: int | None = 1,
        gradient_parts: int | None = None,
        **options: Any,
    ) -> None:
        """Configures the model for training.

        Args:
          optimizer: As in Keras.
          loss: One loss per output: a dict by the names of the outputs, or a list in their order. Each is a name, a
            function or an object, as in Keras, which computes it; `None` where an output has none.
          metrics: As in Keras.
          harmonizer: A method, or the name of one.
          groups: Names of groups of variables to the layers (or variables, or lists of either) that
            form them, harmonized one by one; variables in none get the plain sum. `None` makes
            one group of all variables.
          loss_weights: Factors on the losses, before their gradients are taken.
          measure_gradients_every: A method that decides without the gradients (see `Harmonizer.needs_gram`) takes one
            backward pass, as plain Keras does, except in every so many steps, in which each loss's
            gradient is taken to log cosine and conflicts. 1 measures every step, `None` none. Under a mirrored strategy
            it has to be one of these two, since replicas that run in threads cannot meet in a branch.
          gradient_parts: Parts of each replica's batch whose gradients are taken one by one, for error bars and
            `Significant`: an even number, on all replicas together at least four. Each takes a backward pass per loss, and
            losses get 16-bit outputs as float32.
          **options: Other arguments of Keras' `compile`.

        Raises:
          ValueError: If there are not several losses, there is no such method, gradients cannot be measured so often, the
            method needs parts and there are none or too few, or an argument is of the wrong kind.
        """
        check_frequency(measure_gradients_every, self.distribute_strategy)
        method = get(harmonizer) if isinstance(harmonizer, str) else harmonizer
        check_method(method)
        check_parts(gradient_parts, method, self.distribute_strategy.num_replicas_in_sync)
        check_names(groups)
        if not isinstance(loss, (Mapping, list, tuple)) or not loss:
            raise ValueError(
                "`loss` should be a dict or a list with one loss per output, so that there are "
                f"gradients to harmonize. Found {loss!r}."
            )
        loss = recorded_losses(loss)
        super().compile(optimizer=optimizer, loss=loss, metrics=metrics, loss_weights=loss_weights, **options)
        setup = {"loss": loss, "loss_weights": loss_weights, "groups": groups, "gradient_parts": gradient_parts}
        setup["measure_every"] = measure_gradients_every
        with self.distribute_strategy.scope():
            step = self._beside.state.step.numpy() if self._beside else 0  # compiled again, it continues
            never = measure_gradients_every is None and not method.needs_gram(groups)
            method.build(count_losses(loss), tuple(groups) if groups else ("all",))
            self._beside = _Beside(method, step, LoggedMeans(not never, bool(gradient_parts)), setup)
        self._saved_state = SavedState(self._beside.state)
        # For `tf.train.Checkpoint`. As a plain attribute, Keras 2 would count its variables among the model's weights.
        self._track_trackable(self._beside.state, "harmonization_state", overwrite=True)

    def _trackable_children(self, save_type="checkpoint", **kwargs):
        children = super()._trackable_children(save_type, **kwargs)
        if save_type != "checkpoint":  # a SavedModel is for inference
            children.pop("harmonization_state", None)
        return children

    def get_compile_config(self) -> dict[str, Any] | None:
        """What a `.keras` file says about `compile`, as in Keras, with the method, its options and the groups."""
        config = super().get_compile_config()
        if not config or self._beside is None:
            return config
        setup = self._beside.setup
        groups = None if setup["groups"] is None else places_of(self.weights, setup["groups"])
        method = method_config(self._beside.state.harmonizer, SAVED_METHODS)
        times = {"measure_gradients_every": setup["measure_every"], "gradient_parts": setup["gradient_parts"]}
        return config | {_CONFIG: {"method": method, "groups": groups, **times}}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles the model as `get_compile_config` says.

        Raises:
          ValueError: If the method is neither one of `METHODS` nor `Significant`, or its options are not plain values.
        """
        if type(self).compile is not HarmonizedTraining.compile or _CONFIG not in config:
            return super().compile_from_config(config)  # warns, since only the class knows what to do
        own = config[_CONFIG]
        groups = own["groups"] and {name: [self.weights[at] for at in places] for name, places in own["groups"].items()}
        options = tf.keras.utils.deserialize_keras_object({key: each for key, each in config.items() if key != _CONFIG})
        self.compile(
            **options,
            harmonizer=method_from_config(own["method"], make_saved),
            groups=groups,
            measure_gradients_every=own["measure_gradients_every"],
            gradient_parts=own.get("gradient_parts"),
        )
        if self.built:
            self.optimizer.build(self.trainable_variables)

    @property
    def harmonization_state(self) -> tf.Module:
        """The method's variables and step, to save in a `tf.train.Checkpoint` next to the model."""
        if self._beside is None:
            raise ValueError("The model has no method yet. Call `compile` with `harmonizer=`, also after loading it.")
        return self._beside.state

    @property
    def metrics(self) -> list[Any]:
        """Those of Keras, and those of the harmonization."""
        return [*super().metrics, *(self._beside.means.metrics if self._beside else ())]

    def train_step(self, data: Any) -> dict[str, Any]:
        """One step of `fit`: outputs, losses, a gradient of each, harmonized update, metrics."""
        state, count = self.harmonization_state, self._beside.setup["gradient_parts"]
        inputs, targets, sample_weight = tf.keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape(persistent=True) as tape:
            outputs = self(inputs, training=True)
            parts = split_outputs(tape, outputs) if count else None
            losses, total = self._losses_of(inputs, targets, parts.outputs if parts else outputs, sample_weight)
            penalty = self._penalty()
        if type(self).compute_loss is not tf.keras.Model.compute_loss:
            total = self.compute_loss(inputs, targets, outputs, sample_weight)
        self._record_total(inputs, total)
        losses = parts.split(losses, count) if parts else losses
        after = functools.partial(self._losses_after, inputs, targets, sample_weight)
        report = self._minimize(tape, losses, penalty, after)
        state.step.assign_add(1)
        self._beside.means.update(report)
        return self.compute_metrics(inputs, targets, outputs, sample_weight)

    def _minimize(self, tape, losses, penalty, losses_after) -> dict[str, tf.Tensor]:
        state, setup, means = self.harmonization_state, self._beside.setup, self._beside.means
        groups, every = setup["groups"], setup["measure_every"]
        if groups is not None:
            groups = indices_of(self.trainable_variables, groups)

        def run(measure: bool) -> dict[str, tf.Tensor]:
            report = minimize(
                tape,
                losses,
                self.trainable_variables,
                self.optimizer,
                state.harmonizer,
                groups=groups,
                step=state.step,
                penalty=penalty,
                measure=measure,
                losses_after=losses_after,
            )
            return means.report(report)

        if every in (1, None) or state.harmonizer.needs_gram(groups):
            return run(measure=every is not None)
        return tf.cond(state.step % every == 0, lambda: run(True), lambda: run(False))

    def test_step(self, data: Any) -> dict[str, Any]:
        """One step of `evaluate`, which has no gradients to report on."""
        return {name: value for name, value in super().test_step(data).items() if name not in LOGGED}

    def _losses_of(self, inputs, targets, outputs, sample_weight) -> tuple[list[tf.Tensor], tf.Tensor]:
        setup, names = self._beside.setup, getattr(self, "output_names", None)
        columns = {
            "loss": setup["loss"],
            "loss_weights": setup["loss_weights"],
            "targets": targets,
            "sample_weight": sample_weight,
        }
        check_losses(columns, outputs, names)
        compute_loss = super().compute_loss
        return output_losses(
            lambda: compute_loss(inputs, targets, outputs, sample_weight), setup["loss"], outputs, names
        )

    def _losses_after(self, inputs, targets, sample_weight) -> list[tf.Tensor]:
        # A second forward pass in training mode; batch statistics are not to move twice, nor metrics to count twice.
        variables = [*self.non_trainable_variables, *(each for metric in self.metrics for each in metric.variables)]
        before = [tf.identity(variable) for variable in variables]
        losses, _ = self._losses_of(inputs, targets, self(inputs, training=True), sample_weight)
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
        return losses

    def _penalty(self) -> tf.Tensor | None:
        if not self.losses:
            return None
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        return tf.add_n([tf.cast(loss, tf.float32) for loss in self.losses]) / replicas

    def _record_total(self, inputs, loss) -> None:
        if hasattr(tf.keras, "ops"):  # Keras 3 leaves the total to the caller
            replicas = tf.distribute.get_strategy().num_replicas_in_sync
            total = next(metric for metric in self.metrics if metric.name == "loss")
            present = next(each for each in tf.nest.flatten(inputs) if each is not None)  # Keras 3 has optional inputs
            total.update_state(loss * replicas, sample_weight=tf.shape(present)[0])


class HarmonizedModel(HarmonizedTraining, tf.keras.Model):
    """A Keras model with several outputs whose `fit` harmonizes the gradients of their losses.

    Build it like any model (functional, or as the base of a subclass), and compile it with one loss
    per output and a method:

        model = harmonization.HarmonizedModel(inputs, {"depth": depth, "normals": normals})
        model.compile("adam", loss={"depth": "mae", "normals": "mse"}, harmonizer="upgrad")
        model.fit(dataset, epochs=10)

    See `HarmonizedTraining`, which holds all there is to it; a functional model is an instance of that class, not of this one,
    also one of a subclass. Functional models and models with a `call` should not share a base class of your own.
    """

    def __new__(cls, *args, **kwargs):
        """Builds a functional model apart: Keras rewrites its bases, and would those of subclasses."""
        if cls is HarmonizedModel and _is_functional(args, kwargs):
            return FunctionalModel(*args, **kwargs)
        return super().__new__(cls, *args, **kwargs)

    def __init__(self, *args, **kwargs):
        if not _is_functional(args, kwargs):
            return super().__init__(*args, **kwargs)
        # Keras puts `Functional` among the bases of all classes up to its own, here this one, and so breaks the models of all
        # other subclasses. Whoever makes functional models of their own class gets the one that is for these.
        _replace_base(type(self), HarmonizedModel, FunctionalModel)
        FunctionalModel.__init__(self, *args, **kwargs)


@tf.keras.utils.register_keras_serializable("harmonization", "FunctionalModel")
class FunctionalModel(HarmonizedTraining, tf.keras.Model):
    """What `HarmonizedModel(inputs, outputs)` makes; an `.h5` file is read with it among the `custom_objects`."""


def _is_functional(args, kwargs) -> bool:
    """Whether these are the arguments of a functional model."""
    return len(args) > 1 or "inputs" in kwargs or "outputs" in kwargs


def _replace_base(cls: type, old: type, new: type) -> None:
    """Replaces a class by another one among the bases of a class, and of these."""
    for base in cls.__bases__:
        if base is not old and issubclass(base, old):
            _replace_base(base, old, new)
    if old in cls.__bases__:
        cls.__bases__ = tuple(new if base is old else base for base in cls.__bases__)


class _Beside:
    """What belongs to the training, not to the model: Keras must not count it among the layers and weights."""

    def __init__(self, harmonizer: Harmonizer, step: int, means: LoggedMeans, setup: dict[str, Any]):
        self.state, self.means, self.setup = TrainingState(harmonizer, step), means, setup
