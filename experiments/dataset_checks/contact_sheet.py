"""Some clips of a data set as HTML: frames, audio and captions of each."""

import base64
import hashlib
import heapq
import html
import importlib.resources
import io
import string
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from data import INT16_RANGE, Cue, PreparedDataset, SourceFacts, StoredClip
from experiments.dataset_checks.clip_signals import mean_db
from experiments.dataset_checks.summary import class_name, clip_seconds

_FRAMES, _HEIGHT_PX, _QUALITY = 4, 144, 80
_COLUMNS, _LEVELS = 180, 40  # of the drawing of a sound
_CAPTIONS, _LETTERS = 4, 160


class Card(NamedTuple):
    """What is shown of a clip.

    Attributes:
      clip_id, split: Which clip it is.
      source: The file that it was cut from, and where in it.
      classes: Names.
      seconds: How long it is.
      frames: Some small JPEGs, evenly spaced.
      outline: `[2, columns]`, the lowest and the highest sample in each column, in [-1, 1]; None without sound.
      loudness_db: Root mean square of the sound, below full scale.
      captions: All of them.
      notes: What else is to be said of it, a few words each.
      title: The title of the file, and its id where it comes from; empty where neither is known.
    """

    clip_id: str
    split: str
    source: str
    classes: tuple[str, ...]
    seconds: float
    frames: tuple[bytes, ...]
    outline: np.ndarray | None
    loudness_db: float
    captions: tuple[Cue, ...]
    notes: tuple[str, ...] = ()
    title: str = ""


class RandomClips:
    """Keeps some clips of all that pass by: the same ones for a seed, in whatever order they come."""

    def __init__(self, count: int, seed: int):
        """Takes how many to keep."""
        self._count, self._seed = count, seed
        self._kept: list[tuple[int, str, Card]] = []

    def offer(self, clip: StoredClip, split: str, prepared: PreparedDataset) -> None:
        """Keeps the clip if the hash of its name and the seed is among the smallest."""
        digest = hashlib.blake2b(f"{self._seed}/{split}/{clip.clip_id}".encode(), digest_size=8).digest()
        rank = -int.from_bytes(digest, "little")
        if len(self._kept) < self._count or (self._kept and rank > self._kept[0][0]):
            push = heapq.heappush if len(self._kept) < self._count else heapq.heapreplace
            push(self._kept, (rank, f"{split}/{clip.clip_id}", make_card(clip, split, prepared)))

    def cards(self) -> list[Card]:
        """Returns what was kept, in the order of the draw."""
        return [card for *_, card in sorted(self._kept, key=lambda kept: (-kept[0], kept[1]))]


def contact_sheet(cards: Iterable[Card]) -> str:
    """Returns the clips as an HTML element with its style; it holds all its pictures."""
    template = importlib.resources.files("experiments.dataset_checks").joinpath("contact_sheet.html").read_text("utf-8")
    return string.Template(template).substitute(cards="\n".join(map(_html, cards)))


def make_card(clip: StoredClip, split: str, prepared: PreparedDataset, notes: Sequence[str] = ()) -> Card:
    """Returns what is shown of a clip; decodes a few of its frames."""
    places = np.linspace(0, len(clip.jpegs) - 1, min(_FRAMES, len(clip.jpegs))).round().astype(int)
    return Card(
        clip.clip_id,
        split,
        f"{clip.source} from {clip.start_seconds:.1f} s",
        tuple(class_name(label, prepared.class_names) for label in clip.labels),
        clip_seconds(clip, prepared),
        tuple(_small(clip.picture(place)) for place in places),
        _outline(clip.audio) if clip.audio.size else None,
        mean_db(clip.audio),
        clip.captions,
        tuple(notes),
        _title(prepared.sources.get(clip.source)),
    )


def _title(facts: SourceFacts | None) -> str:
    if facts is None:
        return ""
    return " ".join(filter(None, (facts.title, f"[{facts.id}]" if facts.id else None)))


def _small(picture: Image.Image) -> bytes:
    picture = picture.convert("RGB")
    picture.thumbnail((4 * _HEIGHT_PX, _HEIGHT_PX), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=_QUALITY, optimize=True)
    return buffer.getvalue()


def _outline(audio: np.ndarray) -> np.ndarray:
    parts = np.array_split(audio, min(_COLUMNS, audio.size))
    return np.array([[part.min() for part in parts], [part.max() for part in parts]]) / INT16_RANGE


def _html(card: Card) -> str:
    chips = [*card.notes, card.split, *card.classes, f"{card.seconds:.1f} s"]
    return (
        '<article class="card clip">'
        f'<h3 title="{html.escape(card.source)}">{html.escape(card.clip_id)}</h3>'
        f"{f'<p>{html.escape(card.title)}</p>' if card.title else ''}"
        f'<p class="chips">{"".join(f"<span>{html.escape(chip)}</span>" for chip in chips)}</p>'
        f"{_strip(card)}{_wave(card)}{_captions(card.captions)}"
        "</article>"
    )


def _strip(card: Card) -> str:
    if not card.frames:
        return '<p class="none">no video</p>'
    name = html.escape(card.clip_id)
    pictures = "".join(
        f'<img src="data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}" alt="frame {number} of {name}">'
        for number, jpeg in enumerate(card.frames, start=1)
    )
    return f'<div class="strip">{pictures}</div>'


def _wave(card: Card) -> str:
    if card.outline is None:
        return '<p class="none">no sound</p>'
    if not card.outline.any():
        return '<p class="none">silent sound</p>'
    scale = 0.95 / np.abs(card.outline).max()  # the loudest sample fills it; the loudness is printed next to it
    low, high = _LEVELS / 2 * (1 - scale * card.outline)
    columns = np.arange(len(low)) * (_COLUMNS / len(low))
    points = [*zip(columns, high - 0.3, strict=True), *zip(columns[::-1], low[::-1] + 0.3, strict=True)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (
        f'<div class="wave"><svg viewBox="0 0 {_COLUMNS} {_LEVELS}" preserveAspectRatio="none" role="img" '
        f'aria-label="audio of {html.escape(card.clip_id)}"><polygon points="{path}"/></svg>'
        f"<span>{card.loudness_db:.0f} dB</span></div>"
    )


def _captions(captions: Sequence[Cue]) -> str:
    if not captions:
        return '<p class="none">no captions</p>'
    lines = "".join(
        f"<li><b>{cue.start_seconds:.1f}</b> {html.escape(_cut(cue.text)) or '<i>empty</i>'}</li>"
        for cue in captions[:_CAPTIONS]
    )
    more = len(captions) - _CAPTIONS
    return f"<ul>{lines}{f'<li><i>{more} more</i></li>' if more > 0 else ''}</ul>"


def _cut(text: str) -> str:
    text = text.strip()
    return text if len(text) <= _LETTERS else f"{text[:_LETTERS]}…"
