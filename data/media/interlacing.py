"""Brings the two fields of an interlaced frame, which were taken one after the other, to one time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import av

from data.media.remarks import Remarks


def deinterlaced(frames: Iterable[av.VideoFrame], remarks: Remarks) -> Iterator[av.VideoFrame]:
    """Yields the frames, those that are interlaced through FFmpeg's filter `bwdif`; one each, at the same time."""
    graph, shape = None, None
    for frame in frames:
        if graph is None and not frame.interlaced_frame:
            yield frame
            continue
        if shape != (shape := (frame.width, frame.height, frame.format.name)):
            yield from _rest(graph)
            graph = _graph(frame)
            remarks.add("interlaced", "deinterlaced")
        graph.push(frame)
        yield from _ready(graph)
    yield from _rest(graph)


def _graph(frame: av.VideoFrame) -> av.filter.Graph:
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format.name, time_base=frame.time_base
    )
    graph.link_nodes(source, graph.add("bwdif", "mode=send_frame:deint=interlaced"), graph.add("buffersink"))
    graph.configure()
    return graph


def _ready(graph: av.filter.Graph) -> Iterator[av.VideoFrame]:
    while True:
        try:
            yield graph.pull()
        except (BlockingIOError, av.error.EOFError):
            return


def _rest(graph: av.filter.Graph | None) -> Iterator[av.VideoFrame]:
    if graph is not None:
        graph.push(None)
        yield from _ready(graph)
