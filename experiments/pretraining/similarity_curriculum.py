"""The curriculum on similarity: a clip's text and sound each weigh as much as they fit its video, among their batch."""

import dataclasses
from collections.abc import Mapping

import tensorflow as tf

import harmonization
import vatt
from experiments.pretraining.clip_trust import ClipTrust, Terms
from experiments.pretraining.rank_memory import RankMemory

CHANCE = 0.5
MOST_SLOTS = 2**26
"""Of `SimilarityGate.clip_slots`; 1 GiB."""


@dataclasses.dataclass(frozen=True)
class SimilarityGate:
    """When a text or a sound is trusted; used as `pretrain.clip_gate`, with `pretrain.granularity = 'sample'`.

    Our choice, not the paper's. The indicator is the rank of `vatt.pair_ranks`, 1/2 by chance and 1 for a pair that fits
    best of its batch. `pretrain.clip_softness` above 0 weighs by sigmoid((rank - threshold) / softness) instead of 0 and 1.

    Attributes:
      threshold: A pair is trained on if its rank exceeds this; a number or a schedule over the steps.
      start: Step from which the gates act; `None` to measure it: each of the two acts while the mean rank of its pairs, over
        the last `memory_steps` or so, exceeds `informative`. The mean is 1/2 as long as a model tells nothing of what
        belongs together, whatever its weights.
      informative: Above 1/2, below 1. Where half of the pairs are false, a perfect model has a mean of 3/4.
      memory_steps: Of the running mean.
      clip_slots: 0 judges a pair by its rank in the batch. Above, by the average of its ranks whenever the clip came, in a
        table of so many rows; see `RankMemory`. Several times the number of clips leaves most of them a row of their own.

    Raises:
      ValueError: A value is out of range.
    """

    threshold: harmonization.Schedule | float = 0.5
    start: int | None = None
    informative: float = 0.65
    memory_steps: int = 50
    clip_slots: int = 0

    def __post_init__(self) -> None:
        ends = (self.schedule.start, self.schedule.end)
        if not 0.0 <= ends[0] <= ends[1] < 1.0:
            raise ValueError(f"`SimilarityGate.threshold` should stay within [0, 1). Found {ends[0]} to {ends[1]}.")
        if self.start is not None and self.start < 0:
            raise ValueError(f"`SimilarityGate.start` should be at least 0. Found {self.start}.")
        if not CHANCE < self.informative < 1.0:
            raise ValueError(f"`SimilarityGate.informative` should lie between 0.5 and 1. Found {self.informative}.")
        if self.memory_steps < 1:
            raise ValueError(f"`SimilarityGate.memory_steps` should be at least 1. Found {self.memory_steps}.")
        if not 0 <= self.clip_slots <= MOST_SLOTS:
            raise ValueError(f"`SimilarityGate.clip_slots` should be 0 to {MOST_SLOTS:,}. Found {self.clip_slots}.")

    @property
    def schedule(self) -> harmonization.Schedule:
        """The threshold over the steps."""
        fixed = not isinstance(self.threshold, harmonization.Schedule)
        return harmonization.ConstantSchedule(self.threshold) if fixed else self.threshold


class SimilarityCurriculum(tf.Module):
    """Gates or weighs each clip's video-text and video-audio loss on its own, by the embeddings of the batch.

    So a clip with a false narration keeps its sound. It costs no backward pass. A pair that weighs 0 stays a negative for
    the others; a clip without text or sound has no rank there and no loss. If nothing is left to learn from, the step is
    skipped. Its state, which checkpoints carry, are the running means and, with `clip_slots`, the clips' average ranks.

    Logged, per objective: `pair_rank`, the mean rank of the pairs that have one; `pair_weight`, their mean weight. Without
    any they are 0 and 1. The losses that are logged are those of all clips.

    Args:
      gate: When a pair is trusted.
      objectives: Names of the losses.
      softness: 0 for weights 0 and 1, or how soft the gate is.
    """

    def __init__(self, gate: SimilarityGate, objectives: tuple[str, ...], softness: float = 0.0):
        super().__init__(name="similarity_curriculum")
        self.gate, self.softness, self.objectives = gate, softness, objectives
        self.fields = tuple(f"{name}_{objective}" for name in ("pair_rank", "pair_weight") for objective in objectives)
        self.mean_ranks = tf.Variable(
            tf.fill([len(objectives)], CHANCE), trainable=False, name="mean_ranks",
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )  # fmt: skip
        self.memory = RankMemory(gate.clip_slots, objectives) if gate.clip_slots else None

    def __call__(
        self,
        head: tf.Module,
        embeddings: dict[str, dict[str, tf.Tensor]],
        clips: dict[str, tf.Tensor],
        terms: Terms,
        step: tf.Tensor,
        loss_options: Mapping[str, object],
    ) -> ClipTrust:
        """See `ClipCurriculum.__call__`; the head does not matter, and of the losses' options only `clips_at_a_time`."""
        ranks = vatt.pair_ranks(embeddings, clips, loss_options.get("clips_at_a_time"))
        judged = ranks if self.memory is None else self.memory.averaged(clips["clip_slot"], ranks)
        sums = {name: (_total(rank), _total(ranked)) for name, (rank, ranked) in ranks.items()}
        sums, losses = harmonization.sum_over_replicas((sums, vatt.mean_losses(terms)))
        active = self._active(sums, step)
        weights = {name: self._weights(*judged[name], active[name], step) for name in self.objectives}
        counts = {
            name: (_total(1.0 - weights[name]), _total(has & (weights[name] > 0.0)), _total(has))
            for name, (_, has) in terms.items()
        }
        counts = harmonization.sum_over_replicas(counts)
        kept, has_loss = (tf.add_n([counts[name][place] for name in self.objectives]) for place in (1, 2))
        report = {}
        for name, (total, ranked) in sums.items():
            report[f"pair_rank_{name}"] = tf.math.divide_no_nan(total, ranked)
            report[f"pair_weight_{name}"] = 1.0 - tf.math.divide_no_nan(counts[name][0], ranked)
        return ClipTrust(weights, (kept > 0.0) | (has_loss == 0.0), losses, report)

    def _active(self, sums, step):
        """Whether the gate of each objective acts, [] bool; moves the running means."""
        before = tf.convert_to_tensor(self.mean_ranks)
        total, ranked = (tf.stack([sums[name][place] for name in self.objectives]) for place in range(2))
        moved = before + (tf.math.divide_no_nan(total, ranked) - before) / self.gate.memory_steps
        means = tf.where(ranked > 0.0, moved, before)
        self.mean_ranks.assign(means)
        acts = (
            means > self.gate.informative if self.gate.start is None else tf.fill(means.shape, step >= self.gate.start)
        )
        return dict(zip(self.objectives, tf.unstack(acts), strict=True))

    def _weights(self, rank, ranked, active, step):
        margin = rank - self.gate.schedule(step)
        weights = tf.sigmoid(margin / self.softness) if self.softness else tf.cast(margin > 0.0, tf.float32)
        return tf.where(ranked & active, weights, 1.0)


def _total(values):
    return tf.reduce_sum(tf.cast(values, tf.float32))
