"""The sections of a Google-style docstring, such as `Attributes:`."""

import inspect
import re

SECTIONS = ("Args", "Attributes", "Raises")


def read_sections(text: str) -> tuple[str, dict[str, dict[str, str]]]:
    """Takes a docstring, or its end, apart.

    Args:
      text: Without indentation, as `inspect.cleandoc` returns it.

    Returns:
      What comes before the first section, and for each of `SECTIONS` names to meanings, each in one line.
    """
    found = re.split(rf"^({'|'.join(SECTIONS)}):\n", text, flags=re.MULTILINE)
    sections = dict(zip(found[1::2], map(_entries, found[2::2]), strict=True))
    return found[0], {name: sections.get(name, {}) for name in SECTIONS}


def one_line(text: str) -> str:
    """The text without its line breaks."""
    return " ".join(text.split())


def _entries(section: str) -> dict[str, str]:
    indented = re.match(r"(?:[ \t].*\n?|\n)*", section)[0]
    found = re.split(r"^(\w+): ", inspect.cleandoc(indented), flags=re.MULTILINE)
    return dict(zip(found[1::2], map(one_line, found[2::2]), strict=True))
