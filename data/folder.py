"""The data set `folder`: a user's own videos, cut into clips with their captions (TFDS builder)."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import math
import os
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow_datasets as tfds
import tqdm

from data.captions import Cue, nearest_captions, read_captions
from data.errors import DataError, PreparationError
from data.folder_labels import FolderLabels, find_labels, read_labels
from data.folder_report import FolderReport
from data.folder_splits import split_by_name, split_labeled
from data.media import DecodedClip, MediaFormat, MediaReader
from data.records import dataset_info, make_record, settings_of
from data.source_files import VIDEO_SUFFIXES, SourceVideo, find_videos, fingerprint

# A file that is this much shorter than its header says is reported as incomplete.
_MISSING_SECONDS, _MISSING_SHARE = 1.0, 0.05


@dataclasses.dataclass(eq=False, kw_only=True)
class FolderConfig(tfds.core.BuilderConfig):
    """Decides what is made of a folder of videos.

    Attributes:
      source_dir: the folder; every mp4, mkv, webm, avi, mov and flv file below it is read.
      clip_seconds: length of a clip; videos are cut one clip after the other.
      minimum_seconds: the remainder at a video's end is kept if it is this long. A video that is
        shorter than that is one clip all the same.
      image_size_px: the shorter side of a frame is scaled down to it, never up.
      frames_per_second, sample_rate_hz: rates of what is stored.
      test_fraction: share of the files that become the `test` split, unless `labels` names splits.
      labels: a CSV file with the classes of the files (see `data.folder_labels.read_labels`), as a
        path from here or from `source_dir`. Files that it does not name are left out. Where any
        file has several classes, the records get the feature `labels`.
      validation_fraction: with `labels` that name no validation split, the share of the training
        files that becomes it (0.1 by default); see `data.folder_splits.split_labeled`.
      max_captions: a clip has at most this many captions, the nearest in time.
      caption_reach_seconds: captions further from the clip than this are not its own.
      max_bad_fraction: preparation fails if more than this share of the files is unusable.
    """

    name: str = "default"
    source_dir: str | None = None
    clip_seconds: float = 10.0
    minimum_seconds: float = 2.0
    image_size_px: int = 256
    frames_per_second: float = 10.0
    sample_rate_hz: int = 48000
    test_fraction: float = 0.1
    labels: str | None = None
    validation_fraction: float | None = None
    max_captions: int = 16
    caption_reach_seconds: float = 10.0
    max_bad_fraction: float = 0.5

    def __post_init__(self) -> None:
        """Finds the videos and reads their labels.

        Raises:
          DataError: if there is none, or a value makes no sense.
        """
        if self.validation_fraction is not None and not self.labels:
            raise DataError("validation_fraction goes with labels: a folder without them has no split `validation`")
        for name in ("test_fraction", "max_bad_fraction", "validation_fraction"):
            if not 0 <= (getattr(self, name) or 0) <= 1:
                raise DataError(f"{name} is a share in [0, 1], not {getattr(self, name)}")
        for name in ("image_size_px", "frames_per_second", "sample_rate_hz"):
            if getattr(self, name) < 1:
                raise DataError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.clip_seconds * self.frames_per_second < 1:
            raise DataError(f"clip_seconds={self.clip_seconds} does not hold a frame")
        if not self.source_dir or not os.path.isdir(self.source_dir):
            raise DataError(f"--source_dir must be a folder of videos, not {self.source_dir!r}")
        self.videos = find_videos(self.source_dir)
        if not self.videos:
            suffixes = ", ".join(VIDEO_SUFFIXES)
            raise DataError(f"no video file ({suffixes}) anywhere below {self.source_dir}")
        self.known: FolderLabels | None = None
        self.unlabeled: list[str] = []
        if self.labels:
            self._read_labels()

    def _read_labels(self) -> None:
        """Keeps the videos that have labels; names the others in `unlabeled`."""
        self.known = read_labels(find_labels(self.labels, self.source_dir))
        found = {video.name for video in self.videos}
        self.unlabeled = sorted(found - self.known.by_file.keys())
        self.videos = [video for video in self.videos if video.name in self.known.by_file]
        if not self.videos:
            named = ", ".join(sorted(self.known.by_file)[:3])
            raise DataError(
                f"{self.known.path} names none of the videos below {self.source_dir}: it has {named}, ...; there are "
                f"{', '.join(self.unlabeled[:3])}, .... Paths are relative to --source_dir."
            )

    def parameters(self) -> dict[str, Any]:
        """Returns what decides the records' content: settings, and which files there are."""
        settings = settings_of(self, "source_dir", "max_bad_fraction", "labels", "validation_fraction")
        settings["source_fingerprint"] = fingerprint(self.videos)
        if self.known:
            settings |= {"labels_fingerprint": self.known.fingerprint(), "validation_fraction": self.validation_share}
        return settings

    @property
    def validation_share(self) -> float:
        """`validation_fraction`, or its default."""
        return 0.1 if self.validation_fraction is None else self.validation_fraction


