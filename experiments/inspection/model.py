"""A run's weights layer by layer, and how far training has moved them.

For notebooks; see experiments/notebooks/inspect_checkpoint.ipynb. Everything is by layer, from the input to the output, as in
the report's map of the conflict; see `experiments.pretraining.layers`. Only trainable variables count.
"""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

import vatt
from experiments.inference.trained_model import TrainedModel
from experiments.pretraining.assembly import build_model
from experiments.pretraining.layers import layers_of
from experiments.reports.layers import conflict_rates
from experiments.running.own_files import read_text
from experiments.running.plain_text import markdown_table
from experiments.running.run_directory import RunDirectory
from experiments.training.history import layer_history
from experiments.training.step_means import mean_cosine


class Fact(NamedTuple):
    """Something about a run, in words."""

    what: str
    value: str


class Parameter(NamedTuple):
    """A variable of a model: its layer, its name without the layers' numbers, and statistics of its weights."""

    layer: str
    name: str
    shape: tuple[int, ...]
    count: int
    mean: float
    std: float
    norm: float


class LayerWeights(NamedTuple):
    """All weights of a layer: how many variables and weights, the layer's share of the model's weights, and statistics."""

    layer: str
    variables: int
    count: int
    share: float
    mean: float
    std: float
    norm: float


class LayerChange(NamedTuple):
    """The difference between two states of a layer, each taken as one vector.

    Attributes:
      layer: Its name.
      norm_before, norm_after: l2 norms.
      relative_change: Norm of the difference over `norm_before`; NaN where that is zero.
      cosine: Of the two vectors; NaN where one of them is zero.
    """

    layer: str
    norm_before: float
    norm_after: float
    relative_change: float
    cosine: float


class LayerConflict(NamedTuple):
    """The two gradients in a layer, over all recorded steps.

    Attributes:
      layer: Its name.
      mean_cosine: Over the steps that have one; NaN if none has.
      conflict_share: Share of these steps whose cosine is negative; NaN likewise.
      gradient_norm_video_audio, gradient_norm_video_text: Mean norms of each loss's gradient.
    """

    layer: str
    mean_cosine: float
    conflict_share: float
    gradient_norm_video_audio: float
    gradient_norm_video_text: float


def checkpoints(run_directory: str) -> dict[int, str]:
    """Returns the checkpoints that a run has kept, by step, the oldest first."""
    return vatt.numbered_checkpoints(RunDirectory(run_directory).checkpoints)


def untrained(run: TrainedModel) -> TrainedModel:
    """Returns a run as it was before its first step: the initial weights are a function of its seed.

    Not if the run started from other weights, such as an imported checkpoint.
    """
    model = build_model(run.settings, run.model.options.vocabulary_size)
    return dataclasses.replace(run, model=model, step=0, checkpoint="")


def parameters(model: vatt.VATT) -> list[Parameter]:
    """Returns every trainable variable of a model."""
    variables = model.trainable_variables
    return [
        Parameter(
            layer,
            short_name(variables[index].name),
            tuple(variables[index].shape),
            *_statistics(variables[index].numpy()),
        )
        for layer, indices in layers_of(model, variables).items()
        for index in indices
    ]


def short_name(name: str) -> str:
    """Returns the last two parts of a variable's name, without the numbers that Keras counts through the process."""
    parts = name.split(":")[0].split("/")[-2:]
    return "/".join(part.rstrip("0123456789").rstrip("_") for part in parts)


def layer_values(model: vatt.VATT) -> dict[str, np.ndarray]:
    """Returns the weights of every layer as one vector, float32 [weights]."""
    variables = model.trainable_variables
    return {
        layer: np.concatenate([variables[index].numpy().ravel() for index in indices])
        for layer, indices in layers_of(model, variables).items()
    }


def layers(model: vatt.VATT) -> list[LayerWeights]:
    """Returns the statistics of every layer."""
    indices, values = layers_of(model, model.trainable_variables), layer_values(model)
    total = sum(map(len, values.values()))
    return [
        LayerWeights(layer, len(indices[layer]), len(weights), len(weights) / total, *_statistics(weights)[1:])
        for layer, weights in values.items()
    ]


def _statistics(weights: np.ndarray) -> tuple[int, float, float, float]:
    """Number, mean, standard deviation and l2 norm."""
    return weights.size, float(weights.mean()), float(weights.std()), float(np.linalg.norm(weights))


