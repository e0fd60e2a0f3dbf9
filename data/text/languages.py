"""Languages of captions: what names and headers say, and which of them are wanted."""

from __future__ import annotations

import re
from collections.abc import Sequence

UNKNOWN_LANGUAGE = "unknown"
_FORM = re.compile(r"[a-z]{2,3}(?:[-_][a-z0-9]+)*", re.IGNORECASE)
_UNKNOWN = ("und", "mis", "mul", "zxx")
# langcodes' distance between dialects of one language is below 10; between its scripts 19 and more.
_SAME = 10


def language_of(tag: str | None) -> str | None:
    """Returns a language as its standard tag, such as "en", "pt-BR" or "zh-Hans"; None for what is none.

    Three letters (`eng`, as in media files), old codes and the names that downloaders add (`en-orig`,
    `en-nP7-2PuUl7o`) are understood.
    """
    if not tag:
        return None
    import langcodes  # late: loading its tables takes a third of a second, and not all folders name languages

    parts = re.split("[-_]", tag)
    while parts and parts[0]:
        try:
            found = langcodes.standardize_tag("-".join(parts))
            if langcodes.tag_is_valid(found):
                return None if found.split("-")[0] in _UNKNOWN else found
        except (langcodes.LanguageTagError, ValueError):
            pass
        parts.pop()
    return None


def looks_like_language(tag: str) -> bool:
    """Returns whether a part of a file's name has the form of a language: two or three letters first."""
    return _FORM.fullmatch(tag) is not None


def preference(language: str | None, wanted: Sequence[str]) -> tuple[int, int] | None:
    """Returns how well a language fits, lower is better: the place in `wanted`, then the distance.

    "en" takes all kinds of English, "zh-Hant" no simplified Chinese. An unknown language comes last of all. None for
    one that is not wanted. If `wanted` is empty, all languages fit alike.
    """
    if not wanted:
        return 0, 0
    if language is None:
        return len(wanted), 0
    import langcodes  # late, as in `language_of`

    for place, tag in enumerate(wanted):
        distance = langcodes.tag_distance(tag, language)
        same = langcodes.Language.get(tag).language == langcodes.Language.get(language).language
        if distance < _SAME or (same and tag == langcodes.Language.get(tag).language):
            return place, distance
    return None
