"""Puts the report's page together; a part for which something is missing says what, and how to get it."""

import html
import os

import numpy as np

import data
from experiments.evaluation.alignment import INDICATORS
from experiments.evaluation.result import arrays_path, read_arrays
from experiments.evaluation.rows import recall_rows
from experiments.evaluation.table import rows
from experiments.inference.directions import DIRECTIONS
from experiments.reports.dropped_clips import dropped_clips
from experiments.reports.examples import examples
from experiments.reports.html import missing, page, plots, table
from experiments.reports.layers import COLUMNS, layer_map
from experiments.reports.plots import cosine_histogram, curves, split_histogram
from experiments.reports.projection import Plane, Unmapped, map_spaces, method, projections
from experiments.running.own_files import content_of, read_json_if_there, read_text
from experiments.running.run_directory import RunDirectory
from experiments.training.history import all_cosines, layer_history

_DRAWN_INDICATORS = {
    "encoder_gradient_cosine": "Gradients, encoder",
    "feature_gradient_cosine": "Gradients, video feature",
    "summed_similarity": "Summed similarity",
}


def build_page(directory: RunDirectory, data_dir: str | None = None) -> str:
    """Returns the report on a run as one HTML page that needs nothing else.

    Args:
      directory: The run's; all it must hold is `config.gin`.
      data_dir: Where the prepared data set is that was evaluated; for the frames of the retrieval examples.

    Raises:
      DataError: There is no such data set, or it is not the one that was evaluated.
    """
    records, arrays = directory.read_metrics(), read_arrays(directory)
    result = read_json_if_there(directory.result)
    evaluate = f"python -m experiments.evaluate --workdir={directory.path} --data_dir=DATA"
    with content_of(directory.metrics):
        training = plots(curves(records)) if records else missing("metrics.jsonl holds no training step yet")
        layers = _layers(records)
    with content_of(directory.result):
        table_of_result, subtitle = _table(result) if result is not None else None, _subtitle(records, result)
        directions = _directions(result) if result is not None else ""
    with content_of(arrays_path(directory)):
        cosines = _cosines(records, arrays, result, evaluate)
        embeddings = _embeddings(arrays) if "label" in arrays else missing("There are no embeddings yet", evaluate)
    dropped = dropped_clips(directory, data_dir)
    sections = {
        "Result": table_of_result if result is not None else missing("This run has not been evaluated yet", evaluate),
        **({"Retrieval in six directions": directions} if directions else {}),
        **({"Clips dropped before training": dropped} if dropped else {}),
        "Training": training,
        "The cosine of the two gradients": cosines,
        "The cosine layer by layer": layers,
        "Embeddings in two dimensions": embeddings,
        "Retrieval examples": _examples(arrays, directory, data_dir, evaluate),
        "Configuration and environment": _configuration(directory),
    }
    title = f"VATT pre-training: {directory.path.resolve().name}"
    return page(title, subtitle, sections)


def _subtitle(records, result):
    trained = f"{records[-1]['step']:,} steps trained" if records else "no metrics"
    evaluated = "not evaluated"
    if result is not None:
        evaluated = f"evaluated at step {result['step']:,} on the data set {html.escape(result['dataset'])}"
    return f"{trained}; {evaluated}."


def _table(result):
    groups: dict[str, list] = {}
    for row in rows(result):
        groups.setdefault(row.group, []).append((row.name, row.value, row.chance, row.interval))
    return table(("", "result", "chance", "95 % interval"), groups)


def _directions(result):
    """A table of all figures of the six directions, with their intervals; nothing for results of older versions."""
    groups = {DIRECTIONS[name].title: found for name, found in result["retrieval"].items() if "intervals" in found}
    if not groups:
        return ""
    note = (
        "Ties: everything as similar as the right clip stands before it. The intervals (95 %) are bootstrapped over the clips; "
        "they do not say what another training would give. Audio gets next to text by the video's map; no loss compares them."
    )
    lines = {
        f"{title}, {found['gallery']} clips": [row[1:] for row in recall_rows("", found)]
        for title, found in groups.items()
    }
    return table(("", "result", "chance", "95 % interval"), lines) + f'<p class="soft">{note}</p>'


