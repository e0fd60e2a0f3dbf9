"""The figures of several classifiers' runs, side by side."""

from collections.abc import Sequence

import numpy as np

from experiments.running.plain_text import markdown_table

REFERENCE = "uniform"
COLUMNS = ("multimodal", "audio", "video")


def run_row(result: dict) -> dict:
    """Returns what a table needs of a run's result.json; accuracies are of the test split, at the best epoch and last.

    `chance` is what the best constant answer gets on the `test_clips`, of which `audio_clips` have sound; older runs have
    1 / classes there, and no number of clips.
    """
    chance = result["chance"] if isinstance(result["chance"], dict) else {"top1": result["chance"], "items": ""}
    row = {name: result[name] for name in ("method", "seed", "best_epoch", "epochs")}
    row |= {"chance": chance["top1"], "test_clips": chance["items"], "alone": result["alone"]}
    row["audio_clips"] = result.get("clips", {}).get("audio", chance["items"])
    for epoch, found in result["test"].items():
        for name, scores in found.items():
            row[f"{name}_{epoch}"] = scores["accuracy"]
            row[f"{name}_class_{epoch}"] = scores["class_accuracy"]
    row |= {f"{name}_validation": scores["accuracy"] for name, scores in result["validation"].items()}
    for part in ("audio", "video"):
        gradients = result["gradients"].get(part, {})
        row |= {f"{name}_{part}": gradients.get(name, "") for name in ("mean_cosine", "conflict_rate")}
    return row | {"seconds": round(result["seconds_spent"], 1)}


EPOCHS = {"best": "at the epoch with the best multimodal validation accuracy", "last": "after the last epoch"}


def table(rows: Sequence[dict]) -> str:
    """Returns two Markdown tables with a line per method: for the epoch that validation chose, and for the last one.

    Accuracies in percent, mean and standard deviation over the seeds; the difference to the uniform sum is taken seed
    by seed, with the number of seeds in which it is positive. The second table is the fairer one for a modality alone:
    the choice looks at both together.

    Args:
      rows: What `run_row` returns, of all runs.
    """
    chance = _chance(rows)
    return "\n".join(
        f"Test accuracy in percent {when}; {chance}.\n\n{_table(rows, epoch)}" for epoch, when in EPOCHS.items()
    )


def _chance(rows):
    for row in rows:
        if row["test_clips"]:
            sound = f" ({row['audio_clips']} with sound)" if row["audio_clips"] != row["test_clips"] else ""
            return f"{row['test_clips']} clips{sound}, chance {100 * row['chance']:.1f}"
    return f"1 / classes is {100 * rows[0]['chance']:.1f}, chance unknown (older runs)"


def _table(rows, epoch):
    heads = ["method", *COLUMNS, f"multimodal - {REFERENCE}", "conflict audio", "conflict video", "seeds"]
    lines = [heads]
    reference = {row["seed"]: row[f"multimodal_{epoch}"] for row in rows if row["method"] == REFERENCE}
    for method in dict.fromkeys(row["method"] for row in rows):
        own = [row for row in rows if row["method"] == method]
        accuracies = [_mean_and_spread([row[f"{name}_{epoch}"] for row in own]) for name in COLUMNS]
        pairs = [row[f"multimodal_{epoch}"] - reference[row["seed"]] for row in own if row["seed"] in reference]
        rates = [[row[f"conflict_rate_{part}"] for row in own] for part in ("audio", "video")]
        conflicts = ["-" if "" in values else f"{100 * np.mean(values):.0f} %" for values in rates]
        lines.append([method, *accuracies, _difference(method, pairs), *conflicts, str(len(own))])
    return markdown_table(lines)


def _mean_and_spread(values: Sequence[float], form: str = ".1f") -> str:
    percents = 100 * np.asarray(values)
    spread = f" ± {percents.std(ddof=1):.1f}" if len(percents) > 1 else ""
    return f"{percents.mean():{form}}{spread}"


def _difference(method: str, pairs: Sequence[float]) -> str:
    if method == REFERENCE or not len(pairs):
        return "-"
    return f"{_mean_and_spread(pairs, '+.1f')} ({sum(pair > 0 for pair in pairs)}/{len(pairs)})"
