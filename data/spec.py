"""What one clip is, as the model sees it: lengths, rates and sizes."""

from __future__ import annotations

import dataclasses

from data.errors import DataError


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

    Raises:
      DataError: A value is not a positive number, or the clip is shorter than one sample.
    """

    frames: int = 32
    frames_per_second: float = 10.0
    image_size: int = 224
    sample_rate_hz: int = 48000
    candidates: int = 5
    words: int = 16

    def __post_init__(self) -> None:
        for name in ("frames", "image_size", "sample_rate_hz", "candidates", "words"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise DataError(f"ClipSpec.{name} must be a whole number >= 1, but is {value!r}.")
        rate = self.frames_per_second
        if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 < rate < 1e6:
            raise DataError(
                f"ClipSpec.frames_per_second must be a number > 0 (frames/s), but is {rate!r}."
            )
        if self.waveform_samples < 1:
            raise DataError(
                f"A clip of {self.clip_seconds:g} s at {self.sample_rate_hz} Hz holds no sample; "
                "raise ClipSpec.frames or ClipSpec.sample_rate_hz."
            )

    @property
    def clip_seconds(self) -> float:
        """Length of a clip in seconds (3.2 by default)."""
        return self.frames / self.frames_per_second

    @property
    def waveform_samples(self) -> int:
        """Samples of a clip's waveform (153,600 by default)."""
        return round(self.clip_seconds * self.sample_rate_hz)
