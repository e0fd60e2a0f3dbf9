"""Synthetic scenes: one colored shape that moves. Class = color x shape x motion.

A scene also has attributes that the class does not fix (size, speed, place, background, grain), so
that two clips of a class differ. Everything left-right symmetric in meaning, so that flipping a
frame changes no class.
"""

from __future__ import annotations

import dataclasses

import numpy as np

# Apart in brightness as well as in hue, so that color jitter does not turn one into another.
COLORS = {
    "red": (205, 40, 35),
    "green": (60, 170, 70),
    "blue": (35, 55, 200),
    "yellow": (245, 225, 70),
    "orange": (240, 130, 25),
    "purple": (130, 45, 160),
    "cyan": (70, 205, 220),
    "white": (245, 245, 245),
}
SHAPES = ("circle", "triangle", "cross")
MOTIONS = ("slides", "bounces", "orbits")
CLASS_NAMES = tuple(f"{color} {shape} {motion}" for color in COLORS for shape in SHAPES for motion in MOTIONS)

_GRAIN_MARGIN_PX = 16
_GRAIN_LEVELS = 4.0


@dataclasses.dataclass(frozen=True)
class Scene:
    """What moves, and how. Lengths are in units of the picture's side, y points down.

    Attributes:
      color, shape, motion: the class; members of `COLORS`, `SHAPES`, `MOTIONS`.
      radius: half the shape's extent.
      turns_per_second: how often the motion repeats.
      phase: where in the motion the clip starts, in turns.
      center_x, center_y, reach: where the motion lies and how far it goes from there.
      background: gray level in [0, 255]; `slope` tilts it across the picture.
    """

    color: str
    shape: str
    motion: str
    radius: float
    turns_per_second: float
    phase: float
    center_x: float
    center_y: float
    reach: float
    background: float
    slope: float

    @property
    def label(self) -> int:
        """The class, an index into `CLASS_NAMES`."""
        return CLASS_NAMES.index(f"{self.color} {self.shape} {self.motion}")

    def turns(self, seconds: np.ndarray) -> np.ndarray:
        """Returns how many turns of the motion have passed at the given times."""
        return self.phase + self.turns_per_second * seconds


def draw_scene(label: int, generator: np.random.Generator) -> Scene:
    """Draws a scene of the class `label` (an index into `CLASS_NAMES`)."""
    color, shape, motion = CLASS_NAMES[label].split()
    return Scene(
        color=color,
        shape=shape,
        motion=motion,
        radius=generator.uniform(0.13, 0.21),
        turns_per_second=generator.uniform(0.5, 1.1),
        phase=generator.uniform(0.0, 1.0),
        center_x=generator.uniform(0.45, 0.55),
        center_y=generator.uniform(0.45, 0.55),
        reach=generator.uniform(0.2, 0.28),
        background=generator.uniform(40.0, 180.0),
        slope=generator.uniform(-40.0, 40.0),
    )


def positions(scene: Scene, seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the shape's center, x `[times]` and y `[times]`, at the given times `[times]`."""
    turns = scene.turns(seconds)
    if scene.motion == "slides":
        offset_x, offset_y = 4 * np.abs(turns % 1 - 0.5) - 1, np.zeros_like(turns)
    elif scene.motion == "bounces":
        # It touches the floor at every whole turn.
        offset_x, offset_y = np.zeros_like(turns), 1 - 2 * np.abs(np.sin(np.pi * turns))
    else:
        offset_x, offset_y = np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)
    return scene.center_x + scene.reach * offset_x, scene.center_y + scene.reach * offset_y


def render_frames(scene: Scene, seconds: np.ndarray, image_size_px: int, generator: np.random.Generator) -> np.ndarray:
    """Draws the scene.

    Args:
      scene: what to draw.
      seconds: `[frames]`, the time of each frame.
      image_size_px: height and width of a frame.
      generator: draws the grain of the picture.

    Returns:
      uint8 `[frames, image_size_px, image_size_px, 3]`, RGB.
    """
    x, y = offsets(*positions(scene, seconds), image_size_px)
    coverage = cover(scene.shape, x, y, scene.radius)
    background = render_background(scene, len(seconds), image_size_px, generator)
    frames = np.empty((*coverage.shape, 3), np.float32)
    for channel, level in enumerate(COLORS[scene.color]):
        frames[..., channel] = background + coverage * (level - background)
    return np.clip(frames, 0, 255, out=frames).astype(np.uint8)


def offsets(center_x: np.ndarray, center_y: np.ndarray, image_size_px: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns how far each pixel lies from a center: x `[frames, 1, size]`, y `[frames, size, 1]`."""
    pixels = _pixel_centers(image_size_px)
    x = pixels[None, None, :] - center_x.astype(np.float32)[:, None, None]
    y = pixels[None, :, None] - center_y.astype(np.float32)[:, None, None]
    return x, y


def cover(shape: str, x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    """Returns the share of each pixel that the shape covers, `[frames, size, size]` in [0, 1].

    It follows from the distance to the edge, so outlines are smooth. `x`, `y` are `offsets`; besides
    `SHAPES` there is "square".
    """
    return np.clip(0.5 - _distance(shape, x, y, radius) * x.shape[-1], 0, 1)


def render_background(scene: Scene, frames: int, image_size_px: int, generator: np.random.Generator) -> np.ndarray:
    """Returns the gray levels behind the shape, `[frames, size, size]` float32: a slope and grain."""
    slope = np.float32(scene.slope) * (_pixel_centers(image_size_px) - 0.5)
    return np.float32(scene.background) + slope + _grain(frames, image_size_px, generator)


def _pixel_centers(image_size_px: int) -> np.ndarray:
    return ((np.arange(image_size_px) + 0.5) / image_size_px).astype(np.float32)


def _distance(shape: str, x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    """Returns the distance to the shape's edge `[frames, height, width]`, negative inside."""
    if shape == "circle":
        return np.hypot(x, y) - radius
    if shape == "square":
        return np.maximum(np.abs(x), np.abs(y)) - 0.85 * radius
    if shape == "triangle":
        # Three half planes at equal distance; the tip points up.
        slanted = np.float32(np.sqrt(3) / 2) * np.abs(x) - 0.5 * y
        return np.maximum(slanted, y) - 0.55 * radius
    thickness = 0.3 * radius
    across = np.maximum(np.abs(x) - radius, np.abs(y) - thickness)
    return np.minimum(across, np.maximum(np.abs(x) - thickness, np.abs(y) - radius))


def _grain(frames: int, image_size_px: int, generator: np.random.Generator) -> np.ndarray:
    """Returns noise `[frames, size, size]`: cut-outs of one field, cheaper than fresh noise."""
    side = image_size_px + _GRAIN_MARGIN_PX
    field = generator.standard_normal((side, side), np.float32) * np.float32(_GRAIN_LEVELS)
    corners = generator.integers(0, _GRAIN_MARGIN_PX, (frames, 2))
    return np.stack([field[top : top + image_size_px, left : left + image_size_px] for top, left in corners])
