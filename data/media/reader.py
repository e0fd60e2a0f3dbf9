"""Reads media files through PyAV: video files become frames and samples on fixed clocks.

One clock for both modalities: time 0 is the first video frame the file presents, and audio is
placed by its time stamps on that clock, so encoder priming, late tracks and gaps do not shift it.
Reading is streaming: only the clip being cut is in memory.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import av
import numpy as np

from data.errors import DataError
from data.media.audio_timeline import AudioTimeline
from data.media.channels import with_sound
from data.media.containers import (
    MediaSource,
    decoding,
    first_sound_time,
    first_video_time,
    known_seconds,
    late_seconds,
    open_container,
    promised_seconds,
)
from data.media.decoding import TrackDecoder
from data.media.remarks import Remarks
from data.media.tracks import several_tracks, sound_stream, video_stream, why_no_video
from data.media.video_timeline import VideoTimeline

INT16_RANGE = 32768.0
"""What a sample is divided by to lie in [-1, 1)."""


@dataclasses.dataclass(frozen=True)
class MediaFormat:
    """The fixed clocks and size that decoded media are brought to.

    Attributes:
      frames_per_second: rate of the frames.
      image_size_px: the shorter side of a frame is scaled down to this; smaller frames are left
        as they are, since enlarging adds bytes and no detail (our choice).
      sample_rate_hz: rate of the mono audio.
    """

    frames_per_second: float = 10.0
    image_size_px: int = 256
    sample_rate_hz: int = 48000

    def samples_at(self, frames: int) -> int:
        """Returns the number of audio samples that last as long as `frames` frames."""
        return round(frames * self.sample_rate_hz / self.frames_per_second)


class DecodedClip(NamedTuple):
    """A stretch of a file on the fixed clocks.

    Attributes:
      start_seconds: where in the file the clip starts.
      frames: uint8 `[frames, height, width, 3]`, RGB.
      audio: int16 `[samples]`, as long as the frames last; `[0]` where the file has no sound.
    """

    start_seconds: float
    frames: np.ndarray
    audio: np.ndarray


class MediaReader:
    """Cuts one media file into clips, reading it once from start to end.

    Damaged packets are dropped as players do; a file that breaks off gives the clips before the
    break, as does one whose clock goes back. What was lost can be asked for afterwards: `damaged_packets`,
    `missing_packets`, `missing_seconds`, `clock_restarts`. What was done to the rest is in `remarks`.
    """

    def __init__(
        self,
        source: MediaSource,
        media_format: MediaFormat,
        sound_source: MediaSource | None = None,
        decoder_threads: int = 0,
    ):
        """Takes a path, the bytes of a file or a `RemoteFile`, and the clocks to bring it to.

        `sound_source` is a file to take the sound from instead; it starts with the first frame.
        `decoder_threads` is for FFmpeg; 0 leaves it to choose, by the machine. What comes out of damaged
        files may depend on it.
        """
        self._source = source
        self._format = media_format
        self._sound_source = sound_source
        self._decoder_threads = decoder_threads
        self._decoders: list[TrackDecoder] = []
        self.decoded_seconds = 0.0
        self.promised_seconds = 0.0
        self.late_seconds = 0.0
        self.has_audio_track = self.has_text_tracks = False
        self.remarks = Remarks()

    @property
    def damaged_packets(self) -> int:
        """How many packets could not be decoded."""
        return sum(decoder.damaged_packets for decoder in self._decoders)

    @property
    def missing_packets(self) -> int:
        """How many packets are not there that the file's header counts; see `TrackDecoder`."""
        return sum(decoder.missing_packets for decoder in self._decoders)

    @property
    def clock_restarts(self) -> bool:
        """Whether the file's clock goes back; what follows is not read."""
        return any(decoder.clock_restarts for decoder in self._decoders)

    @property
    def missing_seconds(self) -> float:
        """How much shorter the decoded video is than the file's header promises (0 if unknown)."""
        return max(0.0, self.promised_seconds - self.decoded_seconds)

    def clips(
        self,
        clip_seconds: float,
        minimum_seconds: float = 0.0,
        start_seconds: float = 0.0,
        end_seconds: float | None = None,
    ) -> Iterator[DecodedClip]:
        """Yields consecutive clips.

        Args:
          clip_seconds: length of every clip but the last.
          minimum_seconds: a last clip shorter than this is dropped, unless it is the only one.
          start_seconds: where in the file the first clip starts.
          end_seconds: where the last one ends at the latest; None for the end of the file.

        Raises:
          DataError: if the file cannot be opened, has no video, not one frame can be decoded, or
            it holds something FFmpeg cannot convert.
        """
        rate = self._format.frames_per_second
        first = round(start_seconds * rate)
        last = None if end_seconds is None else max(first + 1, round(end_seconds * rate))
        clip_frames = max(1, round(clip_seconds * rate))
        minimum_frames = min(clip_frames, minimum_seconds * rate)
        clip = None
        for clip in self.windows(itertools.count(first, clip_frames), clip_frames, last):
            if clip.start_seconds > first / rate and len(clip.frames) < minimum_frames:
                return
            yield clip
        if clip is None:
            where = f" from second {first / rate:g} on" if first else ""
            raise DataError(f"no video frame could be decoded{where}")

    def windows(self, starts: Iterable[int], frames: int, end: int | None = None) -> Iterator[DecodedClip]:
        """Yields a clip for each of the given ticks of the video's clock, until the video ends.

        Args:
          starts: the first tick of each clip, in ascending order; clips may overlap.
          frames: how many ticks a clip lasts; one at the video's end may be shorter.
          end: no clip goes beyond this tick; None for the end of the video.

        Raises:
          DataError: as `spans`.
        """
        limit = math.inf if end is None else end
        return self.spans((first, min(first + frames, limit)) for first in starts)

    def spans(self, spans: Iterable[tuple[int, int]]) -> Iterator[DecodedClip]:
        """Yields a clip for each span of ticks of the video's clock, until the video ends.

        Args:
          spans: the first tick of each clip and the one after its last, by the first; clips may
            overlap, and the one at the video's end may be shorter.

        Raises:
          DataError: if the file cannot be opened, has no video, or it holds something FFmpeg cannot
            convert.
        """
        with decoding(), open_container(self._source) as container, self._open_sound() as sound:
            self.has_text_tracks = bool(container.streams.subtitles)
            self.late_seconds = late_seconds(container, first_video_time(container))
            video, audio = self._video(container), self._audio(sound, first_video_time)
            for first, last in spans:
                taken = video.take(first, last)
                self.decoded_seconds = video.decoded_seconds
                if not taken:
                    return
                yield self._clip(first, np.stack(taken), audio)

    def sound_windows(self, starts: Iterable[int], frames: int) -> Iterator[DecodedClip]:
        """Yields what `windows` does for a file without video: clips of no frames, `[0, 0, 0, 3]`.

        Time 0 is the first sample. A clip at the sound's end is followed by silence; one in which
        there is no audio at all is skipped.

        Raises:
          DataError: if the file cannot be opened, or it holds something FFmpeg cannot convert.
        """
        for first, samples, _ in self._sounds((first, first + frames) for first in starts):
            if samples.size:
                yield self._without_frames(first, samples)

    def sound_spans(self, spans: Iterable[tuple[int, int]]) -> Iterator[DecodedClip]:
        """Yields what `spans` does for a file without video: clips of no frames, `[0, 0, 0, 3]`.

        Time 0 is the first sample. A clip at the sound's end is as short as the sound is.

        Raises:
          DataError: as `sound_windows`.
        """
        for first, samples, end in self._sounds(spans):
            self.decoded_seconds = end / self._format.sample_rate_hz
            if not (left := samples[: max(0, end - self._format.samples_at(first))]).size:
                return
            yield self._without_frames(first, left)

    def _sounds(self, spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, np.ndarray, int]]:
        """Yields each span's first tick and samples, and after which sample there is nothing yet."""
        with decoding(), open_container(self._source) as container:
            audio, stream = self._audio(container, first_sound_time), sound_stream(container)
            self.late_seconds = late_seconds(container, first_sound_time(container))
            self.promised_seconds = 0.0 if stream is None else promised_seconds(container, stream)
            for first, last in spans:
                yield first, audio.take(*map(self._format.samples_at, (first, last))), audio.end

    def _without_frames(self, first: int, samples: np.ndarray) -> DecodedClip:
        return DecodedClip(first / self._format.frames_per_second, np.zeros((0, 0, 0, 3), np.uint8), samples)

    def _clip(self, first_frame: int, frames: np.ndarray, audio: AudioTimeline) -> DecodedClip:
        first_sample = self._format.samples_at(first_frame)
        last_sample = self._format.samples_at(first_frame + len(frames))
        start_seconds = first_frame / self._format.frames_per_second
        return DecodedClip(start_seconds, frames, audio.take(first_sample, last_sample))

    def _open_sound(self) -> av.container.InputContainer:
        if self._sound_source is None:
            return open_container(self._source)
        try:
            return open_container(self._sound_source)
        except DataError as error:
            raise DataError(f"its audio file: {error}") from error

    def _video(self, container: av.container.InputContainer) -> VideoTimeline:
        stream = video_stream(container)
        if stream is None:
            raise DataError(why_no_video(container))
        stream.thread_type, stream.codec_context.thread_count = "AUTO", self._decoder_threads
        self.promised_seconds = promised_seconds(container, stream)
        if tracks := several_tracks(container):
            self.remarks.add("several_tracks", tracks)
        return VideoTimeline(
            self._decoder(container, stream),
            stream,
            first_video_time(container),
            lambda: self._known_seconds,
            self._format.frames_per_second,
            self._format.image_size_px,
            self.remarks,
        )

    @functools.cached_property
    def _known_seconds(self) -> float:
        with open_container(self._source) as container:  # The other one is being decoded.
            return known_seconds(container, video_stream(container))

    def _audio(
        self,
        container: av.container.InputContainer,
        origin_seconds: Callable[[av.container.InputContainer], float],
    ) -> AudioTimeline:
        stream = sound_stream(container)
        self.has_audio_track = stream is not None
        frames = self._decoder(container, stream) if stream is not None else ()
        # Lossless codecs store what they were given; others cannot hold what is no sound.
        if stream is not None and stream.codec_context.name.startswith(("pcm", "wavpack")):
            frames = with_sound(frames, self.remarks)
        return AudioTimeline(frames, self._format.sample_rate_hz, origin_seconds(container), self.remarks)

    def _decoder(self, container: av.container.InputContainer, stream: av.stream.Stream) -> TrackDecoder:
        self._decoders.append(TrackDecoder(container, stream, self.remarks))
        return self._decoders[-1]
