"""What each method of audio-visual classification adds to its control, over paired seeds."""

from collections.abc import Sequence

from experiments.classifiers.table import COLUMNS, EPOCHS
from experiments.evaluation.statistics import BETTER, WORSE, Difference, paired_difference, verdicts
from experiments.running.plain_text import markdown_table

PAIRS = (
    ("uniform", "joint"),
    ("uniform_scaled", "uniform"),
    ("mmpareto", "uniform_scaled"),
    ("dgl", "uniform"),
    ("dgl", "unimodal"),
    ("ogm_ge", "joint"),
    ("gradient_blending", "uniform"),
)
"""Methods and their controls."""
_READING = """\
Test accuracy in points {when}: mean and 95 % interval of the paired differences over the seeds, by Student's t. The last
column has the paired t tests' verdict on multimodal accuracy, corrected by Holm's method for all rows.
"""


def differences(rows: Sequence[dict]) -> str:
    """Returns two Markdown tables with a line per method and control, for the epoch that validation chose and the last.

    Only pairs that share two seeds or more have a line.

    Args:
      rows: What `classifiers.table.run_row` returns, of all runs.
    """
    return "\n".join(f"{_READING.format(when=when)}\n{_table(rows, epoch)}" for epoch, when in EPOCHS.items())


def _table(rows, epoch):
    heads = ["", *COLUMNS, "seeds", "multimodal"]
    found = {pair: [_difference(rows, f"{column}_{epoch}", *pair) for column in COLUMNS] for pair in PAIRS}
    found = {pair: each for pair, each in found.items() if each[0] is not None and each[0].interval.seeds > 1}
    said = verdicts([each[0] for each in found.values()], higher_is_better=True)
    lines = [heads]
    for (pair, each), verdict in zip(found.items(), said, strict=True):
        cells = [f"{one.interval.mean:+.1f} ± {one.interval.half_width:.1f}" for one in each]
        word = f"**{verdict}**" if verdict in (BETTER, WORSE) else verdict
        lines.append([" - ".join(pair), *cells, str(each[0].interval.seeds), word])
    return markdown_table(lines)


def _difference(rows, column, method, control) -> Difference | None:
    own, other = (
        {row["seed"]: 100 * row[column] for row in rows if row["method"] == name} for name in (method, control)
    )
    return paired_difference(own, other)
