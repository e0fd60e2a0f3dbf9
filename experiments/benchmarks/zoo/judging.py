"""Compares what was prepared from a specimen with what was planted in it."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.benchmarks.zoo.caption_forms import FORMS, cues_of, expected_texts
from experiments.benchmarks.zoo.kinds import ODDITIES, ORIENTATIONS
from experiments.benchmarks.zoo.media import CORNERS, GRAY_OF_WHITE, HEIGHT, WIDTH, frame_times
from experiments.benchmarks.zoo.specimens import FLASH_SECONDS, SECONDS, Specimen

FRAMES_PER_SECOND, IMAGE_SIZE_PX, SAMPLE_RATE_HZ = 10.0, 64, 16000
"""How the zoo is prepared."""
RESULTS = RIGHT, NOTED, CONCEALED, WRONG, UNNOTED = "right", "noted", "concealed", "wrong", "unnoted"
"""What can become of a file; `media_zoo` says what these are."""
_COLOR_LEVELS, _CLICK_SECONDS, _CAPTION_SECONDS = 16.0, 0.05, 0.03
_LOSSES = ("incomplete", "skipped", "concealed_errors", "restarted_clocks")
_LAYOUT_NOTES = {"opposite": "cancelling_channels", "ambisonic": "unmixed_channels"}


class Verdict(NamedTuple):
    """What became of a specimen.

    Attributes:
      specimen: the file.
      clips: how many records came out of it.
      result: one of `RESULTS`.
      faults: what is not as it should be.
    """

    specimen: Specimen
    clips: int
    result: str
    faults: tuple[str, ...]


def judge(specimen: Specimen, records: Sequence[Mapping[str, Any]], notes: Mapping[str, Any]) -> Verdict:
    """Compares the records of a specimen, and the notes of it by kind, with what is planted.

    It is right if everything is as planted and the report says nothing; noted if the report says what it should, and what
    it does not say is as planted; concealed if a damaged file is not as planted, and FFmpeg has neither reported an error nor
    marked a frame;
    unnoted if the report lacks what it should say; wrong in all other cases.
    """
    odd, expected = ODDITIES[specimen.oddity], _expected_notes(specimen)
    missing = [kind for kind in expected if kind not in notes]
    if odd.notes and not set(odd.notes) & set(notes):
        missing.append(" or ".join(odd.notes))
    faults = [] if odd.lost or (odd.may_lose and "skipped" in notes) else list(_faults(specimen, records))
    if odd.lost and records:
        faults.append("there should be no clip")
    may_note = {*expected, *odd.notes, *((*_LOSSES, *_LAYOUT_NOTES.values()) if odd.may_lose else ())}
    faults += [f"note {kind}: {notes[kind]}" for kind in notes if kind not in may_note]
    if odd.may_lose and set(_LOSSES) & set(notes):
        return Verdict(specimen, len(records), NOTED, tuple(faults))
    if faults and odd.may_conceal:
        return Verdict(specimen, len(records), CONCEALED, tuple(faults))
    if faults and not missing:
        return Verdict(specimen, len(records), UNNOTED if odd.may_lose else WRONG, tuple(faults))
    if missing:
        return Verdict(specimen, len(records), UNNOTED, (*(f"no note {kind}" for kind in missing), *faults))
    return Verdict(specimen, len(records), NOTED if notes else RIGHT, ())


def _expected_notes(specimen: Specimen) -> set[str]:
    odd = ODDITIES[specimen.oddity]
    found = set() if odd.lost and FORMS[specimen.captions].inside else set(FORMS[specimen.captions].notes)
    if not odd.lost and not odd.may_lose and specimen.oddity != "no sound":
        found |= {_LAYOUT_NOTES[specimen.layout]} if specimen.layout in _LAYOUT_NOTES else set()
        # Matroska does not say where the channels of PCM belong.
        found |= (
            {"unmixed_channels"}
            if (specimen.layout, specimen.container, specimen.sound[:3]) == ("5.1", "mkv", "pcm")
            else set()
        )
    return found


def _faults(specimen: Specimen, records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yields what is not as it was planted."""
    if len(records) != 1:
        yield f"{len(records)} clips"
        return
    (record,) = records
    yield from _picture_faults(specimen, record["video"])
    yield from _sound_faults(specimen, record["audio"])
    yield from _caption_faults(specimen, record["captions"])


def _picture_faults(specimen: Specimen, frames: np.ndarray) -> Iterator[str]:
    if frames.shape[1:3] != (shape := _shape(specimen)):
        yield f"frames of {frames.shape[1:3]} for {shape}"
    found, expected = _flashes(frames), _expected_flashes(specimen, frames)
    if not np.array_equal(found, expected):
        yield f"{len(found)} frames, flash in {np.flatnonzero(found)}; expected {len(expected)}, {np.flatnonzero(expected)}"
    if len(found) != len(expected):
        return
    middle = _middle(frames[~expected]).mean((0, 1, 2))
    white = _middle(frames[expected]).mean()
    if specimen.oddity in GRAY_OF_WHITE:
        if white < 240 or np.ptp(middle) > 10:
            yield f"white of {white:.0f}, gray of {middle.round()}"
    elif np.abs(middle - specimen.color).max() > _COLOR_LEVELS or abs(white - 250) > _COLOR_LEVELS:
        yield f"color {middle.round()} for {specimen.color}, white {white:.0f}"
    names = {_corners(frame) for frame in frames}
    if names != {ORIENTATIONS[specimen.orientation][1]}:
        yield f"corners {names}"


