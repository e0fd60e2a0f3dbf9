"""The packets of one track of a file, for as long as the file keeps to one clock."""

from __future__ import annotations

import math
from collections.abc import Iterator

import av

from data.media.tracks import sound_stream, video_stream

# Our choice: the times of decoding never go back, and muxers that round them are far more exact.
_LARGEST_STEP_SECONDS = 0.5
# A broken time stamp may be that of a few packets, which FFmpeg counts on from it; so many in a row are another clock.
_PACKETS_OF_A_CLOCK = 16  # our choice


class Packets:
    """The packets of a track in the file's order; the last one, without content and time, empties the decoder.

    Where one recording was joined to another, time stamps start again. From there on the pictures and sounds of
    two recordings would have the same times, so that all tracks end where the video's clock or the sound's goes back.

    Attributes:
      read_to_the_end: whether all packets came; not if the file broke off or its clock went back.
      clock_restarts: whether that was why.
    """

    def __init__(self, container: av.container.InputContainer, stream: av.stream.Stream):
        """Takes an open file and the track."""
        self.read_to_the_end = self.clock_restarts = False
        self._container, self._stream = container, stream

    def __iter__(self) -> Iterator[av.Packet]:
        """Yields the packets."""
        for packet in self._on_one_clock():
            if packet.stream_index == self._stream.index:
                yield packet
        if self.read_to_the_end or self.clock_restarts:
            yield _emptying(self._stream)

    def _on_one_clock(self) -> Iterator[av.Packet]:
        """Yields the packets of all tracks that are watched; holds them back while it is not clear which clock they have."""
        clocks = {stream.index: _Clock(stream) for stream in self._watched() if stream.type in ("video", "audio")}
        held: list[av.Packet] = []
        for packet in self._demuxed():
            clock = clocks.get(packet.stream_index)
            is_behind = clock is not None and clock.goes_back(packet)
            steps_back = max((clock.steps_back for clock in clocks.values()), default=0)
            if steps_back == _PACKETS_OF_A_CLOCK:
                break
            # Sound that is behind would cover other sound; a picture may be needed for those after it.
            held += [] if is_behind and packet.stream.type == "audio" else [packet]
            if not steps_back:
                yield from held
                held = []
        self.clock_restarts = any(clock.steps_back for clock in clocks.values())
        self.read_to_the_end &= not self.clock_restarts

    def _demuxed(self) -> Iterator[av.Packet]:
        packets = self._container.demux(self._watched())
        while True:
            try:
                packet = next(packets, None)
            except av.error.FFmpegError:  # The file breaks off here.
                return
            except IndexError:  # PyAV looks for what to empty, and does not know tracks that began midway.
                packet = None
            if packet is None:
                self.read_to_the_end = True
                return
            if packet.size or packet.dts is not None or packet.pts is not None:
                yield packet

    def _watched(self) -> list[av.stream.Stream]:
        chosen = (video_stream(self._container), sound_stream(self._container), self._stream)
        return list({stream.index: stream for stream in chosen if stream is not None}.values())


class _Clock:
    """The times of decoding of a track.

    Attributes:
      steps_back: how many packets in a row are behind those before them.
    """

    def __init__(self, stream: av.stream.Stream):
        self.steps_back = 0
        self._largest_step = _LARGEST_STEP_SECONDS / (stream.time_base or 1)
        self._last, self._before_jump, self._since_jump = -math.inf, -math.inf, 0

    def goes_back(self, packet: av.Packet) -> bool:
        """Returns whether the track's next packet is behind the others, or has no time and follows one that is."""
        if packet.dts is None:
            return self.steps_back > 0
        # A few packets may have been ahead; then the others are behind them alone.
        reached = self._last if self._since_jump >= _PACKETS_OF_A_CLOCK else self._before_jump
        if packet.dts < reached - self._largest_step:
            self.steps_back += 1
            return True
        if packet.dts > self._last + self._largest_step:
            self._before_jump, self._since_jump = self._last, 0
        self.steps_back, self._last = 0, packet.dts
        self._since_jump += 1
        return False


def _emptying(stream: av.stream.Stream) -> av.Packet:
    packet = av.Packet()
    packet.stream, packet.time_base = stream, stream.time_base
    return packet
