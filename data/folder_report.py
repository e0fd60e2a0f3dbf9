"""Counts what was found in a folder of videos, and names what was not usable."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence, Set
from typing import Any

from data.captions import ParsedCaptions
from data.folder_labels import FolderLabels


class FolderReport:
    """Collects the content of `prepare_report.json` for the data set `folder`."""

    def __init__(self) -> None:
        """Starts with nothing counted."""
        self._counts: collections.Counter[str] = collections.Counter()
        self._video_seconds = 0.0
        self._skipped: dict[str, list[str]] = collections.defaultdict(list)
        self._incomplete: dict[str, str] = {}
        self._broken_cues: dict[str, int] = {}
        self._unreadable_captions: dict[str, str] = {}
        self._labels: dict[str, Any] = {}
        self._class_names: tuple[str, ...] = ()

    def add_checked(self, found: int, faults: Mapping[str, str]) -> None:
        """Notes how many files there are, and the unusable ones with their reasons."""
        self._counts["videos_found"] = found
        for name, reason in faults.items():
            self._skipped[reason].append(name)

    def add_labels(self, labels: FolderLabels, unlabeled: Sequence[str], labeled: Set[str]) -> None:
        """Notes the labels' file, the videos that it does not name, and those that it does."""
        self._counts["videos_found"] += len(unlabeled)
        if unlabeled:
            self._skipped["the labels do not name it"] = list(unlabeled)
        self._labels = {
            "multi_label": labels.multi_label,
            "clips_per_class": dict.fromkeys(labels.class_names, 0),
            "labels_without_video": sorted(labels.by_file.keys() - labeled),
        }
        self._class_names = labels.class_names

    def add_clip(
        self, seconds: float, has_audio: bool, captions: int, classes: Sequence[int] = ()
    ) -> None:
        """Notes a clip that is written, with its classes."""
        for index in classes:
            self._labels["clips_per_class"][self._class_names[index]] += 1
        self._video_seconds += seconds
        self._counts["clips"] += 1
        self._counts["clips_without_audio"] += not has_audio
        self._counts["clips_without_captions"] += not captions

    def add_video(self, name: str, has_audio_track: bool) -> None:
        """Notes a video that has been read to its end."""
        self._counts["videos_used"] += 1
        self._counts["videos_without_audio_track"] += not has_audio_track

    def add_incomplete(self, name: str, what: str) -> None:
        """Notes a video of which a part could not be read; the rest is used."""
        self._incomplete[name] = what

    def add_captions(
        self, name: str, captions: ParsedCaptions | None, unreadable: str | None = None
    ) -> None:
        """Notes the captions of a video: parsed ones, none, or a file that cannot be read."""
        if unreadable is not None:
            self._unreadable_captions[name] = unreadable
        if captions is None or not captions.cues:
            self._counts["videos_without_captions"] += 1
        if captions is not None and captions.broken_cues:
            self._broken_cues[name] = captions.broken_cues

    def content(self) -> dict[str, Any]:
        """Returns the report: JSON values, every key always there.

        `skipped` maps each reason to the names of the files left out for it; `incomplete`,
        `broken_cues` and `unreadable_captions` map the names of videos that are used to what is
        wrong with them or with their caption file. With labels there are three keys more:
        `multi_label`, `clips_per_class`, and `labels_without_video`, the names in the labels' file
        that no video has.
        """
        names = (
            "videos_found",
            "videos_used",
            "videos_without_audio_track",
            "videos_without_captions",
            "clips_without_audio",
            "clips_without_captions",
        )
        return {
            **{name: self._counts[name] for name in names},
            "videos_skipped": sum(map(len, self._skipped.values())),
            "video_seconds": round(self._video_seconds, 3),
            "skipped": dict(self._skipped),
            "incomplete": self._incomplete,
            "broken_cues": self._broken_cues,
            "unreadable_captions": self._unreadable_captions,
            **self._labels,
        }
