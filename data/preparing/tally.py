"""Counts what was found while a data set was prepared, and names what was not usable."""

from __future__ import annotations

import collections
import dataclasses
from typing import Any


@dataclasses.dataclass
class Tally:
    """Counts and notes of a part of a data set; two parts' are added up.

    Attributes:
      counts: how often something was seen, by its name.
      notes: what there is to say of a file or clip: (kind, its name, what). The kind `skipped` says
        why something was skipped.
    """

    counts: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    notes: list[tuple[str, str, Any]] = dataclasses.field(default_factory=list)

    def note(self, kind: str, name: str, what: Any) -> None:
        """Adds a note."""
        self.notes.append((kind, name, what))

    def __add__(self, other: Tally) -> Tally:
        """Returns the sum of both parts' counts, and the notes of both."""
        counts = collections.Counter(self.counts)
        counts.update(other.counts)
        return Tally(counts, [*self.notes, *other.notes])

    def to_json(self) -> dict[str, Any]:
        """Returns it as JSON values."""
        return {"counts": dict(sorted(self.counts.items())), "notes": sorted(map(list, self.notes), key=repr)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Tally:
        """Returns what `to_json` was called on."""
        counts = {name: int(count) for name, count in values["counts"].items()}  # `true` in what older runs left
        return cls(collections.Counter(counts), [tuple(note) for note in values["notes"]])