class Folder(tfds.core.GeneratorBasedBuilder):
    """Clips of the videos in a folder, with the labels that the user gave, if any.

    Whether text or sound fit is unknown.
    """

    VERSION = tfds.core.Version("1.0.0")
    url_infos = {}  # Nothing is downloaded; TFDS would look for a list beside this file.

    def __init__(self, **kwargs: Any):
        """Takes what a TFDS builder takes; `config` is a `FolderConfig`."""
        self._report = FolderReport()
        self._promised_seconds: dict[str, float] = {}
        super().__init__(**kwargs)

    def report(self) -> dict[str, Any]:
        """Returns the counts; see `FolderReport.content`."""
        return self._report.content()

    def _info(self) -> tfds.core.DatasetInfo:
        known = self.builder_config.known
        return dataset_info(
            self,
            "Clips cut from a folder of videos, with the captions that lie next to them in time.",
            self.builder_config.parameters(),
            class_names=known.class_names if known else (),
            multi_label=known is not None and known.multi_label,
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict[str, Any]]]]:
        config, videos = self.builder_config, self._usable_videos()
        if config.known:
            self._report.add_labels(config.known, config.unlabeled, {video.name for video in config.videos})
            splits = split_labeled(videos, config.known.split_of, config.test_fraction, config.validation_share)
        else:
            splits = split_by_name(videos, config.test_fraction)
        return {
            split: self._generate_examples(split, videos)
            for split, videos in splits.items()
            if videos
        }

    def _usable_videos(self) -> list[SourceVideo]:
        """Opens every file and decodes its first frame, so that bad ones are known at once.

        Raises:
          PreparationError: if none is usable, or too many are not.
        """
        videos = self.builder_config.videos
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            reasons = list(
                tqdm.tqdm(
                    pool.map(self._find_fault, videos),
                    desc="checking",
                    total=len(videos),
                    unit=" files",
                    mininterval=1,
                )
            )
        faults = {
            video.name: reason for video, reason in zip(videos, reasons, strict=True) if reason
        }
        self._report.add_checked(len(videos), faults)
        if len(faults) == len(videos) or len(faults) > (
            self.builder_config.max_bad_fraction * len(videos)
        ):
            raise PreparationError(self._explain(faults))
        return [video for video in videos if video.name not in faults]

    def _find_fault(self, video: SourceVideo) -> str | None:
        if not video.size_bytes:
            return "the file is empty (0 bytes)"
        reader = MediaReader(video.path, self._media_format())
        try:
            next(reader.clips(1 / self.builder_config.frames_per_second))
        except DataError as error:
            return str(error)
        self._promised_seconds[video.name] = reader.promised_seconds
        return None

    def _explain(self, faults: dict[str, str]) -> str:
        found = len(self.builder_config.videos)
        examples = "; ".join(f"{name}: {reason}" for name, reason in list(faults.items())[:3])
        limit = (
            "nothing is left to prepare"
            if len(faults) == found
            else f"more than --max_bad_fraction={self.builder_config.max_bad_fraction} allows"
        )
        return (
            f"{len(faults)} of {found} video files cannot be used, {limit} ({examples}"
            f"{'; ...' if len(faults) > 3 else ''}). prepare_report.json names them all."
        )

    def _generate_examples(
        self, split: str, videos: Sequence[SourceVideo]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        seconds_per_frame = 1 / self.builder_config.frames_per_second
        total = math.ceil(sum(self._promised_seconds[video.name] for video in videos))
        with tqdm.tqdm(
            desc=split, total=total, unit=" s of video", unit_scale=True, mininterval=1
        ) as progress:
            for video in videos:
                progress.set_postfix_str(video.name[-40:], refresh=False)
                for record in self._records(video):
                    progress.update(len(record["video"]) * seconds_per_frame)
                    yield record["clip_id"], record

    def _records(self, video: SourceVideo) -> Iterator[dict[str, Any]]:
        cues = self._read_captions(video)
        reader = MediaReader(video.path, self._media_format())
        config = self.builder_config
        try:
            for clip in reader.clips(config.clip_seconds, config.minimum_seconds):
                yield self._record(video, clip, cues)
        except DataError as error:  # It went well up to here; hours of work must not be lost.
            self._report.add_incomplete(video.name, f"{_decoded(reader)}, then {error}")
        else:
            allowed = max(_MISSING_SECONDS, _MISSING_SHARE * reader.promised_seconds)
            if reader.damaged_packets or reader.missing_seconds > allowed:
                self._report.add_incomplete(video.name, _decoded(reader))
        self._report.add_video(video.name, reader.has_audio_track)

    def _record(self, video: SourceVideo, clip: DecodedClip, cues: Sequence[Cue]) -> dict[str, Any]:
        config = self.builder_config
        seconds = len(clip.frames) / config.frames_per_second
        captions = nearest_captions(
            cues,
            clip.start_seconds,
            clip.start_seconds + seconds,
            maximum=config.max_captions,
            reach_seconds=config.caption_reach_seconds,
        )
        classes = config.known.by_file[video.name] if config.known else ()
        self._report.add_clip(seconds, clip.audio.size > 0, len(captions), classes)
        clip_id = f"{video.name}@{clip.start_seconds:.2f}"
        labels = config.known.of(video.name) if config.known else {}
        return make_record(clip, captions, clip_id=clip_id, source=video.name, **labels)

    def _read_captions(self, video: SourceVideo) -> list[Cue]:
        if video.caption_path is None:
            self._report.add_captions(video.name, None)
            return []
        try:
            parsed = read_captions(video.caption_path)
        except DataError as error:
            self._report.add_captions(video.name, None, str(error))
            return []
        self._report.add_captions(video.name, parsed)
        return parsed.cues

    def _media_format(self) -> MediaFormat:
        config = self.builder_config
        return MediaFormat(config.frames_per_second, config.image_size_px, config.sample_rate_hz)


def _decoded(reader: MediaReader) -> str:
    return (
        f"{reader.decoded_seconds:.1f} of {reader.promised_seconds:.1f} s decoded, "
        f"{reader.damaged_packets} damaged packets left out"
    )
