"""The named sizes of the Transformer."""

import dataclasses


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
