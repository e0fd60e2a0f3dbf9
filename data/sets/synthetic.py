"""The data set `synthetic`: rendered narrated scenes with planted misalignment (TFDS builder)."""

from __future__ import annotations

import dataclasses
import functools
import io
import math
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from data.errors import DataError
from data.media.reader import MediaFormat, MediaReader
from data.media.writer import encode_mp4
from data.preparing.rendered_clips import SPLITS, RenderedClips, clip_name
from data.preparing.tally import Tally
from data.records.schema import dataset_info, make_record, settings_of
from data.sets.narration import narrate
from data.sets.scenes import CLASS_NAMES, Scene, draw_scene, render_frames
from data.sets.sounds import synthesize
from data.source.storage import join
from data.source.written_files import renamed_when_done
from data.text.cues import Cue
from data.text.webvtt import format_vtt

# What a random number is for: changing one noise level leaves every other draw as it was.
_SCENE, _GRAIN, _SOUND, _NARRATION, _TEXT_NOISE, _AUDIO_NOISE = range(6)
_AAC_RATES_HZ = (16000, 22050, 24000, 32000, 44100, 48000)


@dataclasses.dataclass(eq=False, kw_only=True)
class SyntheticConfig(tfds.core.BuilderConfig):
    """Decides every byte of the synthetic data set.

    Attributes:
      train_clips: Size of the split; classes take turns.
      validation_clips: Size of the split, drawn like the training split.
      test_clips: Size of the split, whose clips have no noise.
      text_noise: Probability that a clip's narration is of a scene of another class.
      audio_noise: Probability that a clip's sound is of a scene of another class.
      seed: Seed of every draw, together with split and position.
      clip_seconds: Length of a clip.
      image_size_px: Height and width; even, at least 16.
      frames_per_second: Rate of the frames.
      sample_rate_hz: One that AAC knows, at least 16000.
      source_dir: Where to keep the mp4 and vtt files; None to keep none. Not a parameter of the
        records.
    """

    name: str = "default"
    train_clips: int = 1600
    validation_clips: int = 160
    test_clips: int = 240
    text_noise: float = 0.3
    audio_noise: float = 0.3
    seed: int = 0
    clip_seconds: float = 3.2
    image_size_px: int = 64
    frames_per_second: float = 10.0
    sample_rate_hz: int = 16000
    source_dir: str | None = None

    def __post_init__(self) -> None:
        """Raises DataError for values that no data set can be made with."""
        for name in ("text_noise", "audio_noise"):
            if not 0 <= getattr(self, name) <= 1:
                raise DataError(f"{name} should be a probability in [0, 1]. Found {getattr(self, name)}")
        if self.train_clips < 1 or self.validation_clips < 0 or self.test_clips < 0:
            raise DataError("the number of clips should be at least 1 in train and at least 0 in the other splits")
        if self.image_size_px < 16 or self.image_size_px % 2:
            raise DataError(f"image_size_px should be even and >= 16. Found {self.image_size_px}")
        if self.sample_rate_hz not in _AAC_RATES_HZ:
            raise DataError(f"sample_rate_hz should be in {_AAC_RATES_HZ}. Found {self.sample_rate_hz}")
        if not (self.frames_per_second >= 1 and 1 <= self.clip_seconds * self.frames_per_second < math.inf):
            raise DataError("frames_per_second should be at least 1, and a clip should hold a frame and be finite")
        if self.seed < 0:
            raise DataError(f"seed should be at least 0. Found {self.seed}")

    def parameters(self) -> dict[str, Any]:
        """Returns the fields that decide what the records hold."""
        return settings_of(self, "source_dir")


