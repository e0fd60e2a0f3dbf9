"""A batch in parts that fit the device: gradient caching (arXiv 2101.06983)."""

import functools
from collections.abc import Mapping, Sequence

import tensorflow as tf

import vatt
from experiments.training.step_trainer import FinishClips
from harmonization import RecomputedCut
from harmonization.backward import Gradients
from harmonization.gram import cross_gram
from harmonization.significance import Parts


class MicroBatches:
    """A replica's batch that passes through the towers in equal parts, each forgotten before the next begins.

    First the pooled features of all parts are computed, without a recording. The head and the losses then see the whole
    batch. With the gradients at the features every part passes through its towers once more, forward and back, with the
    same draws. The result is that of the whole batch, but for rounding, for a third more work.

    Args:
      model: Whose towers.
      clips: The batch, of static shape.
      count: How many parts it is passed through in.
      seed: int64 [2], of the draws, as of the whole batch.
      finish: What is done to the clips of a part before they enter the model, so that bytes become floats one part at a time.
    """

    def __init__(
        self, model: vatt.VATT, clips: Mapping[str, tf.Tensor], count: int, seed: tf.Tensor, finish: FinishClips
    ):
        self.model, self.count, self.seed, self.finish = model, count, seed, finish
        self.clips = {name: values for name, values in clips.items() if values.dtype != tf.string}

    def embed(self, tape: tf.GradientTape, decides: bool) -> tuple[dict[str, dict[str, tf.Tensor]], RecomputedCut]:
        """Returns what the model makes of the whole batch, of which the tape records the head alone, and its cut.

        Args:
          tape: Is recording.
          decides: Whether the Gram matrix of what lies above the pooled features decides.
        """
        with tape.stop_recording():
            features = self._features()
        for feature in features.values():
            tape.watch(feature)
        embeddings = self.model.project(features, training=True)
        return embeddings, RecomputedCut(list(features.values()), self.pull_back, decides, self.pull_back_parts)

    def pull_back(self, cotangents: Sequence[Gradients], sources: Sequence[Sequence[tf.Variable]]) -> list[Gradients]:
        """See `harmonization.backward.Cut.pull_back`: the sums over all parts, which pass through the towers once more."""
        reached = [self._reached(*each) for each in zip(cotangents, sources, strict=True)]
        sums = self._sums(cotangents, reached, 0, self.count)
        return [_in_order(*each) for each in zip(sums, reached, sources, strict=True)]

    def pull_back_parts(
        self, cotangents: Sequence[Gradients], variables: Sequence[tf.Variable], parts: Parts
    ) -> tuple[list[Gradients], tf.Tensor]:
        """See `harmonization.backward.Cut.pull_back_parts`: one or several neighboring passes are a part."""
        reached, passes = [self._reached(row, variables) for row in cotangents], self.count // parts.here
        shape = [len(variables), parts.blocks, len(cotangents), len(cotangents)]

        def ordered(rows):
            return [_in_order(*each, variables) for each in zip(rows, reached, strict=True)]

        def add_part(part, sums, earlier, products):
            own = self._sums(cotangents, reached, passes * part, passes)
            inside = tf.cast(part % parts.block > 0, tf.float32)
            earlier = tf.nest.map_structure(lambda each: tf.math.multiply_no_nan(each, inside), earlier)
            found = cross_gram(ordered(earlier), ordered(own))
            block = tf.one_hot(part // parts.block, parts.blocks)[None, :, None, None]
            add = functools.partial(tf.nest.map_structure, tf.add)
            return part + 1, add(sums, own), add(earlier, own), products + block * found[:, None]

        _, sums, _, products = tf.while_loop(
            lambda part, *_: part < parts.here, add_part, (0, _zeros(reached), _zeros(reached), tf.zeros(shape)),
            parallel_iterations=1, maximum_iterations=parts.here,
        )  # fmt: skip
        return ordered(sums), products

    def _sums(self, cotangents, reached, first, count):
        """The gradients of some passes, from the first one on, added up."""

        def add_pass(index, sums):
            part = vatt.BatchPart(first + index, self.count)
            with tf.GradientTape(persistent=True) as tape:
                features = list(self._part(part).values())
            own = [
                _gradients(tape, features, [None if each is None else part.of(each) for each in row], variables)
                for row, variables in zip(cotangents, reached, strict=True)
            ]
            return index + 1, tf.nest.map_structure(tf.add, sums, own)

        # A loop starts with what it has: without this the first pass would lie in memory while others are computed.
        with tf.control_dependencies([each for row in cotangents for each in row if each is not None]):
            start = tf.identity(0)
        _, sums = tf.while_loop(
            lambda index, _: index < count, add_pass, (start, _zeros(reached)),
            parallel_iterations=1, maximum_iterations=count,
        )  # fmt: skip
        return sums

    def _features(self):
        """The pooled features of all clips, float32."""
        clips = next(iter(self.clips.values())).shape[0] // self.count
        candidates = {"text": self.clips["text"].shape[1:2]} if "text" in self.clips else {}
        specs = {
            modality: tf.TensorSpec([clips, *candidates.get(modality, ()), self.model.feature_dims[modality]])
            for modality in self.model.modalities
        }
        parts = tf.map_fn(
            lambda index: self._part(vatt.BatchPart(index, self.count)), tf.range(self.count),
            fn_output_signature=specs, parallel_iterations=1,
        )  # fmt: skip
        return {modality: tf.reshape(features, [-1, *features.shape[2:]]) for modality, features in parts.items()}

    def _part(self, part):
        clips = {name: part.of(values) for name, values in self.clips.items()}
        return self.model(self.finish(clips), training=True, seed=self.seed, part=part)["features"]

    def _reached(self, cotangents, variables):
        """Those of the variables that lie on the way of a gradient."""
        modalities = [name for name, each in zip(self.model.modalities, cotangents, strict=True) if each is not None]
        on_the_way = {id(variable) for name in modalities for variable in self.model.path_variables(name)}
        return [variable for variable in variables if id(variable) in on_the_way]


def _zeros(reached):
    return [[tf.zeros(variable.shape, variable.dtype) for variable in row] for row in reached]


def _in_order(gradients, reached, sources):
    """The gradients of the sources, `None` for one that is not reached."""
    found = {id(variable): gradient for variable, gradient in zip(reached, gradients, strict=True)}
    return [found.get(id(variable)) for variable in sources]


def _gradients(tape, features, cotangents, variables):
    pairs = [pair for pair in zip(features, cotangents, strict=True) if pair[1] is not None]
    targets, factors = ([pair[place] for pair in pairs] for place in range(2))
    found = tape.gradient(targets, variables, output_gradients=factors, unconnected_gradients="zero")
    return [tf.convert_to_tensor(gradient) for gradient in found]
