"""The page of ranked clips: a look at the worst and the best, and a table that sorts by any column."""

import html
import importlib.resources
import string
from collections.abc import Sequence

from experiments.dataset_checks.contact_sheet import Card, contact_sheet
from experiments.dataset_checks.ranking import COLUMNS, Ranking
from experiments.inference.score_names import SCORES
from experiments.reports.html import page, table

_TEXTS = [column for column, name in enumerate(COLUMNS) if name in ("clip_id", "source", "captions")]


def build_page(
    title: str, subtitle: str, ranking: Ranking, cards: dict[str, Sequence[Card]], lines: Sequence[Sequence[str]]
) -> str:
    """Returns the page as HTML that needs nothing else.

    Args:
      title: Plain text.
      subtitle: Plain text.
      ranking: The order.
      cards: Headings to the clips to show under them.
      lines: What the table holds, in `COLUMNS`.
    """
    clips = len(ranking.order)
    shown = "all clips" if len(lines) == clips else f"{len(lines):,} of {clips:,} clips; clips.csv has all"
    sections = {"How to read this": _explanation(ranking)}
    sections |= {heading: contact_sheet(some) for heading, some in cards.items() if some}
    sections[f"Table of {shown}"] = _table(lines)
    return page(title, html.escape(subtitle), sections)


def _explanation(ranking):
    names = "".join(f"<li><code>{name}</code>: {title}</li>" for name, title in SCORES.items())
    return (
        f"<p>Rank 1 is the clip with the lowest <code>{ranking.by}</code>: the one that the model trusts least. A low score means "
        "that the model finds text, audio and video mismatched. It may be wrong; look before you delete.</p>"
        f"<ul>{names}</ul>"
        "<p class='soft'>The gradients' negatives are the other clips of a batch. A clip without text or without audio has "
        f"only the scores that do not need it. {html.escape(ranking.why_unranked())}</p>"
    )


def _table(lines):
    """Returns the table, sorted by its first column, with what it takes to sort it by another."""
    template = (
        importlib.resources.files("experiments.dataset_checks").joinpath("sortable_table.html").read_text("utf-8")
    )
    head = [name.replace("_", " ") for name in COLUMNS]
    return string.Template(template).substitute(table=table(head, {"": lines}, texts=_TEXTS))
