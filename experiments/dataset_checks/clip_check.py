"""Checks one stored clip for damage and suspicious content."""

from typing import NamedTuple

from data import DataError, PreparedDataset, StoredClip, parse_clip
from experiments.dataset_checks.clip_signals import (
    SILENT_DB,
    decode_luma,
    look_at,
    media_hash,
    peak_db,
    sound_end,
    sound_hash,
)
from experiments.dataset_checks.summary import clip_seconds

# Our choice: sound is short if so much of the clip comes after its last sample that is not zero.
_MISSING_SECONDS, _MISSING_SHARE = 0.5, 0.1

WARNINGS = {
    "empty_captions": "a caption without a word",
    "no_captions": "no caption",
    "no_sound": "no sound",
    "silent_sound": f"no sample above {SILENT_DB:g} dB",
    "short_sound": "audio that ends well before the video",
    "black_video": "nothing to see in any frame",
    "frozen_video": "the same picture in all frames",
}
"""What a clip can be suspected of: name in the result, and what it means."""


class CheckedClip(NamedTuple):
    """The findings about a decoded record.

    Attributes:
      clip_id: The clip's name; empty if it cannot be read.
      damage: Why it cannot be used; empty if it can.
      warnings: Keys of `WARNINGS`.
      media, look, sound: 64-bit hashes of what is seen and heard, of the middle frame and of the sound; 0 for none.
    """

    clip_id: str = ""
    damage: str = ""
    warnings: tuple[str, ...] = ()
    media: int = 0
    look: int = 0
    sound: int = 0


def check_clip(record: bytes, prepared: PreparedDataset) -> CheckedClip:
    """Decodes a record of the data set, all of it, and looks for faults."""
    try:
        clip = parse_clip(record)
    except DataError as error:
        return CheckedClip(damage=str(error))
    try:
        picture = look_at(frames) if (frames := decode_luma(clip.jpegs)) else None
    except ValueError as error:
        return CheckedClip(clip.clip_id, damage=str(error))
    if outside := [label for label in clip.labels if not 0 <= label < len(prepared.class_names)]:
        return CheckedClip(
            clip.clip_id, damage=f"class {outside[0]}, but metadata.json names {len(prepared.class_names)}"
        )
    warnings = [*_in_captions(clip), *_in_sound(clip, prepared)]
    if picture is not None and (picture.is_black or picture.is_frozen):
        warnings.append("black_video" if picture.is_black else "frozen_video")
    return CheckedClip(
        clip.clip_id,
        warnings=tuple(warnings),
        media=media_hash(clip.jpegs, clip.audio),
        look=picture.look if picture else 0,
        sound=sound_hash(clip.audio, prepared.sample_rate_hz),
    )


def _in_captions(clip: StoredClip) -> list[str]:
    if not clip.captions:
        return ["no_captions"]
    return [] if all(cue.text.strip() for cue in clip.captions) else ["empty_captions"]


def _in_sound(clip: StoredClip, prepared: PreparedDataset) -> list[str]:
    if not clip.audio.size:
        return ["no_sound"]
    if peak_db(clip.audio) <= SILENT_DB:
        return ["silent_sound"]
    seconds = clip_seconds(clip, prepared)
    missing = seconds - sound_end(clip.audio) / prepared.sample_rate_hz
    return ["short_sound"] if missing > max(_MISSING_SECONDS, _MISSING_SHARE * seconds) else []
