"""Reads the docstring of a harmonization method, which is what its page is made of."""

import inspect
import re
from typing import NamedTuple

import harmonization
from experiments.running.docstring_sections import read_sections

HEADINGS = ("Rule", "Source", "Promises", "Costs", "Not for")


class Option(NamedTuple):
    """An argument of a method's class.

    Attributes:
      name: Its name.
      default: Its default as Python writes it; empty if it has to be given.
      meaning: What the docstring says about it.
    """

    name: str
    default: str
    meaning: str


class Docstring(NamedTuple):
    """The parts of a method's docstring.

    Attributes:
      summary: The first line.
      parts: `HEADINGS` to their text, lines as in the source.
      paragraphs: What follows, paragraph by paragraph; indented ones are code.
      options: The arguments of the class but `name`.
      attributes: Names to meanings.
      raises: Names of exceptions to when they are raised.
    """

    summary: str
    parts: dict[str, str]
    paragraphs: list[str]
    options: list[Option]
    attributes: dict[str, str]
    raises: dict[str, str]


def read_docstring(method: type[harmonization.Harmonizer]) -> Docstring:
    """Takes the docstring of a method's class apart.

    Raises:
      ValueError: If a heading is missing, empty, twice there or in another place, or the arguments are not those of
        the class.
    """
    summary, _, rest = inspect.cleandoc(method.__doc__ or "").partition("\n\n")
    headed, _, rest = rest.partition("\n\n")
    if not summary or "\n" in summary:
        raise ValueError(f"The docstring of {method.__name__} should begin with a line of its own. Found {summary!r}.")
    parts = _parts(method, headed)
    body, sections = read_sections(rest)
    return Docstring(
        summary,
        parts,
        [paragraph.rstrip() for paragraph in body.split("\n\n") if paragraph.strip()],
        _options(method, sections["Args"]),
        sections["Attributes"],
        sections["Raises"],
    )


def _parts(method, headed: str) -> dict[str, str]:
    found = re.split(r"^(\S[^:\n]*):(?: |$)", headed, flags=re.MULTILINE)
    names, texts = found[1::2], [text.strip("\n") for text in found[2::2]]
    missing = [heading for heading in HEADINGS if heading not in names]
    if missing:
        raise ValueError(
            f"The docstring of {method.__name__} has no `{missing[0]}:`. After its first line it should have a paragraph "
            f"with {', '.join(HEADINGS)}, each at the start of a line."
        )
    if found[0].strip() or tuple(names) != HEADINGS:
        raise ValueError(
            f"The docstring of {method.__name__} should have {', '.join(HEADINGS)}, once and in this order. Found {names}."
        )
    parts = dict(zip(names, map(inspect.cleandoc, texts), strict=True))
    empty = [heading for heading, text in parts.items() if not text]
    if empty:
        raise ValueError(f"The docstring of {method.__name__} says nothing after `{empty[0]}:`.")
    return parts


def _options(method, meanings: dict[str, str]) -> list[Option]:
    parameters = dict(inspect.signature(method).parameters)
    parameters.pop("name", None)
    if list(parameters) != list(meanings):
        raise ValueError(
            f"The docstring of {method.__name__} should explain the arguments {list(parameters)}. Found {list(meanings)}."
        )
    return [
        Option(name, "" if parameter.default is parameter.empty else repr(parameter.default), meanings[name])
        for name, parameter in parameters.items()
    ]
