"""The table of all numbers that training logs: how each is read from a step, summarized, named and shown.

The columns of a log, the progress line, the curves of the reports, the summary of a run and the result tables read this
table, so a new quantity is a line here and, where `harmonization.harmonize` does not report it, the code that computes it.
"""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

import harmonization
from experiments.training.step_means import conflict_rate, mean_cosine, measured_mean

PER_STEP, PER_OBJECTIVE, PER_GROUP, PER_GROUP_AND_OBJECTIVE = "step", "objective", "group", "group and objective"


def _mean(values, step_seconds):
    return values.mean()


def _find_nonfinite(report):
    if "bad_variable" in report:
        return report["bad_variable"], report["bad_objective"]
    return harmonization.find_nonfinite(report["variable_gram"])


@dataclasses.dataclass(frozen=True)
class Figure:
    """How a quantity stands for a whole run.

    Attributes:
      key: Its name in `result["harmonization"]`.
      title: Its name in tables.
      digits: Digits after the point.
      optional: Whether some runs do without it.
    """

    key: str
    title: str
    digits: int = 1
    optional: bool = False


@dataclasses.dataclass(frozen=True)
class Quantity:
    """A logged number.

    Attributes:
      name: In metrics.jsonl and TensorBoard, followed by objective or part.
      title: Heads its curve.
      unit: Labels the axis of its curve.
      per: What there is one of it for: one of the constants of this module.
      read: Reads it from the report of a step: a tensor `[]`, `[objectives]`, `[groups]` or `[groups, objectives]`, the
        group's axis missing if there is one group only; `None` if it is computed elsewhere or only from a loop.
      over_loop: A function (values [steps], seconds per step) -> the loop's number; `None` if metrics do not show it.
      source: The quantity whose columns `over_loop` takes; `None` for its own.
      every_step: Name in metrics.jsonl of the list of all steps' values; `None` for no list.
      measured_in: Name of the list in metrics.jsonl whose numbers are of the steps that it is a mean over, as `cosines`; see
        `mean_cosine`. `None` for all steps.
      noun: What one of it is called, where there is one per objective.
      line: Its part of the progress line, a format of its number.
      percent: Whether it is a fraction that is shown in percent.
      log_scale: Whether its curve has a logarithmic axis.
      curve: Whether a report draws it.
      swept: Whether the report on a sweep draws it.
      last_loop: Whether a run is also judged by its last steps alone.
      figure: How it is summarized over a run; `None` if it is not.
    """

    name: str
    title: str
    unit: str
    per: str = PER_STEP
    read: Callable[[Mapping[str, tf.Tensor]], tf.Tensor] | None = None
    over_loop: Callable[[np.ndarray, float], float] | None = _mean
    source: str | None = None
    every_step: str | None = None
    measured_in: str | None = None
    noun: str = ""
    line: str = ""
    percent: bool = False
    log_scale: bool = False
    curve: bool = True
    swept: bool = False
    last_loop: bool = False
    figure: Figure | None = None

    @property
    def factor(self) -> int:
        """What the number is multiplied by where it is shown."""
        return 100 if self.percent else 1

    @property
    def figure_title(self) -> str:
        """The title of its figure with the unit, for the head of a column."""
        return f"{self.figure.title}{', %' if self.percent else ''}"


