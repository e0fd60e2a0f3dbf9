"""The data set `tuxpaint`: pictures with their names, spoken and written in many languages (TFDS builder)."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from data.errors import DataError
from data.media.moving_pictures import open_picture, pan_and_zoom
from data.media.reader import DecodedClip, MediaFormat, MediaReader
from data.preparing.listed_clips import ListedClips
from data.preparing.listed_clips_config import ListedClipsConfig
from data.preparing.listing import ClipList, ListedVideo, by_reason, printable
from data.preparing.tally import Tally
from data.records.schema import make_record
from data.sets.folders.splits import split_labeled
from data.sets.tuxpaint_stamps import (
    ENGLISH,
    SOUND_NAME,
    groups_by_name,
    read_stamps,
    shared_languages,
    split_by_use,
)
from data.text.cues import Cue

# What a random number is for: changing one noise level leaves every other draw as it was.
_PICTURE, _SOUND_START, _TEXT_NOISE, _AUDIO_NOISE = range(4)


@dataclasses.dataclass(eq=False, kw_only=True)
class TuxpaintConfig(ListedClipsConfig):
    """Settings of `ListedClipsConfig`, which names are taken, and how many of them are swapped.

    Attributes:
      source_dir: The folder of the stamps, /usr/share/tuxpaint/stamps with Debian's package.
      clip_seconds: Length of every clip; a longer sound is cut off.
      image_size_px: Height and width of a frame.
      languages: Codes of the languages that are spoken, such as `fr` or `pt_BR`; all of them by default. A picture
        gives a clip in each in which its name is spoken and written.
      every_language: Whether a clip has its names in all of the languages as captions; else in the spoken one alone.
      symbols: Whether the folder `symbols` is used: letters, digits, signs.
      text_noise: Probability that a clip of training or validation has another picture's written names.
      audio_noise: Probability that it has another picture's spoken name.
      validation_fraction: Share of the training names that is held out.
      test_fraction: Share of the names.
      seed: Seed of every draw, together with the clip's name; the splits do not depend on it.
    """

    clip_seconds: float = 3.2
    image_size_px: int = 64
    sample_rate_hz: int = 16000
    languages: Sequence[str] | None = None
    every_language: bool = False
    symbols: bool = False
    text_noise: float = 0.0
    audio_noise: float = 0.0
    validation_fraction: float = 0.1
    test_fraction: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        """Reads the stamps; raises DataError as the base does."""
        for name in ("text_noise", "audio_noise"):
            if not 0 <= getattr(self, name) <= 1:
                raise DataError(f"{name} should be a probability in [0, 1]. Found {getattr(self, name)}")
        for name in ("validation_fraction", "test_fraction"):
            if not 0 <= getattr(self, name) < 0.5:
                raise DataError(f"{name} should be a share in [0, 0.5). Found {getattr(self, name)}")
        if self.seed < 0 or self.image_size_px < 16:
            raise DataError("seed should be at least 0 and image_size_px at least 16")
        super().__post_init__()

    def read_source(self) -> ClipList:
        """Pairs the pictures with their names and sounds, deals them to the splits and swaps what the noise says."""
        stamps, skipped = read_stamps(self.tree, self.symbols)
        spoken = sorted(set().union(*(stamp.sounds for stamp in stamps)))
        languages = spoken if self.languages is None else list(dict.fromkeys(self.languages))
        if unknown := sorted(set(languages) - set(spoken)):
            raise DataError(
                f"--languages should be some of {','.join(spoken) or 'those of the stamps'}, which are spoken in "
                f"{self.tree.root}. Found {','.join(unknown)}."
            )
        stamps, silent = split_by_use(stamps, languages)
        if not stamps:
            raise DataError(
                f"{self.tree.root} should hold stamps of Tux Paint: CLASS/NAME.png or .svg with NAME.txt and "
                "NAME_desc_LANGUAGE.ogg. Found none whose name is spoken and written in a language."
            )
        classes = tuple(sorted({stamp.folder for stamp in stamps}))
        groups = groups_by_name(stamps, languages)
        splits = self._splits(set(groups.values()))
        videos = [
            self._video(stamp, language, splits[groups[stamp.path]], languages, classes)
            for stamp in stamps
            for language in shared_languages(stamp, languages)
        ]
        return ClipList(list(self._swapped(videos, groups)), classes, by_reason(skipped + silent))

    def _splits(self, groups):
        stand_ins = [ListedVideo(group, "", None) for group in sorted(groups)]
        dealt = split_labeled(stand_ins, {}, self.test_fraction, self.validation_fraction)
        return {video.name: split for split, members in dealt.items() for video in members}

    def _video(self, stamp, language, split, languages, classes):
        written = shared_languages(stamp, languages, spoken=False) if self.every_language else [language]
        return ListedVideo(
            f"{stamp.stem}@{language}",
            split,
            stamp.path,
            stamp.sounds[language],
            classes.index(stamp.folder),
            caption_path=f"{stamp.stem}.txt",
            cues=tuple(Cue(text, 0.0, self.clip_seconds) for text in dict.fromkeys(map(stamp.names.get, written))),
        )

    def _swapped(self, videos, groups) -> Iterator[ListedVideo]:
        """Gives some clips what belongs to another one of their split and language, of another name."""
        alike = collections.defaultdict(list)
        for video in videos:
            alike[video.split, _language(video)].append(video)
        for video in videos:
            others = [
                other for other in alike[video.split, _language(video)] if groups[other.path] != groups[video.path]
            ]
            told = self._other(video, others, self.text_noise, _TEXT_NOISE)
            heard = self._other(video, others, self.audio_noise, _AUDIO_NOISE)
            yield video._replace(cues=told.cues, caption_path=told.caption_path, sound_path=heard.sound_path)

    def _other(self, video, others, noise, purpose):
        draws = _generator(self.seed, video.name, purpose)
        if video.split == "test" or not others or draws.uniform() >= noise:
            return video
        return others[draws.integers(len(others))]


class Tuxpaint(ListedClips):
    """The stamps of Tux Paint: pictures whose names children hear and read, in up to 14 languages.

    The source folder is that of an installed copy, such as Debian's package tuxpaint-stamps-default
    (/usr/share/tuxpaint/stamps):

        animals/birds/owl.png           a picture, or .svg
        animals/birds/owl.txt           "An owl." and lines such as "fr.utf8=Une chouette."
        animals/birds/owl_desc_fr.ogg   the name, spoken; owl_desc.ogg is English

    A clip is a picture under a slow pan and zoom with its spoken name, which starts at a drawn time. The class is the
    first folder. Names that are the same in any of the languages, and all of their pictures, are in one split: no
    picture and no name is in two. Pictures without a name that is spoken and written in one language are skipped and
    counted, such as mirrored copies. SVGs are rendered by resvg where there is no PNG.

    License: the package is under the GPL, version 2 or later; single pictures and sounds come from many people, under
    free licenses of their own. So no record of it is shipped or may be passed on without a look at these.
    """

    VERSION = tfds.core.Version("1.0.0")
    DESCRIPTION = "Stamps of Tux Paint: pictures with their names, spoken and written in several languages."

    @classmethod
    def expected_clips(cls, config: TuxpaintConfig, item: ListedVideo) -> float:
        """Returns one: the files have no headers to look into."""
        return 1.0

    @classmethod
    def make_records(cls, config: TuxpaintConfig, item: ListedVideo, tally: Tally) -> Iterator[dict[str, Any]]:
        """Yields the record of an item, unless its picture or its sound cannot be decoded; counts as `cut_video` does."""
        try:
            clip = _clip(config, item)
        except DataError as error:
            tally.counts["videos_bad"] += 1
            tally.note("skipped", item.name, str(error))
            return
        text_aligned, audio_aligned = _aligned(item)
        tally.counts.update(videos_used=1, clips=1, frames=len(clip.frames), samples=clip.audio.size)
        tally.counts.update({f"class {item.label}": 1})
        tally.counts.update({"misaligned text": not text_aligned, "misaligned audio": not audio_aligned})
        yield make_record(
            clip,
            item.cues,
            clip_id=item.name,
            source=printable(item.path),
            label=item.label,
            text_aligned=text_aligned,
            audio_aligned=audio_aligned,
        )

    @classmethod
    def report(cls, config: TuxpaintConfig, tallies: Mapping[str, Tally]) -> dict[str, Any]:
        """Returns the base's counts, how many clips are of each language, and how many have a planted mismatch."""
        languages = collections.Counter(map(_language, config.listed.videos))
        misaligned = {
            split: {name: tally.counts[f"misaligned {name}"] for name in ("text", "audio")}
            for split, tally in tallies.items()
        }
        return super().report(config, tallies) | {
            "languages": dict(sorted(languages.items())),
            "misaligned": misaligned,
        }


