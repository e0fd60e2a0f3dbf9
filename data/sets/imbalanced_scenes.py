"""Scenes whose sound is easy to tell apart and whose picture is hard. Class = pattern x shape.

The sound says the class by timbre, rhythm and pitch, which is learned in a few epochs, but in some
clips noise drowns it. The picture says it by the outline and the pattern of a moving shape among
smaller ones, which takes longer; color and motion say nothing, and in some clips the shape is hidden.
Either modality can be sure where the other one cannot know.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from data.sets.scenes import CLASS_NAMES as SCENE_CLASS_NAMES
from data.sets.scenes import MOTIONS, SHAPES, Scene, cover, draw_scene, offsets, positions, render_background
from data.sets.sounds import synthesize

PATTERNS = ("plain", "striped", "barred", "checked")
OUTLINES = (*SHAPES, "square")
CLASS_NAMES = tuple(f"{pattern} {outline}" for pattern in PATTERNS for outline in OUTLINES)

# A low and a high pitch, those of two colors in `data.sets.sounds`, too far apart to be mixed up.
_PITCHES = ("green", "cyan")
_RADII = (0.19, 0.24)
_CLUTTER_RADII = (0.06, 0.11)
_FAINTEST_DB = -30.0
_STRIPES_PER_RADIUS = 1.2


@dataclasses.dataclass(frozen=True)
class ImbalancedScene:
    """What is seen and what is heard of one class.

    Attributes:
      pattern, outline: The class; members of `PATTERNS`, `OUTLINES`.
      seen: Where the shape moves, and how; its color and shape are not used.
      heard: The scene that `data.sets.sounds` is given; it is not seen.
    """

    pattern: str
    outline: str
    seen: Scene
    heard: Scene


def draw_imbalanced_scene(label: int, generator: np.random.Generator) -> ImbalancedScene:
    """Draws a scene of the class `label` (an index into `CLASS_NAMES`)."""
    pattern, outline = CLASS_NAMES[label].split()
    seen = draw_scene(int(generator.integers(len(SCENE_CLASS_NAMES))), generator)
    pitch, rest = divmod(label, len(MOTIONS) * len(SHAPES))
    rhythm, timbre = divmod(rest, len(SHAPES))
    name = f"{_PITCHES[pitch]} {SHAPES[timbre]} {MOTIONS[rhythm]}"
    heard = draw_scene(SCENE_CLASS_NAMES.index(name), generator)
    seen = dataclasses.replace(seen, radius=generator.uniform(*_RADII))
    return ImbalancedScene(pattern, outline, seen, heard)


def render_cluttered(
    scene: ImbalancedScene,
    seconds: np.ndarray,
    image_size_px: int,
    generator: np.random.Generator,
    *,
    contrast: float,
    clutter: int,
    hidden: float,
) -> np.ndarray:
    """Draws the scene on top of smaller shapes that stand still.

    Args:
      scene: What to draw.
      seconds: `[frames]`, the time of each frame.
      image_size_px: Height and width of a frame.
      generator: Draws grain, paints and clutter.
      contrast: How much brighter a paint is than what is behind it at most, as a share of full scale.
      clutter: How many smaller shapes.
      hidden: Probability that the shape is not there: only the clutter is.

    Returns:
      uint8 `[frames, image_size_px, image_size_px, 3]`, RGB.
    """
    background = render_background(scene.seen, len(seconds), image_size_px, generator)
    frames = np.repeat(background[..., None], 3, axis=-1)
    for _ in range(clutter):
        outline, place = generator.choice(OUTLINES), generator.uniform(0.0, 1.0, [2, 1])
        mask = _mask("plain", outline, place, generator.uniform(*_CLUTTER_RADII), image_size_px)
        frames += mask[..., None] * _paint(contrast, generator)
    where = np.stack(positions(scene.seen, seconds))
    mask = _mask(scene.pattern, scene.outline, where, scene.seen.radius, image_size_px)
    if generator.uniform() >= hidden:
        frames += mask[..., None] * _paint(contrast, generator)
    return np.clip(frames, 0, 255, out=frames).astype(np.uint8)


def synthesize_noisy(
    scene: ImbalancedScene,
    seconds: float,
    sample_rate_hz: int,
    generator: np.random.Generator,
    *,
    noise_db: float,
) -> np.ndarray:
    """Makes the sound of the scene in white noise.

    Args:
      scene: What is heard.
      seconds: Length of the sound.
      sample_rate_hz: Its rate.
      generator: Draws the sound's details, the noise and its loudness.
      noise_db: The loudest noise, in decibels above the sound; the faintest is `_FAINTEST_DB`.

    Returns:
      float32 `[samples]` in [-1, 1], as loud as the sound alone.
    """
    sound = synthesize(scene.heard, seconds, sample_rate_hz, generator)
    loudness = np.sqrt(np.mean(sound**2))
    noise = generator.standard_normal(len(sound), np.float32) * loudness
    noisy = sound + noise * 10 ** (generator.uniform(_FAINTEST_DB, noise_db) / 20)
    return np.clip(noisy * loudness / np.sqrt(np.mean(noisy**2)), -1, 1).astype(np.float32)


def _mask(pattern: str, outline: str, centers: np.ndarray, radius: float, image_size_px: int) -> np.ndarray:
    """Returns how much paint each pixel gets, `[frames, size, size]` in [0, 1]."""
    x, y = offsets(centers[0], centers[1], image_size_px)
    rows, columns = (np.sin(2 * np.pi * _STRIPES_PER_RADIUS * side / radius) > 0 for side in (y, x))
    holes = {"plain": True, "striped": rows, "barred": columns, "checked": rows ^ columns}
    return cover(outline, x, y, radius) * holes[pattern]


def _paint(contrast: float, generator: np.random.Generator) -> np.ndarray:
    """Draws what is added to red, green and blue, always brighter: a tint of at most `contrast`."""
    return (255 * contrast * generator.uniform(0.4, 1.0, 3)).astype(np.float32)