def _shape(specimen: Specimen) -> tuple[int, int]:
    height, width = (HEIGHT + 1, WIDTH + 3) if specimen.oddity == "odd size" else (HEIGHT, WIDTH)
    width *= 4 / 3 if specimen.oddity == "wide pixels" else 12 / 11 if specimen.video == "h263" else 1  # H.263, 4.1
    scale = IMAGE_SIZE_PX / min(height, width)
    stored = round(height * scale), round(width * scale)
    return stored[::-1] if ORIENTATIONS[specimen.orientation][0][1] else stored


def _middle(frames: np.ndarray) -> np.ndarray:
    height, width = frames.shape[1:3]
    return frames[:, height * 3 // 8 : height * 5 // 8, width * 3 // 8 : width * 5 // 8]


def _flashes(frames: np.ndarray) -> np.ndarray:
    """Returns in which frames the middle is white, bool [frames]."""
    return _middle(frames).min(-1).mean((1, 2)) > 215


def _expected_flashes(specimen: Specimen, frames: np.ndarray) -> np.ndarray:
    """Returns in which frames of the clip the flash is, bool [frames]: as planted, or as late as what was found."""
    late = next((late for late in range(1 + _late_frames(specimen)) if _is_late(specimen, frames, late)), None)
    count = math.ceil(SECONDS * FRAMES_PER_SECOND - 1e-6)
    return _flashes(frames) if late is not None else _planted(specimen, 0.0, count)


def _is_late(specimen: Specimen, frames: np.ndarray, late: int) -> bool:
    """Returns whether the flash is where it is if the picture comes `late` stored frames late."""
    longest = math.ceil((SECONDS + late / specimen.frames_per_second) * FRAMES_PER_SECOND - 1e-6)
    shortest = math.ceil(SECONDS * FRAMES_PER_SECOND - 1e-6)
    planted = _planted(specimen, late / specimen.frames_per_second, len(frames))
    return shortest <= len(frames) <= longest and np.array_equal(_flashes(frames), planted)


def _late_frames(specimen: Specimen) -> int:
    """Returns how many stored frames the picture may come late: where the first one's time on screen cannot be known.

    FFmpeg counts the times in .asf from where the first frame is decoded; MPEG program streams have times of packets, not of
    frames.
    """
    return (
        2 if specimen.oddity == "times of decoding" or specimen.container in ("asf", "wmv", "mpg", "mpeg", "vob") else 0
    )


def _planted(specimen: Specimen, late_seconds: float, count: int) -> np.ndarray:
    """Returns in which frames the flash is, bool [count]: at each tick the last frame that has begun is shown."""
    times, ticks = frame_times(specimen), np.arange(count) / FRAMES_PER_SECOND
    shown = times[np.maximum(0, np.searchsorted(times + late_seconds, ticks + 2e-3, "right") - 1)]
    return (shown >= specimen.flash_seconds - 1e-6) & (shown < specimen.flash_seconds + FLASH_SECONDS - 1e-6)


def _corners(frame: np.ndarray) -> str:
    """Returns the names of the corners in reading order, by their rank in brightness."""
    height, width = (max(4, size // 8) for size in frame.shape[:2])
    patches = (frame[:height, :width], frame[:height, -width:], frame[-height:, :width], frame[-height:, -width:])
    ranks = np.argsort(np.argsort([patch.mean() for patch in patches]))
    return "".join(sorted(CORNERS, key=CORNERS.get)[rank] for rank in ranks)


def _sound_faults(specimen: Specimen, audio: np.ndarray) -> Iterator[str]:
    if specimen.oddity == "no sound":
        if audio.size:
            yield "there should be no sound"
        return
    loud = np.flatnonzero(np.abs(audio.astype(int)) > 3000) / SAMPLE_RATE_HZ
    if not loud.size:
        yield f"no click; the loudest sample is {np.abs(audio.astype(int)).max(initial=0)}"
    elif abs(loud.min() - specimen.click_seconds) > _CLICK_SECONDS or np.ptp(loud) > 0.02 + _CLICK_SECONDS:
        yield f"click from {loud.min():.3f} to {loud.max():.3f} s for {specimen.click_seconds:.3f}"


def _caption_faults(specimen: Specimen, captions: Mapping[str, np.ndarray]) -> Iterator[str]:
    texts = [unicodedata.normalize("NFC", text.decode()) for text in captions["text"]]
    if texts != expected_texts(specimen.captions):
        yield f"captions {texts}"
        return
    times = [times for _, *times in cues_of(specimen.captions, specimen.caption_seconds)][: len(texts)]
    found = np.stack([captions["start_seconds"], captions["end_seconds"]], -1)
    if texts and np.abs(found - times).max() > _CAPTION_SECONDS:
        yield f"captions at {found.round(3).tolist()} for {times}"
