"""Finds clips that are there twice, and clips that look and sound alike, by their hashes alone."""

from __future__ import annotations

import array
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

ALIKE_LOOK_BITS = 3
"""Our choice: pictures look alike if their hashes differ in so many of 64 bits at most."""
ALIKE_SOUND_BITS = 16
"""Our choice, for sounds; the hashes of two that have nothing in common differ in 32 +- 4."""
_BAND_BITS = 16  # 64 / (ALIKE_LOOK_BITS + 1): those that differ in 3 bits agree in one of four bands
_PAIRS_AT_ONCE = 2**22
_BIT_COUNTS = np.array([bin(value).count("1") for value in range(2**_BAND_BITS)], np.uint8)


class Place(NamedTuple):
    """Where a clip is: the number of its file in the data set, and the byte at which its record starts."""

    shard: int
    offset: int


class HashedClips:
    """The hashes of a data set's clips; 48 bytes each, so that millions fit into memory."""

    def __init__(self):
        """Starts with none."""
        self._rows = array.array("Q")

    def add(self, place: Place, split: int, media: int, look: int, sound: int) -> None:
        """Adds a clip: where it is, the number of its split, and its hashes, 0 for none."""
        self._rows.extend((*place, split, media, look, sound))

    def equal(self) -> Iterator[list[Place]]:
        """Yields groups of clips that are equal bit by bit."""
        rows = self._table()
        rows = rows[rows["media"] > 0]
        rows = rows[np.argsort(rows["media"], kind="stable")]
        for group in np.split(rows, np.flatnonzero(np.diff(rows["media"])) + 1):
            if len(group) > 1:
                yield [_place(row) for row in group]

    def alike(self) -> Iterator[tuple[Place, Place]]:
        """Yields pairs of clips of different splits that look alike and, if both can be heard, sound alike.

        Clips without a picture are compared by their sound alone, as strictly as pictures are. Equal clips
        are not among them.
        """
        rows = self._table()
        for kind in ("look", "sound"):
            others = rows["sound" if kind == "look" else "look"]
            members = rows[(rows[kind] > 0) & ((kind == "look") | (others == 0))]
            for band in range(64 // _BAND_BITS):
                for first, second in _alike_in_band(members, kind, band):
                    yield _place(members[first]), _place(members[second])

    def _table(self) -> np.ndarray:
        names = ("shard", "offset", "split", "media", "look", "sound")
        return np.frombuffer(self._rows.tobytes(), np.dtype([(name, np.uint64) for name in names]))


def _alike_in_band(rows: np.ndarray, kind: str, band: int) -> Iterator[tuple[int, int]]:
    """Yields pairs of rows that agree in this band and in no band before it, and enough in the others."""
    keys = _band(rows[kind], band)
    order = np.argsort(keys, kind="stable")
    for bucket in np.split(order, np.flatnonzero(np.diff(keys[order])) + 1):
        if len(bucket) < 2 or np.ptp(rows["split"][bucket]) == 0:
            continue
        step = max(1, _PAIRS_AT_ONCE // len(bucket))
        for start in range(0, len(bucket), step):
            some = bucket[start : start + step]
            for row, column in np.argwhere(_are_alike(rows[some, None], rows[bucket], kind, band)):
                yield int(some[row]), int(bucket[column])


def _are_alike(one: np.ndarray, other: np.ndarray, kind: str, band: int) -> np.ndarray:
    """Returns bool [rows, columns] for `[rows, 1]` and `[columns]`; each pair of clips is taken once."""
    alike = (one["split"] < other["split"]) & (one["media"] != other["media"])
    alike &= _distance(one[kind], other[kind]) <= ALIKE_LOOK_BITS
    for earlier in range(band):
        alike &= _band(one[kind], earlier) != _band(other[kind], earlier)
    silent = (one["sound"] == 0) | (other["sound"] == 0)
    return alike & (silent | (_distance(one["sound"], other["sound"]) <= ALIKE_SOUND_BITS))


def _distance(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return sum(_BIT_COUNTS[_band(one ^ other, band)].astype(np.int16) for band in range(64 // _BAND_BITS))


def _band(hashes: np.ndarray, band: int) -> np.ndarray:
    return (hashes >> np.uint64(band * _BAND_BITS)) & np.uint64(2**_BAND_BITS - 1)


def _place(row: np.void) -> Place:
    return Place(int(row["shard"]), int(row["offset"]))
