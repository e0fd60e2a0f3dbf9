"""The synthetic data set `imbalanced`: one modality is learned before the other (TFDS builder)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from data.errors import DataError
from data.media.reader import DecodedClip
from data.preparing.rendered_clips import SPLITS, RenderedClips, clip_name
from data.preparing.tally import Tally
from data.records.schema import dataset_info, make_record, settings_of
from data.sets.imbalanced_scenes import (
    CLASS_NAMES,
    draw_imbalanced_scene,
    render_cluttered,
    synthesize_noisy,
)

_SCENE, _PICTURE, _SOUND = range(3)
_INT16_MAX = 32767


@dataclasses.dataclass(eq=False, kw_only=True)
class ImbalancedConfig(tfds.core.BuilderConfig):
    """Decides every byte of the imbalanced data set, and how hard either modality is.

    Attributes:
      train_clips: Size of the split. All splits are drawn alike, and classes take turns.
      validation_clips: Size of the split.
      test_clips: Size of the split.
      video_contrast: How much brighter the shapes are than what is behind them, at most, as a share
        of full scale; less is harder.
      video_clutter: Smaller shapes in the picture; more is harder.
      video_hidden: Probability that the class's shape is not in the picture, only smaller ones; it
        bounds what can be learned from the video, the two above how fast that is.
      audio_noise_db: How loud the noise over the sound may be, in decibels above it; it is drawn
        evenly between -30 dB and this. More is harder: at +15 dB even a good ear hears nothing else.
      seed: Seed of every draw, together with split and position.
      clip_seconds: Length of a clip.
      image_size_px: Height and width, at least 16.
      frames_per_second: Rate of the frames.
      sample_rate_hz: Sampling rate of the audio, at least 4000.
    """

    name: str = "default"
    train_clips: int = 1500
    validation_clips: int = 300
    test_clips: int = 600
    video_contrast: float = 0.4
    video_clutter: int = 8
    video_hidden: float = 0.3
    audio_noise_db: float = 20.0
    seed: int = 0
    clip_seconds: float = 1.6
    image_size_px: int = 48
    frames_per_second: float = 5.0
    sample_rate_hz: int = 8000

    def __post_init__(self) -> None:
        """Raises DataError for values that no data set can be made with."""
        if not 0 < self.video_contrast <= 1:
            raise DataError(f"video_contrast should be a share in (0, 1]. Found {self.video_contrast}")
        if not 0 <= self.video_hidden <= 1:
            raise DataError(f"video_hidden should be a probability in [0, 1]. Found {self.video_hidden}")
        if not -30 <= self.audio_noise_db <= 100:
            raise DataError(f"audio_noise_db should be in [-30, 100]. Found {self.audio_noise_db}")
        if self.train_clips < 1 or self.validation_clips < 0 or self.test_clips < 0:
            raise DataError("the number of clips should be at least 1 in train and at least 0 in the other splits")
        limits = dict(video_clutter=0, seed=0, image_size_px=16, sample_rate_hz=4000)
        for name, least in (limits | dict(frames_per_second=1)).items():
            if not least <= getattr(self, name) < math.inf:
                raise DataError(f"{name} should be at least {least}. Found {getattr(self, name)}")
        if not 1 <= self.clip_seconds * self.frames_per_second < math.inf:
            raise DataError(f"clip_seconds={self.clip_seconds} should be finite and hold at least one frame")

    def parameters(self) -> dict[str, Any]:
        """Returns the fields that decide what the records hold."""
        return settings_of(self)


class Imbalanced(RenderedClips):
    """Patterned shapes in clutter with audio that shows the same class more clearly. No captions."""

    VERSION = tfds.core.Version("1.0.0")

    @classmethod
    def report(cls, config: ImbalancedConfig, tallies: Mapping[str, Tally]) -> dict[str, Any]:
        """Returns nothing: every clip is made as asked."""
        return {}

    def _info(self) -> tfds.core.DatasetInfo:
        return dataset_info(
            self,
            "Patterned shapes that move in clutter (class = pattern x shape), with audio "
            "that tells the class too, by timbre, rhythm and pitch, unless noise drowns it. The "
            "audio is learned much faster than the video.",
            self.builder_config.parameters(),
            CLASS_NAMES,
        )

    @staticmethod
    def make_clip(config: ImbalancedConfig, split: str, index: int) -> dict[str, Any]:
        """See `make_clip`."""
        return make_clip(config, split, index)


def make_clip(config: ImbalancedConfig, split: str, index: int) -> dict[str, Any]:
    """Makes one clip.

    Returns:
      the record, a function of (config, split, index) alone.
    """
    key = [config.seed, SPLITS.index(split), index]
    scene, picture, sound = (np.random.default_rng([*key, use]) for use in (_SCENE, _PICTURE, _SOUND))
    label = index % len(CLASS_NAMES)
    drawn = draw_imbalanced_scene(label, scene)
    frames = round(config.clip_seconds * config.frames_per_second)
    video = render_cluttered(
        drawn,
        np.arange(frames) / config.frames_per_second,
        config.image_size_px,
        picture,
        contrast=config.video_contrast,
        clutter=config.video_clutter,
        hidden=config.video_hidden,
    )
    seconds = frames / config.frames_per_second
    audio = synthesize_noisy(drawn, seconds, config.sample_rate_hz, sound, noise_db=config.audio_noise_db)
    clip = DecodedClip(0.0, video, (audio * _INT16_MAX).astype(np.int16))
    clip_id = clip_name(split, index)
    return make_record(clip, (), clip_id=clip_id, source=clip_id, label=label, audio_aligned=1)
