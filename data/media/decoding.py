"""Decodes one track of a file, packet by packet."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import av
import numpy as np

from data.media.packets import Packets
from data.media.remarks import Remarks

# FFmpeg takes whole numbers of 24 bits in 32, which WAVE_FORMAT_EXTENSIBLE describes, for an old float format.
_READ_AS_FLOATS = "pcm_f24le"
# No sound is this far beyond full scale (our choice): the loudest file with headroom stays far below.
LARGEST_SAMPLE = 64.0


class TrackDecoder:
    """The decoded frames of a track; damaged packets are dropped, as players do.

    Attributes:
      damaged_packets: how many were dropped.
      missing_packets: how many the file's header counts and the file, read to its end, did not have. Only of video in AVI:
        there FFmpeg skips what is no chunk without a word, and other counts are not exact.
      clock_restarts: whether the track was taken only up to where the file's clock goes back; see `Packets`.
    """

    def __init__(self, container: av.container.InputContainer, stream: av.stream.Stream, remarks: Remarks):
        """Takes an open file and one of its tracks; that frames were repaired comes into `remarks`."""
        self.damaged_packets = self.missing_packets = 0
        self.clock_restarts = False
        self._times_ascend = True
        self._container, self._stream, self._last_time = container, stream, -math.inf
        self._remarks = remarks
        self._whole_numbers: av.CodecContext | None = None
        self._may_be_whole_numbers = stream.codec_context.name == _READ_AS_FLOATS

    @property
    def times_may_be_of_decoding(self) -> bool:
        """Whether frames may be stored in another order than shown, and the packets' times are in order so far.

        Then they may be the times of decoding. AVI has no others; those that FFmpeg guesses there start late.
        """
        if not self._stream.codec_context.has_b_frames:
            return False
        return self._times_ascend or self._container.format.name == "avi"

    def __iter__(self) -> Iterator[av.frame.Frame]:
        """Yields the frames in the order in which they are shown."""
        packets, count = Packets(self._container, self._stream), 0
        for packet in packets:
            count += packet.dts is not None
            if _repeats(packet):
                continue
            if packet.pts is not None:
                self._times_ascend &= packet.pts >= self._last_time
                self._last_time = packet.pts
            try:
                frames = self._decode(packet)
            except av.error.FFmpegError:
                self.damaged_packets += 1
                continue
            for frame in frames:
                if frame.is_corrupt:
                    self._remarks.add("concealed_errors", f"{self._stream.type}: the decoder filled in what was broken")
                yield frame
        if packets.read_to_the_end:
            self.missing_packets = max(0, _counted(self._container, self._stream) - count)
        if packets.clock_restarts:
            self.clock_restarts = True
            self._remarks.add("restarted_clocks", "time stamps start again; what follows is not used")

    def _decode(self, packet: av.Packet) -> Sequence[av.frame.Frame]:
        if not self._may_be_whole_numbers:
            return packet.decode()
        if self._whole_numbers is None:
            frames = packet.decode()
            if all(is_sound(frame.to_ndarray()) for frame in frames):
                return frames
            self._whole_numbers = _decoder_of_whole_numbers(self._stream)
        return self._whole_numbers.decode(packet) if packet.size else []


def is_sound(samples: np.ndarray) -> bool:
    """Returns whether float samples, full scale 1, are all finite and not beyond `LARGEST_SAMPLE`."""
    return bool(np.abs(samples).max(initial=0.0) <= LARGEST_SAMPLE)  # False with a NaN


def _counted(container: av.container.InputContainer, stream: av.stream.Stream) -> int:
    return stream.frames if container.format.name == "avi" and stream.type == "video" else 0


def _repeats(packet: av.Packet) -> bool:
    """Returns whether a packet means "as before": it has a time and no content; the last one has neither."""
    return not packet.size and packet.dts is not None


def _decoder_of_whole_numbers(stream: av.audio.stream.AudioStream) -> av.CodecContext:
    decoder = av.CodecContext.create("pcm_s32le", "r")
    decoder.sample_rate, decoder.layout = stream.codec_context.sample_rate, stream.codec_context.layout
    return decoder
