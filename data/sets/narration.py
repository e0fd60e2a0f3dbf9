"""What a narrator says about a synthetic scene: several sentences, varied, some incomplete."""

from __future__ import annotations

import numpy as np

from data.sets.scenes import Scene
from data.text.cues import Cue

_WORDS = {
    "red": ("red", "crimson", "scarlet"),
    "green": ("green", "emerald", "leafy green"),
    "blue": ("blue", "cobalt", "deep blue"),
    "yellow": ("yellow", "golden", "lemon yellow"),
    "orange": ("orange", "amber", "tangerine"),
    "purple": ("purple", "violet", "plum"),
    "cyan": ("cyan", "turquoise", "aqua"),
    "white": ("white", "snowy", "pale white"),
    "circle": ("circle", "disc", "ball"),
    "triangle": ("triangle", "wedge", "pyramid"),
    "cross": ("cross", "plus sign", "plus"),
    "slides": ("slides from side to side", "glides left and right", "sweeps sideways and back"),
    "bounces": ("bounces up and down", "hops on the floor", "jumps again and again"),
    "orbits": ("moves around in a circle", "goes round and round", "loops around the middle"),
}
_SIZES = {"small": ("small", "little", "tiny"), "large": ("big", "large", "huge")}
_SPEEDS = {"slow": ("slowly", "gently"), "fast": ("quickly", "at high speed")}

_COMPLETE = (
    "here {a_thing} {moves}",
    "you can see {a_thing} that {moves}",
    "look how the {thing} {moves} {manner}",
    "the {thing} {moves} {manner}",
    "now the {thing} {moves}",
    "this is {a_thing} and it {moves}",
)
_PARTIAL = (
    "we are looking at {a_thing}",
    "I really like the {thing} here",
    "the {shape} {moves} {manner}",
    "see how the {shape} {moves}",
    "something {color} {moves} {manner}",
    "the {color} one {moves}",
    "it {moves} {manner}",
)
_FILLER = (
    "okay let us get started",
    "so what happens next",
    "as you can hear it makes a sound",
    "watch this carefully",
    "and that is really all there is to it",
    "do not forget to come back for more",
)
_SENTENCES = (3, 5)
_PARTIAL_SHARE, _FILLER_SHARE = 0.35, 0.2
_MENTION_PROBABILITY = 0.5


def narrate(scene: Scene, clip_seconds: float, generator: np.random.Generator) -> list[Cue]:
    """Draws three to five sentences about the scene, one after the other over the clip.

    At least one of them names color, shape and motion.

    Args:
      scene: what is seen.
      clip_seconds: the sentences lie within [0, clip_seconds].
      generator: draws the wording and the times.
    """
    count = generator.integers(_SENTENCES[0], _SENTENCES[1] + 1)
    templates = [_draw_template(generator) for _ in range(count)]
    templates[generator.integers(count)] = generator.choice(_COMPLETE)
    sentences = [_fill_in(template, scene, generator) for template in templates]
    # Pauses of random length between the sentences; milliseconds, as caption files hold them.
    borders = np.sort(generator.uniform(0, clip_seconds, 2 * count)).round(3)
    return [Cue(sentence, float(borders[2 * i]), float(borders[2 * i + 1])) for i, sentence in enumerate(sentences)]


def _draw_template(generator: np.random.Generator) -> str:
    kind = generator.uniform()
    if kind < _FILLER_SHARE:
        return generator.choice(_FILLER)
    return generator.choice(_PARTIAL if kind < _FILLER_SHARE + _PARTIAL_SHARE else _COMPLETE)


def _fill_in(template: str, scene: Scene, generator: np.random.Generator) -> str:
    color, shape, moves = (generator.choice(_WORDS[word]) for word in (scene.color, scene.shape, scene.motion))
    size = _mention(_SIZES["small" if scene.radius < 0.17 else "large"], generator)
    manner = _mention(_SPEEDS["slow" if scene.turns_per_second < 0.8 else "fast"], generator)
    thing = f"{size} {color} {shape}".strip()
    article = "an" if thing[0] in "aeiou" else "a"
    sentence = template.format(
        thing=thing,
        a_thing=f"{article} {thing}",
        color=color,
        shape=shape,
        moves=moves,
        manner=manner,
    )
    return sentence.strip()


def _mention(words: tuple[str, ...], generator: np.random.Generator) -> str:
    return generator.choice(words) if generator.uniform() < _MENTION_PROBABILITY else ""