def _language(video: ListedVideo) -> str:
    return video.name.rpartition("@")[2]


def _aligned(video: ListedVideo) -> tuple[int, int]:
    """Returns whether the written and the spoken name are the picture's own, which their files tell."""
    stem, _, language = video.name.rpartition("@")
    match = SOUND_NAME.fullmatch(video.sound_path)
    return int(video.caption_path == f"{stem}.txt"), int((match[1], match[2] or ENGLISH) == (stem, language))


def _clip(config: TuxpaintConfig, video: ListedVideo) -> DecodedClip:
    frames = max(1, round(config.clip_seconds * config.frames_per_second))
    picture = open_picture(config.tree, video.path, 2 * config.image_size_px)  # enough for the closest view
    moving = pan_and_zoom(picture, frames, config.image_size_px, _generator(config.seed, video.name, _PICTURE))
    clock = MediaFormat(config.frames_per_second, config.image_size_px, config.sample_rate_hz)
    return DecodedClip(0.0, moving, _sound(config, video, clock, frames))


def _sound(config: TuxpaintConfig, video: ListedVideo, clock: MediaFormat, frames: int) -> np.ndarray:
    """Reads the spoken name, in silence of the clip's length; where it starts is drawn."""
    reader = MediaReader(config.tree.media(video.sound_path), clock, decoder_threads=1)
    name = next((clip.audio for clip in reader.sound_spans([(0, frames)])), None)
    if name is None:
        raise DataError("its audio file has no audio")
    sound = np.zeros(clock.samples_at(frames), np.int16)
    start = _generator(config.seed, video.name, _SOUND_START).integers(len(sound) - len(name) + 1)
    sound[start : start + len(name)] = name
    return sound


def _generator(seed: int, name: str, purpose: int) -> np.random.Generator:
    digest = hashlib.sha256(name.encode(errors="surrogateescape")).digest()
    return np.random.default_rng([seed, purpose, *np.frombuffer(digest, np.uint32).tolist()])
