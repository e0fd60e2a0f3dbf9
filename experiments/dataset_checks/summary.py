"""Counts what is in a prepared data set, split by split, without decoding a frame."""

import array
import collections
import dataclasses
import hashlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from data import PreparedDataset, StoredClip
from experiments.dataset_checks.clip_signals import SILENT_DB, mean_db, peak_db

MISSING = ("video", "sound", "captions", "class")


@dataclasses.dataclass
class SplitSummary:
    """What is in some clips; a few numbers per clip, so that millions fit into memory.

    Attributes:
      seconds: How long each clip is.
      loudness_db: Root mean square of the sound of each clip that can be heard, below full scale.
      captions: How many captions each clip has.
      words: How many words each caption has.
      frame_sizes: Clips by (width, height) of their first frame.
      classes: Clips by class; one with several classes counts in each.
      sources: Hashes of the names of the files that the clips were cut from.
      missing: Clips that lack something, by what (`MISSING`); silent sound counts as `silent` instead.
    """

    seconds: array.array = dataclasses.field(default_factory=lambda: array.array("d"))
    loudness_db: array.array = dataclasses.field(default_factory=lambda: array.array("d"))
    captions: array.array = dataclasses.field(default_factory=lambda: array.array("I"))
    words: array.array = dataclasses.field(default_factory=lambda: array.array("I"))
    frame_sizes: collections.Counter[tuple[int, int]] = dataclasses.field(default_factory=collections.Counter)
    classes: collections.Counter[int] = dataclasses.field(default_factory=collections.Counter)
    sources: set[int] = dataclasses.field(default_factory=set)
    missing: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)

    def add(self, clip: StoredClip, prepared: PreparedDataset) -> None:
        """Counts a clip of the data set."""
        self.seconds.append(clip_seconds(clip, prepared))
        self.captions.append(len(clip.captions))
        self.words.extend(len(cue.text.split()) for cue in clip.captions)
        self.classes.update(clip.labels)
        self.sources.add(_hash(clip.source))
        there = (len(clip.jpegs), clip.audio.size, len(clip.captions), len(clip.labels))
        self.missing.update(name for name, size in zip(MISSING, there, strict=True) if not size)
        if len(clip.jpegs):
            self.frame_sizes[clip.picture(0).size] += 1
        if clip.audio.size and peak_db(clip.audio) > SILENT_DB:
            self.loudness_db.append(mean_db(clip.audio))
        else:
            self.missing["silent"] += bool(clip.audio.size)

    def to_json(self, class_names: Sequence[str]) -> dict[str, Any]:
        """Returns the counts, and of what is measured the spread, as JSON values."""
        sizes = sorted(self.frame_sizes.items(), key=lambda item: (-item[1], item[0]))
        return {
            "clips": len(self.seconds),
            "hours": math.fsum(self.seconds) / 3600,
            "source_files": len(self.sources),
            "clips_without": {name: self.missing[name] for name in MISSING},
            "clips_with_silent_sound": self.missing["silent"],
            "captions": len(self.words),
            "clips_per_class": {class_name(label, class_names): count for label, count in sorted(self.classes.items())},
            "clips_per_frame_size": {f"{width} x {height}": count for (width, height), count in sizes},
            "seconds_per_clip": _spread(self.seconds),
            "captions_per_clip": _spread(self.captions),
            "words_per_caption": _spread(self.words),
            "loudness_db": _spread(self.loudness_db),
        }


def merged(parts: Sequence[SplitSummary]) -> SplitSummary:
    """Returns the summary of all the clips of some summaries."""
    whole = SplitSummary()
    for part in parts:
        for name in ("seconds", "loudness_db", "captions", "words"):
            getattr(whole, name).extend(getattr(part, name))
        for name in ("frame_sizes", "classes", "sources", "missing"):
            getattr(whole, name).update(getattr(part, name))
    return whole


def clip_seconds(clip: StoredClip, prepared: PreparedDataset) -> float:
    """Returns how long a clip is: as its frames, or without any as its sound."""
    if len(clip.jpegs):
        return len(clip.jpegs) / prepared.frames_per_second
    return clip.audio.size / prepared.sample_rate_hz


def class_name(number: int, class_names: Sequence[str]) -> str:
    """Returns the name of a class, or its number where there is no name."""
    return class_names[number] if 0 <= number < len(class_names) else str(number)


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    if not len(values):
        return None
    figures = np.percentile(np.asarray(values, np.float64), [0, 10, 50, 90, 100])
    names = ("minimum", "percentile_10", "median", "percentile_90", "maximum")
    return {"mean": float(np.mean(values)), **dict(zip(names, map(float, figures), strict=True))}


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
