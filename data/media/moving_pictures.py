"""Still pictures that become short videos: opened, put on a plain ground, seen under a slow pan and zoom."""

from __future__ import annotations

import io
import posixpath
from xml.etree import ElementTree

import numpy as np
import resvg_py
from PIL import Image

from data.errors import DataError
from data.source.tree import SourceTree

PICTURE_SUFFIXES = (".png", ".svg")
"""In the order in which they are preferred: drawn pixels need no renderer."""
# All of these are our choice.
_IMAGES = ("image", "feImage")
_DPI = 96  # CSS' own; at resvg-py's default of 0 a width in points makes no picture (findings/)
_MARGIN = 0.1  # around the picture, as a share of its longer side
_LEAST_VIEW = 0.65  # the view's side at its closest, as a share of the whole; it is 1 at most
_GROUND = (150, 256)  # of each channel: light, as most pictures have dark outlines


def open_picture(tree: SourceTree, path: str, svg_width_px: int) -> Image.Image:
    """Opens a PNG or renders an SVG, without the machine's fonts, so that every machine gives the same.

    Args:
      tree: The source folder.
      path: The file, relative to it.
      svg_width_px: How wide an SVG is drawn.

    Returns:
      An RGBA image.

    Raises:
      DataError: The file cannot be read, is damaged, or has more pixels than Pillow takes for harmless.
    """
    with tree.open_binary(path) as file:
        content = file.read()
    try:
        if posixpath.splitext(path)[1].lower() == ".svg":
            content = _drawn(content.decode("utf-8-sig"), svg_width_px)
        return Image.open(io.BytesIO(content), formats=("PNG",)).convert("RGBA")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"the picture cannot be decoded ({error})") from error


def _drawn(svg, width_px):
    """Renders an SVG as PNG, without the image files of this machine that it may link to."""
    root, linked = ElementTree.fromstring(svg), False
    for element in root.iter():
        for name, value in list(element.items()) if _local(element.tag) in _IMAGES else ():
            if _local(name) == "href" and not value.strip().startswith(("data:", "#")):
                del element.attrib[name]
                linked = True
    svg = ElementTree.tostring(root, encoding="unicode") if linked else svg
    return resvg_py.svg_to_bytes(svg_string=svg, width=width_px, dpi=_DPI, skip_system_fonts=True)


def _local(name):
    """Returns the name of an element or attribute without its namespace; a comment has none."""
    return name.rpartition("}")[2] if isinstance(name, str) else ""


def pan_and_zoom(picture: Image.Image, frames: int, size_px: int, generator: np.random.Generator) -> np.ndarray:
    """Moves a view over a picture at a constant speed, from one drawn place and size to another.

    Args:
      picture: RGBA; it lies in the middle of a square of a drawn color.
      frames: How many.
      size_px: Height and width of a frame.
      generator: Draws the color and both ends of the way.

    Returns:
      uint8 `[frames, size_px, size_px, 3]`, RGB.
    """
    ground = _on_ground(picture, tuple(generator.integers(*_GROUND, size=3).tolist()))
    ends = [_view(ground.width, generator) for _ in range(2)]
    views = np.linspace(*ends, num=frames)
    size, smooth = (size_px, size_px), Image.Resampling.BICUBIC
    return np.stack([np.asarray(ground.resize(size, smooth, box=tuple(view))) for view in views])


def _on_ground(picture, color):
    side = round((1 + 2 * _MARGIN) * max(picture.size))
    ground = Image.new("RGBA", (side, side), (*color, 255))
    ground.alpha_composite(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return ground.convert("RGB")


def _view(side, generator):
    """Draws a square within a square of so many pixels: left, top, right, bottom."""
    view = side * generator.uniform(_LEAST_VIEW, 1.0)
    left, top = generator.uniform(0.0, side - view, size=2)
    return np.array([left, top, left + view, top + view])
