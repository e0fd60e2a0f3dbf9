"""Which way up a video is shown: the display matrix of its frames."""

from __future__ import annotations

from typing import NamedTuple

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer, Type


class Orientation(NamedTuple):
    """A stored picture's way to the screen: first transposed, then mirrored; all eight ways are such.

    Attributes:
      transposed: whether rows become columns.
      left_right, top_bottom: whether the result is mirrored.
    """

    transposed: bool = False
    left_right: bool = False
    top_bottom: bool = False

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """Returns `[height, width, 3]` as shown, or `[width, height, 3]`."""
        if not any(self):
            return pixels
        turned = pixels.transpose(1, 0, 2) if self.transposed else pixels
        return np.ascontiguousarray(turned[:: -1 if self.top_bottom else 1, :: -1 if self.left_right else 1])


def orientation_of(frame: av.VideoFrame) -> Orientation | None:
    """Returns what a frame says of itself; None if it says nothing, and the frame before it is right.

    The display matrix [[a, b], [c, d]] sends the stored point (x, y) to (ax + cy, bx + dy), in numbers
    of 16.16 bits. One that turns by no quarter is taken for the nearest that does.
    """
    # Not `frame.side_data`, which keeps the frame until the garbage collector comes (findings/).
    side_data = SideDataContainer(frame)  # type: ignore[bad-argument-count]  (its stub has no constructor)
    # Most frames have none, and looking it up costs more than asking.
    matrix = side_data.get(Type.DISPLAYMATRIX) if len(side_data) else None
    if matrix is None:
        return None
    a, b, _, c, d = np.frombuffer(bytes(matrix), "<i4", count=5).tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(True, left_right=c < 0, top_bottom=b < 0)
    return Orientation(False, left_right=a < 0, top_bottom=d < 0)
