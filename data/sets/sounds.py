"""The sound of a synthetic scene: pitch tells the color, timbre the shape, rhythm the motion."""

from __future__ import annotations

import numpy as np

from data.sets.scenes import COLORS, Scene, positions

# A major third apart: far enough that the random detuning never crosses over.
_PITCH_HZ = {color: 180.0 * 1.26**index for index, color in enumerate(COLORS)}
# Partials as (multiple of the pitch, amplitude).
_TIMBRES = {
    "circle": ((1.0, 1.0),),
    "triangle": ((1.0, 0.6), (2.0, 0.55), (4.0, 0.45), (8.0, 0.3)),
    "cross": ((1.0, 0.7), (2.76, 0.6), (5.4, 0.4)),
}
_DETUNING = 0.03
_GLIDE = 0.12
_DECAY_SECONDS = 0.12
_TREMOLO_PER_TURN = 8


def synthesize(scene: Scene, seconds: float, sample_rate_hz: int, generator: np.random.Generator) -> np.ndarray:
    """Makes the sound of a scene.

    Sliding glides in pitch with the shape's place, bouncing rings at every touch of the floor,
    orbiting trembles.

    Args:
      scene: what is seen.
      seconds: length of the sound.
      sample_rate_hz: its rate.
      generator: draws detuning, loudness and background noise.

    Returns:
      float32 `[samples]` in [-1, 1].
    """
    times = np.arange(round(seconds * sample_rate_hz)) / sample_rate_hz
    pitch_hz = _PITCH_HZ[scene.color] * (1 + generator.uniform(-_DETUNING, _DETUNING))
    angle = 2 * np.pi * (pitch_hz * times + generator.uniform())
    if scene.motion == "slides":
        place = (positions(scene, times)[0] - scene.center_x) / scene.reach
        angle += 2 * np.pi * pitch_hz * _GLIDE * np.cumsum(place) / sample_rate_hz
    loudness = generator.uniform(0.25, 0.6) * _envelope(scene, times)
    partials = [
        level * np.sin((multiple * angle).astype(np.float32))
        for multiple, level in _TIMBRES[scene.shape]
        if multiple * pitch_hz * (1 + _GLIDE) < sample_rate_hz / 2
    ]
    tone = sum(partials) / sum(level for _, level in _TIMBRES[scene.shape])
    noise = generator.standard_normal(len(times), np.float32) * generator.uniform(0.005, 0.03)
    return np.clip(loudness * tone + noise, -1, 1).astype(np.float32)


def _envelope(scene: Scene, times: np.ndarray) -> np.ndarray:
    """Returns the loudness over time `[samples]` in [0, 1]."""
    turns = scene.turns(times)
    if scene.motion == "bounces":
        seconds_since_touch = (turns % 1) / scene.turns_per_second
        return np.exp(-seconds_since_touch / _DECAY_SECONDS)
    if scene.motion == "orbits":
        return 0.5 + 0.5 * np.sin(2 * np.pi * _TREMOLO_PER_TURN * turns)
    return np.ones_like(turns)