class Synthetic(RenderedClips):
    """Moving shapes with a sound and a narration, as real mp4 files that are decoded again."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        return dataset_info(
            self,
            "Moving colored shapes (class = color x shape x motion) with a sound tied to them and "
            "time-stamped narration. With given probabilities the narration or the sound of a "
            "training clip belongs to another scene; the truth is in the record.",
            self.builder_config.parameters(),
            CLASS_NAMES,
        )

    @classmethod
    def report(cls, config: SyntheticConfig, tallies: Mapping[str, Tally]) -> dict[str, Any]:
        """Returns how many clips of each split have a planted mismatch."""
        return {
            "misaligned": {
                split: {name: tally.counts[f"misaligned {name}"] for name in ("text", "audio")}
                for split, tally in tallies.items()
            }
        }

    @staticmethod
    def count(record: dict[str, Any], tally: Tally) -> None:
        """Counts the mismatches."""
        for name in ("text", "audio"):
            tally.counts[f"misaligned {name}"] += 1 - record[f"{name}_aligned"]

    @staticmethod
    def make_clip(config: SyntheticConfig, split: str, index: int) -> dict[str, Any]:
        """See `make_clip`."""
        return make_clip(config, split, index)


def make_clip(config: SyntheticConfig, split: str, index: int) -> dict[str, Any]:
    """Makes one clip: renders it, writes it as mp4, decodes that again.

    Returns:
      the record, a function of (config, split, index) alone.
    """
    noisy = split != "test"
    label = index % len(CLASS_NAMES)
    generator = functools.partial(_generator, config.seed, split, index)
    scene = draw_scene(label, generator(_SCENE))
    told = _maybe_other(scene, config.text_noise * noisy, generator(_TEXT_NOISE))
    heard = _maybe_other(scene, config.audio_noise * noisy, generator(_AUDIO_NOISE))
    cues = narrate(told, config.clip_seconds, generator(_NARRATION))
    media = _encode(config, scene, heard, generator)
    clip_id = clip_name(split, index)
    if config.source_dir is not None:
        _keep(join(config.source_dir, clip_id), media, cues)
    clock = MediaFormat(config.frames_per_second, config.image_size_px, config.sample_rate_hz)
    (clip,) = MediaReader(media, clock).clips(config.clip_seconds)
    return make_record(
        clip,
        cues,
        clip_id=clip_id,
        source=f"{clip_id}.mp4",
        label=label,
        text_aligned=int(told is scene),
        audio_aligned=int(heard is scene),
    )


def _generator(seed: int, split: str, index: int, purpose: int) -> np.random.Generator:
    return np.random.default_rng([seed, SPLITS.index(split), index, purpose])


def _maybe_other(scene: Scene, probability: float, generator: np.random.Generator) -> Scene:
    """Returns the scene, or with the given probability one of another class."""
    if generator.uniform() >= probability:
        return scene
    step = generator.integers(1, len(CLASS_NAMES))
    return draw_scene((scene.label + step) % len(CLASS_NAMES), generator)


def _encode(
    config: SyntheticConfig,
    seen: Scene,
    heard: Scene,
    generator: Callable[[int], np.random.Generator],
) -> bytes:
    frames = round(config.clip_seconds * config.frames_per_second)
    times = np.arange(frames) / config.frames_per_second
    seconds = frames / config.frames_per_second
    buffer = io.BytesIO()
    encode_mp4(
        buffer,
        render_frames(seen, times, config.image_size_px, generator(_GRAIN)),
        synthesize(heard, seconds, config.sample_rate_hz, generator(_SOUND)),
        frames_per_second=config.frames_per_second,
        sample_rate_hz=config.sample_rate_hz,
    )
    return buffer.getvalue()


def _keep(stem: str, media: bytes, cues: Iterable[Cue]) -> None:
    """Writes `stem`.mp4 and `stem`.vtt, each under another name first."""
    tf.io.gfile.makedirs(os.path.dirname(stem))
    for suffix, content in ((".mp4", media), (".vtt", format_vtt(cues).encode())):
        with renamed_when_done(stem + suffix) as temporary, tf.io.gfile.GFile(temporary, "wb") as file:
            file.write(content)
