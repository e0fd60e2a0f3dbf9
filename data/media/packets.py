"""The packets of one track of a file, for as long as the file keeps to one clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import av

from data.media.tracks import sound_stream, video_stream

# Our choice: the times of decoding never go back, and muxers that round them are far more exact.
_LARGEST_STEP_BACK_SECONDS = 0.5
# A single packet may have a broken time stamp; so many in a row are another clock (our choice).
_PACKETS_OF_ANOTHER_CLOCK = 3


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
        suspect: _Clock | None = None
        held: list[av.Packet] = []
        for packet in self._demuxed():
            clock = clocks.get(packet.stream_index)
            if suspect is None and clock is not None and clock.goes_back(packet):
                suspect = clock
            elif suspect is not None and clock is suspect and not clock.goes_back(packet):
                yield from filter(suspect.can_use, held)
                suspect, held = None, []
            if suspect is None:
                yield packet
            elif suspect.steps_back == _PACKETS_OF_ANOTHER_CLOCK:
                break
            else:
                held.append(packet)
        self.clock_restarts = suspect is not None
        self.read_to_the_end &= suspect is None

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
        self._stream, self._largest_step_back = stream, _LARGEST_STEP_BACK_SECONDS / (stream.time_base or 1)
        # Two, so that a single one that is far ahead does not put the rest behind.
        self._last: deque[int] = deque(maxlen=2)

    def goes_back(self, packet: av.Packet) -> bool:
        """Returns whether the track's next packet is behind the others, or has no time and follows one that is."""
        if packet.dts is None:
            return self.steps_back > 0
        if self._last and packet.dts < min(self._last) - self._largest_step_back:
            self.steps_back += 1
            return True
        self.steps_back = 0
        self._last.append(packet.dts)
        return False

    def can_use(self, packet: av.Packet) -> bool:
        """Returns whether a packet that was held back is of use: sound that is behind would cover other sound."""
        return self._stream.type != "audio" or packet.stream_index != self._stream.index


def _emptying(stream: av.stream.Stream) -> av.Packet:
    packet = av.Packet()
    packet.stream, packet.time_base = stream, stream.time_base
    return packet
