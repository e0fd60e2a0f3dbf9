"""Names of files as people write them: one name may be stored in several forms of Unicode."""

from __future__ import annotations

import posixpath
import unicodedata


def composed(name: str) -> str:
    """Returns a name in the form (NFC) in which names are compared; files are opened by their own.

    macOS and some archives store an accented letter as two characters, lists mostly have one.
    """
    return unicodedata.normalize("NFC", name)


def leaves(path: str) -> bool:
    """Returns whether a normal path with `/` is absolute, has a drive, or leads out of where it starts."""
    return posixpath.isabs(path) or path.split("/")[0] == ".." or path[1:2] == ":"
