"""The page of ranked clips: a look at the worst and the best, and a table that sorts by any column."""

import html
import importlib.resources
import string
from collections.abc import Sequence

from experiments.clip_ranking import COLUMNS, Ranking
from experiments.clip_scores import SCORES
from experiments.contact_sheet import Card, contact_sheet
from experiments.reports.html import page

_NUMBERS = {"rank", *SCORES, "start_seconds"}


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
        f"<p>Rank 1 is the clip of the lowest <code>{ranking.by}</code>: the one that the model trusts least. Low scores say "
        "that text, sound and picture do not fit as the model sees it, not that they do not; look before you delete.</p>"
        f"<ul>{names}</ul>"
        f"<p class='soft'>The gradients' negatives are the other clips of a batch. A clip without text or without sound has "
        f"only the scores that need neither, and {len(ranking.order) - ranking.ranked:,} clips without "
        f"<code>{ranking.by}</code> have no rank.</p>"
    )


def _table(lines):
    head = "".join(
        f'<th{_kind(name)}{_sorted(name)}><button type="button">{name.replace("_", " ")}</button></th>' for name in COLUMNS
    )
    body = "\n".join(
        "<tr>" + "".join(f"<td{_kind(name)}>{html.escape(cell)}</td>" for name, cell in zip(COLUMNS, line, strict=True)) + "</tr>"
        for line in lines
    )
    template = importlib.resources.files("experiments").joinpath("sortable_table.html").read_text("utf-8")
    return string.Template(template).substitute(head=head, body=body)


def _kind(name):
    return ' class="number"' if name in _NUMBERS else ""


def _sorted(name):
    return ' aria-sort="ascending"' if name == "rank" else ""
