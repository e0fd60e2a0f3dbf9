"""The shape of a clip as the model sees it: lengths, rates and sizes."""

from __future__ import annotations

import dataclasses

from data.errors import DataError

_MOST_VALUES = 2**29  # 2 GiB as float32; far more than any model takes of one clip
_HIGHEST_RATE_HZ = 1_000_000


@dataclasses.dataclass(frozen=True)
class ClipSpec:
    """Shape of a clip. The defaults are those of VATT (arXiv 2104.11178, section 4.1).

    Attributes:
      frames: Video frames in a clip.
      frames_per_second: Rate of these frames. The prepared records may hold a whole multiple of it.
      image_size: Height and width of a frame in pixels.
      sample_rate_hz: Rate of the waveform; it must be that of the prepared records.
      candidates: Captions per clip, the positives of MIL-NCE.
      words: Tokens per caption.
      sparse_seconds: None for consecutive frames. A number makes the frames sparse: the clip lasts
        this long, whatever `frames_per_second` says, and has one frame of each of `frames` equal
        parts of it, a random one in training and the middle one in evaluation. The waveform is
        that of the whole clip. This is how audio-visual classifiers see a video (MMPareto's
        released code: 2 frames).

    Raises:
      DataError: A value is not a positive number, or a clip would be shorter than one sample or larger than 2 GiB.
    """

    frames: int = 32
    frames_per_second: float = 10.0
    image_size: int = 224
    sample_rate_hz: int = 48000
    candidates: int = 5
    words: int = 16
    sparse_seconds: float | None = None

    def __post_init__(self) -> None:
        for name in ("frames", "image_size", "sample_rate_hz", "candidates", "words"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise DataError(f"ClipSpec.{name} should be a whole number >= 1. Found {value!r}.")
        _require_positive("frames_per_second", "frames/s", self.frames_per_second)
        if self.sparse_seconds is not None:
            _require_positive("sparse_seconds", "seconds, or None", self.sparse_seconds)
        if self.sample_rate_hz > _HIGHEST_RATE_HZ:
            raise DataError(
                f"ClipSpec.sample_rate_hz should be at most {_HIGHEST_RATE_HZ:,}. Found {self.sample_rate_hz}."
            )
        largest = max(self.frames * self.image_size**2 * 3, self.candidates * self.words, self.waveform_samples)
        if largest > _MOST_VALUES:
            raise DataError(
                f"ClipSpec should describe clips of at most {_MOST_VALUES:,} values per modality. Found {largest:,}; "
                "make them shorter or smaller."
            )
        if self.waveform_samples < 1:
            raise DataError(
                f"A clip of {self.clip_seconds:g} s at {self.sample_rate_hz} Hz holds no sample; "
                "make it longer or raise ClipSpec.sample_rate_hz."
            )

    @property
    def clip_seconds(self) -> float:
        """Length of a clip in seconds (3.2 by default)."""
        if self.sparse_seconds is not None:
            return float(self.sparse_seconds)
        return self.frames / self.frames_per_second

    @property
    def waveform_samples(self) -> int:
        """Samples of a clip's waveform (153,600 by default)."""
        return round(self.clip_seconds * self.sample_rate_hz)


def _require_positive(name: str, unit: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e6:
        raise DataError(f"ClipSpec.{name} should be a number > 0 ({unit}). Found {value!r}.")
