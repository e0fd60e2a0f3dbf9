"""Text that comes from file names and data sets, made harmless for what shows it: terminals, spreadsheets, Markdown."""

import re
from collections.abc import Sequence

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\n")
_SHOWN = "\n\t"
# One in 64 ids of YouTube begins with a minus. A spreadsheet may show an error for it, but has nothing to run.
_NAME = re.compile(r"-[A-Za-z0-9_-]+")


def for_terminal(text: str) -> str:
    """Returns text whose control characters, which can move the cursor or rewrite lines, are escaped as in Python."""
    return "".join(mark if mark.isprintable() or mark in _SHOWN else repr(mark)[1:-1] for mark in text)


def for_spreadsheet(cell: object) -> object:
    """Returns a cell of a CSV file with an apostrophe before what a spreadsheet would take for a formula; numbers and ids stay.

    What begins with apostrophes and goes on as a formula gets one more, so that `from_spreadsheet` can tell it apart. A
    carriage return, which Python's `csv` does not quote and reads as the end of a row, becomes a line feed.
    """
    if not isinstance(cell, str):
        return cell
    text = cell.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{text}" if _is_formula(text) else text


def from_spreadsheet(cell: str) -> str:
    """Returns the text that `for_spreadsheet` made a cell of."""
    return cell[1:] if cell.startswith("'") and _is_formula(cell) else cell


def markdown_table(lines: Sequence[Sequence[str]], ruler: Sequence[str] | None = None) -> str:
    """Returns a Markdown table with a line feed at its end.

    Args:
      lines: The head, then the other lines; cells are plain text of one line.
      ruler: The line below the head, whose dashes and colons align the columns; `None` aligns all to the left.
    """
    head, *body = [[cell.replace("|", r"\|") for cell in line] for line in lines]
    every = (head, ruler or ["---"] * len(head), *body)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in every)


def _is_formula(text: str) -> bool:
    """Whether it is one, or one behind apostrophes."""
    bare = text.lstrip("'")
    return bare.startswith(_FORMULA_STARTS) and not _NAME.fullmatch(bare) and not _is_number(bare)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
