"""Random changes to a training clip, each drawn once per clip so that its frames stay in step."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from data.errors import DataError
from data.pipeline.colors import NEUTRAL


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Ranges of the random changes; the defaults are VATT's (arXiv 2104.11178, appendix A.2).

    Attributes:
      crop_area: Least and greatest share of the frame that the crop covers.
      crop_aspect: Least and greatest width / height of the crop.
      flip_probability: How often a clip is mirrored left to right.
      jitter_probability: How often the colors of a clip are changed.
      brightness: Greatest shift, of colors in [0, 1].
      saturation: Greatest relative change: the factor lies in [1 - saturation, 1 + saturation].
      contrast: Greatest relative change, likewise.
      hue: Greatest turn, as a share of the color circle.
      audio_noise: Standard deviation of the noise on the waveform, relative to its greatest
        absolute value.

    Raises:
      DataError: A value lies outside its range.
    """

    crop_area: tuple[float, float] = (0.08, 1.0)
    crop_aspect: tuple[float, float] = (0.5, 2.0)
    flip_probability: float = 0.5
    jitter_probability: float = 0.8
    brightness: float = 32 / 255
    saturation: float = 0.4
    contrast: float = 0.4
    hue: float = 0.2
    audio_noise: float = 0.01

    def __post_init__(self) -> None:
        _check_range("crop_area", self.crop_area, greatest=1.0)
        _check_range("crop_aspect", self.crop_aspect, greatest=100.0)
        limits = {
            "flip_probability": 1.0,
            "jitter_probability": 1.0,
            "brightness": 1.0,
            "saturation": 1.0,
            "contrast": 1.0,
            "hue": 0.5,
            "audio_noise": 1.0,
        }
        for name, greatest in limits.items():
            value = getattr(self, name)
            if not _is_number(value) or not 0 <= value <= greatest:
                raise DataError(f"Augmentation.{name} should be a number in [0, {greatest:g}]. Found {value!r}.")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _check_range(name: str, value: object, greatest: float) -> None:
    pair = isinstance(value, (tuple, list)) and len(value) == 2 and all(map(_is_number, value))
    if not pair or not 0 < value[0] <= value[1] <= greatest:
        raise DataError(
            f"Augmentation.{name} should be two numbers (least, greatest) with "
            f"0 < least <= greatest <= {greatest:g}. Found {value!r}."
        )


def random_crop_box(image_shape: tf.Tensor, augmentation: Augmentation, key: tf.Tensor) -> tf.Tensor:
    """Draws an Inception-style crop (Szegedy et al. 2015, as in VATT's appendix A.2).

    Args:
      image_shape: int32 [3]: height, width, channels.
      augmentation: The ranges.
      key: int [2], the stateless seed.

    Returns:
      int32 [4]: top, left, height, width in pixels. When no crop in the ranges fits (a very long
      frame), it is the whole frame, as TensorFlow's function has it.
    """
    begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
        image_shape,
        bounding_boxes=tf.zeros([1, 0, 4]),
        seed=key,
        min_object_covered=0.0,
        aspect_ratio_range=tuple(augmentation.crop_aspect),
        area_range=tuple(augmentation.crop_area),
        max_attempts=100,
        use_image_if_no_bounding_boxes=True,
    )
    return tf.concat([begin[:2], size[:2]], axis=0)


def random_flip(augmentation: Augmentation, key: tf.Tensor) -> tf.Tensor:
    """Draws whether a clip is mirrored left to right, [] bool."""
    return tf.random.stateless_uniform([], key) < augmentation.flip_probability


def random_color_factors(augmentation: Augmentation, key: tf.Tensor) -> tf.Tensor | None:
    """Draws the changes of a clip's colors.

    Args:
      augmentation: The ranges.
      key: int [2], the stateless seed.

    Returns:
      float32 [4], as `data.pipeline.colors.jitter` takes them; those that change nothing for a clip whose colors stay as
      they are. None where that is every clip.
    """
    if not augmentation.jitter_probability:
        return None
    draws = tf.random.stateless_uniform([5], key)
    ranges = (augmentation.brightness, augmentation.saturation, augmentation.contrast, augmentation.hue)
    factors = tf.constant(NEUTRAL) + (2.0 * draws[1:] - 1.0) * tf.constant(ranges)
    return tf.where(draws[0] < augmentation.jitter_probability, factors, NEUTRAL)
