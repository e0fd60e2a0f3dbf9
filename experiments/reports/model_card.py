"""The model card of a run: what it is, what it was trained on, what was measured, and what was not."""

import ast
import csv
import os
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np

from experiments.evaluation.all_tasks import TASKS
from experiments.evaluation.table import rows
from experiments.evaluation.tasks import DOWNSTREAM_TASKS, OWN_TASKS
from experiments.inference.score_names import SCORES
from experiments.running.own_files import content_of, read_json_if_there
from experiments.running.plain_text import markdown_table
from experiments.running.run_directory import RunDirectory, bindings

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_UNKNOWN = "Unknown.\n"


def model_card(directory: RunDirectory, ranking: str | None = None) -> dict:
    """Returns the card of a run, ready for JSON; what is not known is `None` or stands under `not_measured`.

    Args:
      directory: The run's; all it must hold is `config.gin`.
      ranking: The `clips.csv` that `experiments.rank_clips` wrote of the run's training data.

    Raises:
      BadInput: A file is damaged, or `ranking` is not such a table.
    """
    result = read_json_if_there(directory.result)
    return {
        "name": directory.path.resolve().name,
        "model": read_json_if_there(directory.model),
        "data": _data(directory),
        "training": _training(directory),
        "environment": _environment(directory),
        "clip_scores": None if ranking is None else clip_scores(pathlib.Path(ranking)),
        "evaluated": None if result is None else {key: result[key] for key in ("step", "checkpoint", "dataset")},
        "figures": [] if result is None else _figures(directory, result),
        "not_measured": list(_not_measured(result, ranking)),
    }


def _data(directory):
    found = read_json_if_there(directory.data)
    with content_of(directory.data):
        return found and {name: dict(facts.items()) for name, facts in found.items()}


def _training(directory):
    records = directory.read_metrics()
    with content_of(directory.metrics):
        timed = [record["step_seconds"] for record in records if record.get("step_seconds") is not None]
    return {
        "steps": records[-1]["step"] if records else 0,
        "median_step_seconds": float(np.median(timed)) if timed else None,
        "configuration": {
            name: _without_folders(value) if name.endswith((".path", ".clip_weights")) else value
            for name, value in bindings(directory.read_config()).items()
        },
    }


def _without_folders(value):
    """Leaves the names of files; see `_environment`."""
    try:
        found = ast.literal_eval(value)
    except (ValueError, SyntaxError):  # another configurable, or a macro
        return value
    if isinstance(found, dict):
        return repr({key: os.path.basename(path) for key, path in found.items()})
    return repr(os.path.basename(found)) if isinstance(found, str) else value


def _environment(directory):
    """Leaves out the command line: a card is published, and paths tell about their owner."""
    found = read_json_if_there(directory.path / "environment.json")
    return None if found is None else {name: value for name, value in found.items() if name != "command"}


def _figures(directory, result):
    with content_of(directory.result):
        return [row._asdict() for row in rows(result)]


def clip_scores(path: pathlib.Path) -> dict:
    """Summarizes a table of `experiments.rank_clips`: per score, how many clips have it and how it is spread.

    A low similarity is a hint at a wrong narration or sound, not a proof.

    Args:
      path: The table, `clips.csv`.

    Raises:
      BadInput: It is not such a table.
    """
    with content_of(path), path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        table = csv.DictReader(file)
        if missing := set(SCORES) - set(table.fieldnames or ()):
            raise LookupError(f"it has no column {min(missing)}")
        lines = list(table)
        values = {name: [float(line[name]) for line in lines if line[name]] for name in SCORES}
        if not np.isfinite([score for found in values.values() for score in found]).all():
            raise ValueError("a score is no finite number")
    return {"clips": len(lines), "scores": {name: _spread(found) for name, found in values.items()}}


def _spread(values: Sequence[float]) -> dict:
    if not values:
        return {"clips": 0, "negative_share": None, "quantiles": None}
    quantiles = np.quantile(values, _QUANTILES)
    return {
        "clips": len(values),
        "negative_share": float(np.mean(np.array(values) < 0)),
        "quantiles": {f"{share:g}": float(value) for share, value in zip(_QUANTILES, quantiles, strict=True)},
    }


def _not_measured(result: dict | None, ranking: str | None) -> Iterable[str]:
    """Yields what a reader might expect and will not find, each with the command that measures it."""
    run = "--workdir=RUN --data_dir=DATA"
    if ranking is None:
        yield (
            f"How well sound and captions fit the pictures of the training clips: experiments.rank_clips {run} "
            "--split=train --output=DIR, then experiments.report --workdir=RUN --ranking=DIR/clips.csv."
        )
    for name in (*OWN_TASKS, *DOWNSTREAM_TASKS):
        found = result and (result if name in OWN_TASKS else result["tasks"]).get(name)
        if not found:
            yield (
                f"{TASKS[name].title}: experiments.evaluate {run}"
                + ("" if name in OWN_TASKS else f" --tasks={name}")
                + "."
            )
    yield "How much the figures differ from one training to another: this is one run with one seed."
    yield "Bias, privacy and rights of the clips: no program here looks at them."


def as_markdown(card: dict) -> str:
    """Returns a card that `model_card` made as a page of Markdown."""
    parts = {
        "Model": _listed(card["model"]),
        "Training": _listed({name: value for name, value in card["training"].items() if name != "configuration"}),
        "Data": "\n".join(f"**{name}**\n\n{_listed(found)}" for name, found in (card["data"] or {}).items()),
        "How well the clips' sound and captions fit": _scores(card["clip_scores"]),
        "Results": _results(card),
        "Not measured": "".join(f"- {sentence}\n" for sentence in card["not_measured"]),
        "Environment": _listed(card["environment"]),
        "Configuration": _listed(card["training"]["configuration"]),
    }
    body = "\n".join(f"## {heading}\n\n{text or _UNKNOWN}" for heading, text in parts.items())
    return f"# {_text(card['name'])}\n\nA VATT model, pre-trained on video, audio and text.\n\n{body}"


def _listed(found):
    return "".join(f"- {_text(name)}: `{_text(value)}`\n" for name, value in (found or {}).items() if value is not None)


def _text(value):
    """One line that Markdown does not take for markup of its own."""
    return " ".join(str(value).split()).replace("`", "'").replace("|", "/").replace("<", "&lt;")


def _table(head, lines):
    return markdown_table([list(map(_text, line)) for line in (head, *lines)])


def _scores(found):
    if found is None:
        return "Not measured.\n"
    head = ["score", "clips with it", "negative", *(f"{100 * share:g} % below" for share in _QUANTILES)]
    lines = [
        [
            SCORES[name],
            each["clips"],
            f"{100 * each['negative_share']:.1f} %",
            *(f"{v:+.3f}" for v in each["quantiles"].values()),
        ]
        for name, each in found["scores"].items()
        if each["clips"]
    ]
    note = f"{found['clips']} clips, scored by this model. A low score hints at a wrong sound or caption.\n"
    return f"{note}\n{_table(head, lines)}"


def _results(card):
    if card["evaluated"] is None:
        return "Not evaluated.\n"
    lines = [[row["group"], row["name"], row["value"], row["chance"], row["interval"]] for row in card["figures"]]
    where = "Step {step}, data set {dataset}, checkpoint {checkpoint}.".format(**card["evaluated"])
    return f"{_text(where)}\n\n{_table(['', 'figure', 'result', 'chance', '95 % interval'], lines)}"