def _cosines(records, arrays, result, evaluate):
    cosines = all_cosines(records)
    cosines = cosines[~np.isnan(cosines)]
    drawings = [cosine_histogram(cosines)] if len(cosines) else []
    if result is None:
        return plots(drawings) + missing("The cosines of single clips are missing", evaluate)
    if not result["alignment"]:
        return plots(drawings) + missing(
            "The cosines of single clips were not evaluated, or cannot be computed on these data"
        )
    misaligned = (arrays["alignment_text_aligned"] == 0) | (arrays["alignment_audio_aligned"] == 0)
    for name, title in _DRAWN_INDICATORS.items():
        drawings.append(split_histogram(arrays[f"alignment_{name}"], misaligned, title, INDICATORS[name]))
    return plots(drawings, "plots large") + _areas(result["alignment"])


def _layers(records):
    history = layer_history(records)
    if history is None:
        return missing("metrics.jsonl holds no cosine of a layer: the run has no step yet, or is older than this map")
    per_column = -(-history.cosines.shape[1] // COLUMNS)
    text = (
        f"From input (top) to output; a column is {f'up to {per_column} steps' if per_column > 1 else 'a step'}. Red: the "
        "losses pull the layer's weights apart; teal: they agree; gray: a gradient was zero, or nothing was recorded."
    )
    names = ", ".join(name.replace("_", " ") for name in history.left_out)
    note = f'<p class="soft">Never reached by both losses: {html.escape(names)}.</p>' if names else ""
    return f"<p>{text}</p>" + plots([layer_map(history)], "plots wide") + note


def _areas(alignment):
    clips = alignment["clips"]
    kinds = {"misaligned": "text, audio or both", "text_only": "text only", "audio_only": "audio only"}
    head = ["AUC by what is misaligned", *(f"{label} ({clips[kind]} clips)" for kind, label in kinds.items())]
    lines = [[title, *(_area(alignment["auc"][name][kind]) for kind in kinds)] for name, title in INDICATORS.items()]
    return (
        "<p>How well each indicator detects the planted misalignment in the clips of the split validation: the area under the ROC "
        f"curve, 1 is perfect and 0.5 chance, against {clips['aligned']} clips that are aligned in text and audio.</p>"
        + table(head, {"": lines})
    )


def _area(value):
    return "-" if value is None else f"{value:.3f}"


def _embeddings(arrays):
    spaces = map_spaces(arrays)
    planes = [space for space in spaces if isinstance(space, Plane)]
    reasons = "".join(missing(space.reason) for space in spaces if isinstance(space, Unmapped))
    if not planes:
        return reasons
    text = (
        f"<p>Clips of the split test by {method(planes)}, both modalities of a space projected together. Lines join the two "
        "points of a clip; up to eight frequent classes are colored, the other clips are gray.</p>"
    )
    return text + plots(projections(planes, arrays["class_names"]), "plots large") + reasons


def _examples(arrays, directory, data_dir, evaluate):
    if "rank" not in arrays:
        return missing("There is no retrieval result yet", evaluate)
    if not (arrays["rank"] > 0).any():
        return missing("No clip of the split test has a caption to search by")
    if not data_dir:
        command = f"python -m experiments.report --workdir={directory.path} --data_dir=DATA"
        return missing("The frames are in the data set; --data_dir was not given", command)
    prepared = data.open_dataset(str(arrays["dataset"]), data_dir)
    text = (
        "<p>All sentences of a clip together form a query among the clips of the split test. The examples are evenly "
        "spaced from the best query to the worst.</p>"
    )
    return text + f'<div class="card">{examples(arrays, prepared)}</div>'


def _configuration(directory):
    parts = []
    for name, path in (("config.gin", directory.config), ("environment.json", directory.path / "environment.json")):
        if os.path.lexists(path):
            content = html.escape(read_text(path).strip())
            parts.append(f'<details class="card"><summary>{name}</summary><pre>{content}</pre></details>')
    return "".join(parts)
