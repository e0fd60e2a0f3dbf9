"""Finds clips that are there twice, and clips that look and sound alike, by their hashes alone."""

from __future__ import annotations

import array
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

ALIKE_LOOK_BITS = 3
"""Our choice: pictures look alike if their hashes differ in so many of 64 bits at most."""
ALIKE_SOUND_BITS = 16
"""Our choice, for sounds; the hashes of two that have nothing in common differ in 32 +- 4."""
_BAND_BITS = 16  # 64 / (ALIKE_LOOK_BITS + 1): those that differ in 3 bits agree in one of four bands
_PAIRS_AT_ONCE = 2**20
_COLUMNS = ("shard", "offset", "split", "media", "look", "sound")
Columns = Mapping[str, np.ndarray]  # uint64 [clips] each
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
        clips = self._columns()
        order = np.argsort(clips["media"], kind="stable")
        order = order[clips["media"][order] > 0]
        borders = np.flatnonzero(np.diff(clips["media"][order])) + 1
        starts, ends = np.concatenate([[0], borders]), np.concatenate([borders, [len(order)]])
        for group in np.flatnonzero(ends - starts > 1):
            yield [_place(clips, row) for row in order[starts[group] : ends[group]]]

    def alike(self) -> Iterator[tuple[Place, Place]]:
        """Yields pairs of clips of different splits that look alike and, if both can be heard, sound alike.

        Clips without a picture are compared by their sound alone, as strictly as pictures are. Equal clips
        are not among them.
        """
        clips = self._columns()
        for kind, members in (("look", clips["look"] > 0), ("sound", (clips["sound"] > 0) & (clips["look"] == 0))):
            some = {name: column[members] for name, column in clips.items()}
            for band in range(64 // _BAND_BITS):
                for first, second in _alike_in_band(some, kind, band):
                    yield _place(some, first), _place(some, second)

    def _columns(self) -> Columns:
        rows = np.frombuffer(self._rows.tobytes(), np.uint64).reshape(-1, len(_COLUMNS))
        return {name: np.ascontiguousarray(column) for name, column in zip(_COLUMNS, rows.T, strict=True)}


def _alike_in_band(clips: Columns, kind: str, band: int) -> Iterator[tuple[int, int]]:
    """Yields pairs of clips that agree in this band of the hash and in no band before it, and enough in the others."""
    keys = _band(clips[kind], band)
    for split in np.unique(clips["split"]):
        ones, others = np.flatnonzero(clips["split"] == split), np.flatnonzero(clips["split"] > split)
        others = others[np.argsort(keys[others], kind="stable")]
        first = np.searchsorted(keys[others], keys[ones], "left")
        counts = np.searchsorted(keys[others], keys[ones], "right") - first
        borders = np.flatnonzero(np.diff(np.cumsum(counts) // _PAIRS_AT_ONCE)) + 1
        for some in np.split(np.arange(len(ones)), borders):
            left, right = _pairs(ones[some], first[some], counts[some])
            pairs = _only_alike(clips, left, others[right], kind, band)
            yield from zip(*(rows.tolist() for rows in pairs), strict=True)


def _pairs(rows: np.ndarray, first: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns each row as often as it has partners, and these: `counts` in a row, from `first` on."""
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(rows, counts), np.repeat(first, counts) + within


def _only_alike(
    clips: Columns, one: np.ndarray, other: np.ndarray, kind: str, band: int
) -> tuple[np.ndarray, np.ndarray]:
    near = _distance(clips[kind][one], clips[kind][other]) <= ALIKE_LOOK_BITS
    one, other = one[near], other[near]
    alike = clips["media"][one] != clips["media"][other]
    for earlier in range(band):
        alike &= _band(clips[kind][one], earlier) != _band(clips[kind][other], earlier)
    sounds = clips["sound"][one], clips["sound"][other]
    alike &= (sounds[0] == 0) | (sounds[1] == 0) | (_distance(*sounds) <= ALIKE_SOUND_BITS)
    return one[alike], other[alike]


def _distance(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return sum(_BIT_COUNTS[_band(one ^ other, band)].astype(np.int16) for band in range(64 // _BAND_BITS))


def _band(hashes: np.ndarray, band: int) -> np.ndarray:
    return (hashes >> np.uint64(band * _BAND_BITS)) & np.uint64(2**_BAND_BITS - 1)


def _place(clips: Columns, row: int) -> Place:
    return Place(int(clips["shard"][row]), int(clips["offset"][row]))
