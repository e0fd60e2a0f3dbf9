"""The named sizes of the Transformer."""

import dataclasses
import numbers
from collections.abc import Sequence

MOST_LAYERS, MOST_UNITS = 1_000, 2**20
"""Larger sizes are slips of the keyboard, which would fill the memory."""


@dataclasses.dataclass(frozen=True)
class Size:
    """Size of a Transformer.

    Attributes:
      layers: Encoder blocks.
      width: Size of a token.
      heads: Attention heads.
      feed_forward: Size of the blocks' hidden layer.
      head_dim: Size of a head; 64 in every published size. `heads * head_dim` need not equal `width`.
    """

    layers: int
    width: int
    heads: int
    feed_forward: int
    head_dim: int = 64


SIZES = {
    "tiny": Size(layers=2, width=96, heads=3, feed_forward=384, head_dim=32),  # for two CPU cores; our choice
    # VATT (arXiv 2104.11178), Table 7.
    "small": Size(layers=6, width=512, heads=8, feed_forward=2048),
    "base": Size(layers=12, width=768, heads=12, feed_forward=3072),
    "medium": Size(layers=12, width=1024, heads=16, feed_forward=4096),
    "large": Size(layers=24, width=1024, heads=16, feed_forward=4096),
    "xlarge": Size(layers=24, width=1536, heads=24, feed_forward=4096),  # only in the published code
}


def check_sizes(name: str, value: int | Sequence[int], most: int, least: int = 1) -> None:
    """Checks that sizes are whole numbers in a range.

    Args:
      name: What the message calls them.
      value: A size, or several.
      most: The greatest one.
      least: The smallest one.

    Raises:
      ValueError: One is not.
    """
    sizes = value if isinstance(value, Sequence) else (value,)
    if not all(isinstance(size, numbers.Integral) and least <= size <= most for size in sizes):
        wanted = "whole numbers" if isinstance(value, Sequence) else "a whole number"
        raise ValueError(f"`{name}` should be {wanted} from {least} to {most:,}. Found {value!r}.")
