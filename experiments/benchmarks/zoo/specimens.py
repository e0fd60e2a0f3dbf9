"""Draws the files of the zoo: which kinds come together in each, and what is planted in it."""

from __future__ import annotations

import collections
import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from experiments.benchmarks.zoo.caption_forms import FORMS
from experiments.benchmarks.zoo.kinds import (
    ANY_RATE_HZ,
    CONTAINERS,
    FRAME_RATES,
    LAYOUTS,
    ODDITIES,
    ORIENTATIONS,
    RATES_HZ,
    can_turn,
)

Choice = TypeVar("Choice")
SECONDS, FLASH_SECONDS = 2.4, 0.3
PAIRS = tuple((name, video) for name, container in CONTAINERS.items() for video in container.video)
# The one is made from .avi; in the other FFmpeg writes captions that last until the next.
_NO_TEXT_INSIDE = ("times of decoding", "fragments")
_COLORS = ((180, 60, 40), (40, 140, 60), (50, 70, 190), (170, 150, 40), (130, 60, 150))


class Specimen(NamedTuple):
    """A file: what kind it is, and what is planted in it.

    Attributes:
      stem: its name without the ending.
      container, video, sound: a key of `CONTAINERS` and two encoders.
      layout, orientation, oddity, captions: keys of `LAYOUTS`, `ORIENTATIONS`, `ODDITIES` and `FORMS`.
      frames_per_second, sample_rate_hz: as it is stored.
      color: of the picture, RGB in 0 ... 255.
      flash_seconds, click_seconds: when the middle of the picture turns white for `FLASH_SECONDS`, and a short tone starts.
      caption_seconds: when the first caption starts.
    """

    stem: str
    container: str
    video: str
    sound: str
    layout: str
    orientation: str
    oddity: str
    captions: str
    frames_per_second: int
    sample_rate_hz: int
    color: tuple[int, int, int]
    flash_seconds: float
    click_seconds: float
    caption_seconds: float

    @property
    def file_name(self) -> str:
        """The name of the media file."""
        return f"{self.stem}.{self.container.upper() if self.oddity == 'capital ending' else self.container}"


def draw(seed: int, count: int) -> list[Specimen]:
    """Returns `count` specimens: every pair of container and codec in turn, with what goes with it and came least so far."""
    generator, drawn = np.random.default_rng(seed), collections.Counter()
    order = [PAIRS[index] for index in generator.permutation(len(PAIRS))]
    return [_specimen(number, *order[number % len(order)], generator, drawn) for number in range(count)]


def _specimen(
    number: int, container: str, video: str, generator: np.random.Generator, drawn: collections.Counter
) -> Specimen:
    def rarest(kind: str, choices: Iterable[Choice]) -> Choice:
        choices = list(choices)
        least = min(drawn[kind, choice] for choice in choices)
        few = [choice for choice in choices if drawn[kind, choice] == least]
        chosen = few[generator.integers(len(few))]
        drawn[kind, chosen] += 1
        return chosen

    sounds = CONTAINERS[container].sound
    oddity = rarest("oddity", (name for name in ODDITIES if _sounds_of(name, container, video, sounds)))
    sound = rarest("sound", _sounds_of(oddity, container, video, sounds))
    stem = f"{number:03d}"
    tenths = generator.integers(2, 9, size=3)
    return Specimen(
        unicodedata.normalize("NFD", f"{stem} señal") if oddity == "decomposed name" else stem,
        container,
        video,
        sound,
        rarest("layout", _layouts_of(container, sound, oddity)),
        rarest("orientation", _orientations_of(container, video, oddity)),
        oddity,
        rarest("captions", _captions_of(container, oddity)),
        rarest("rate", FRAME_RATES[:1] if video in ("h263", "mpeg1video") else FRAME_RATES),
        int(generator.choice(RATES_HZ.get(sound, ANY_RATE_HZ))),
        _COLORS[generator.integers(len(_COLORS))],
        *(tenths / 5).round(1).tolist(),
    )


def _sounds_of(oddity: str, container: str, video: str, sounds: Sequence[str]) -> list[str]:
    """Returns the encoders of sound that an oddity goes with in such a file; none if it does not go with the file."""
    odd = ODDITIES[oddity]
    if (odd.containers and container not in odd.containers) or (odd.video and video not in odd.video):
        return []
    if oddity == "times of decoding":  # made from an .avi file
        return list(odd.sound)
    return [sound for sound in sounds if not odd.sound or sound in odd.sound]


def _layouts_of(container: str, sound: str, oddity: str) -> list[str]:
    if sound == "libopencore_amrnb" or oddity in ("samples that are no numbers", "a gap in the sound"):
        return ["mono"]
    if sound == "libopus" and container in ("webm", "mkv"):
        return list(LAYOUTS)
    wide = sound in ("aac", "ac3", "flac", "pcm_s16le", "libopus") and container != "flv"
    return [name for name in LAYOUTS if name != "ambisonic" and (wide or name != "5.1")]


def _orientations_of(container: str, video: str, oddity: str) -> list[str]:
    if oddity in ("interlaced", "wide pixels", "times of decoding", "cover picture"):
        return ["as stored"]
    said = ["said once"] if video == "libx264" and not can_turn(container) else []
    return [*list(ORIENTATIONS)[: 8 if can_turn(container) else 1], *said]


def _captions_of(container: str, oddity: str) -> list[str]:
    forms = [name for name, form in FORMS.items() if not form.containers or container in form.containers]
    return [name for name in forms if not (oddity in _NO_TEXT_INSIDE and FORMS[name].inside)]