def changes(before: vatt.VATT, after: vatt.VATT) -> list[LayerChange]:
    """Compares two states of a model layer by layer.

    Raises:
      ValueError: They are not of one architecture.
    """
    old, new = layer_values(before), layer_values(after)
    if {name: len(values) for name, values in old.items()} != {name: len(values) for name, values in new.items()}:
        raise ValueError(
            "both models should have the same layers of the same sizes. Found two different architectures."
        )
    return [_change(layer, old[layer].astype(np.float64), new[layer].astype(np.float64)) for layer in old]


def _change(layer, old, new):
    norms = np.linalg.norm(old), np.linalg.norm(new)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.linalg.norm(new - old) / norms[0] if norms[0] else np.nan
        return LayerChange(layer, *map(float, norms), float(relative), float(old @ new / (norms[0] * norms[1])))


def conflicts(records: Sequence[dict]) -> list[LayerConflict]:
    """Summarizes what the lines of metrics.jsonl say about each layer; empty if it is nothing, as in older runs."""
    history = layer_history(records)
    if history is None:
        return []
    means = {name: mean_cosine(row) for name, row in zip(history.compared, history.cosines, strict=True)}
    rates = dict(zip(history.compared, conflict_rates(history.cosines), strict=True))
    detailed = [record for record in records if "layer_gradient_norms" in record]
    lengths = [len(record["cosines"]) for record in detailed]
    return [
        LayerConflict(
            layer, means.get(layer, np.nan), rates.get(layer, np.nan),
            *_mean_norms([record["layer_gradient_norms"][layer] for record in detailed], lengths),
        )
        for layer in detailed[-1]["layer_gradient_norms"]
    ]  # fmt: skip


def _mean_norms(norms, lengths):
    """Means over the loops, each as long as it was, that measured some; NaN where none did."""
    norms = np.array(norms, np.float64)  # None becomes NaN
    weights = np.where(np.isnan(norms), 0, np.array(lengths)[:, np.newaxis])
    totals = weights.sum(axis=0)
    return np.where(totals > 0, np.nansum(norms * weights, axis=0) / np.maximum(totals, 1), np.nan)


def markdown(rows: Sequence[NamedTuple], formats: dict[str, str] | None = None, summary: str = "") -> str:
    """Returns a table of named tuples of one kind as Markdown.

    Args:
      rows: At least one.
      formats: Format of a column's numbers, by field; by default floats have four significant digits.
      summary: If given, the table is folded up behind these words.
    """
    formats = formats or {}
    head = [field.replace("_", " ") for field in rows[0]._fields]
    ruler = ["--:" if isinstance(value, (int, float)) else "---" for value in rows[0]]
    body = [[_cell(value, formats.get(field)) for field, value in row._asdict().items()] for row in rows]
    table = markdown_table([head, *body], ruler).rstrip("\n")
    return folded(summary, table) if summary else table


def folded(summary: str, text: str) -> str:
    """Returns Markdown that is folded up behind some words."""
    return f"<details><summary>{summary}</summary>\n\n{text}\n\n</details>"


def _cell(value: object, form: str | None) -> str:
    if isinstance(value, float) and np.isnan(value):
        return "-"
    if isinstance(value, (int, float)):
        return format(value, form or (".4g" if isinstance(value, float) else ","))
    if isinstance(value, tuple):
        return " × ".join(map(str, value))
    return str(value)


def facts(run: TrainedModel) -> list[Fact]:
    """Returns the main facts about a run."""
    settings, model = run.settings, run.model
    method = settings.harmonizer if isinstance(settings.harmonizer, str) else type(settings.harmonizer).__name__
    rate = f"peak learning rate {settings.learning_rate:g}"
    tokens = ", ".join(f"{count} of {modality}" for modality, count in model.token_counts(training=False).items())
    return [
        Fact("checkpoint", f"{pathlib.Path(run.checkpoint).name}, step {run.step:,} of {settings.steps:,}"),
        Fact("model", f"{model.options.preset}, {sum(map(np.size, layer_values(model).values())):,} trainable weights"),
        Fact("tokens per clip (per caption for text)", tokens),
        Fact("method", f"{method}, per {settings.granularity}, on {settings.scope} variables"),
        Fact("data", ", ".join(settings.datasets)),
        Fact("training", f"{settings.batch_size} clips a step, {rate}, {settings.precision}"),
        Fact("losses", f"{settings.loss}, temperature {settings.temperature:g}"),
    ]


def config_text(run_directory: str | pathlib.Path) -> str:
    """Returns a run's operative configuration, all bindings with their defaults, without gin's comments."""
    lines = read_text(RunDirectory(run_directory).config).splitlines()
    return "\n".join(line for line in lines if line.strip() and not line.startswith("#"))
