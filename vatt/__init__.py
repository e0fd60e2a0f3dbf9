"""The model: patches, positions, DropToken, encoder, heads and losses of VATT. Knows no data set and no harmonizer."""

from vatt.losses import contrastive_loss, losses
from vatt.model import VATT
from vatt.randomness import set_initial_seed
from vatt.sizes import SIZES

__all__ = ["SIZES", "VATT", "contrastive_loss", "losses", "set_initial_seed"]