QUANTITIES = (
    Quantity(
        "loss",
        "Losses",
        "loss, nats",
        PER_OBJECTIVE,
        lambda report: report["losses"],
        noun="loss",
        swept=True,
        last_loop=True,
    ),
    Quantity(
        "gradient_norm",
        "Gradient norms",
        "l2 norm",
        PER_GROUP_AND_OBJECTIVE,
        lambda report: report["norms"],
        over_loop=lambda norms, _: measured_mean(norms),
        noun="gradient norm",
        log_scale=True,
    ),
    Quantity(
        "cosine",
        "Cosine of the two gradients",
        "cosine",
        PER_GROUP,
        lambda report: report["cosine"],
        over_loop=lambda cosines, _: mean_cosine(cosines),
        every_step="cosines",
        measured_in="cosines",
        line=" | cos {:+.3f}",
        swept=True,
        figure=Figure("mean_cosine", "mean cosine", digits=4),
    ),
    Quantity(
        "conflict_rate",
        "Steps in conflict",
        "cosine < 0, % of the steps",
        PER_GROUP,
        over_loop=lambda cosines, _: conflict_rate(cosines),
        source="cosine",
        measured_in="cosines",
        percent=True,
        swept=True,
        figure=Figure("conflict_rate", "conflict rate"),
    ),
    Quantity(
        "cosine_error",
        "Standard error of the cosine",
        "upper estimate",
        over_loop=lambda errors, _: measured_mean(errors),
        measured_in="conflict_ps",
        figure=Figure("mean_cosine_error", "mean error of the cosine", 4, optional=True),
    ),
    Quantity("conflict_p", "p-value of the conflict", "p", over_loop=None, every_step="conflict_ps", curve=False),
    Quantity(
        "significant_conflict_rate",
        "Steps in significant conflict",
        "p < 0.05, % of the steps",
        over_loop=lambda ps, _: measured_mean(np.where(np.isnan(ps), np.nan, ps < 0.05)),
        source="conflict_p",
        measured_in="conflict_ps",
        percent=True,
        figure=Figure("significant_conflict_rate", "significant conflicts", optional=True),
    ),
    Quantity(
        "keep",
        "Steps kept",
        "not gated, % of the steps",
        read=lambda report: report.get("kept_share", report["keep"]),
        line=" | kept {:.0%}",
        percent=True,
        swept=True,
        figure=Figure("kept_rate", "steps kept"),
    ),
    Quantity(
        "clip_alignment",
        "Alignment of the clips",
        "mean cosine of a clip's own gradients",
        line=" | clips cos {:+.3f}",
        figure=Figure("clip_alignment", "mean cosine of a clip's own", 4, optional=True),
    ),
    Quantity(
        "clip_weight",
        "Clips kept",
        "mean weight of judged clips, %",
        line=" kept {:.0%}",
        percent=True,
        figure=Figure("clip_weight", "mean weight of judged clips", optional=True),
    ),
    Quantity(
        "pair_rank",
        "Ranks of the clips' own pairs",
        "share of the batch that fits worse",
        PER_OBJECTIVE,
        noun="rank of the own pair",
    ),
    Quantity(
        "pair_weight",
        "Pairs kept",
        "mean weight of ranked pairs, %",
        PER_OBJECTIVE,
        noun="weight of pairs",
        percent=True,
    ),
    Quantity("clips_judged", "Clips judged", "clips with both losses, %", percent=True, curve=False),
    Quantity(
        "score", "Scores of the modalities", "mean probability of the truth", PER_OBJECTIVE, curve=False, noun="score"
    ),
    Quantity(
        "weight",
        "Weights of the gradients",
        "weight",
        PER_GROUP_AND_OBJECTIVE,
        lambda report: report["weights"],
        noun="weight",
    ),
    Quantity(
        "learning_rate",
        "Learning rate",
        "learning rate",
        read=lambda report: report["learning_rate"],
        over_loop=lambda rates, _: rates[-1],
    ),
    Quantity(
        "step_seconds",
        "Time of a step",
        "seconds per step",
        over_loop=lambda _, step_seconds: step_seconds,
        source="data_wait_seconds",
        log_scale=True,
        swept=True,
    ),
    Quantity(
        "data_wait_share",
        "Waiting for data",
        "% of the time",
        source="data_wait_seconds",
        over_loop=lambda waited, step_seconds: min(1.0, float(waited.mean()) / step_seconds),
        percent=True,
    ),
    # What a run is stopped by, and what others are computed from.
    Quantity("finite", "Finite steps", "0 or 1", read=lambda report: report["finite"], over_loop=None, curve=False),
    Quantity(
        "bad_objective",
        "First objective that is not finite",
        "index, -1 for none",
        over_loop=None,
        curve=False,
        read=lambda report: _find_nonfinite(report)[1],
    ),
    Quantity(
        "bad_variable",
        "First variable that is not finite",
        "index, -1 for none",
        over_loop=None,
        curve=False,
        read=lambda report: _find_nonfinite(report)[0],
    ),
    Quantity("data_wait_seconds", "Waiting for data", "seconds per step", over_loop=None, curve=False),
)
BY_NAME = {quantity.name: quantity for quantity in QUANTITIES}
RUN_QUANTITIES = tuple(quantity for quantity in QUANTITIES if quantity.figure)
"""Those that are summarized over a run."""


def objective_title(objective: str) -> str:
    """Returns the name of an objective as people read it."""
    return objective.replace("_", "-")
