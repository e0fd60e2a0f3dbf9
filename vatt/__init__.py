"""The model: patches, positions, DropToken, encoder, heads and losses of VATT. Independent of data sets and harmonizers."""

from vatt.batch_part import BatchPart
from vatt.contrastive.losses import FORMS as LOSS_FORMS
from vatt.contrastive.losses import clip_losses, contrastive_loss, losses, mean_losses
from vatt.contrastive.own_gradients import own_gradients
from vatt.contrastive.pair_ranks import pair_ranks
from vatt.cuts import FEATURES, LAST_BLOCK, cut_at
from vatt.model import VATT
from vatt.presets import MODALITIES, PRESETS, Tower
from vatt.randomness import set_initial_seed
from vatt.sizes import SIZES, Size
from vatt.tracing import traced_for_tpu
from vatt.trained.checkpoint_list import (
    LIST_FILE,
    CheckpointListError,
    newest_checkpoint,
    numbered_checkpoints,
    readable_checkpoint,
)
from vatt.trained.checkpoints import LoadError, find_checkpoint, load, run_directory
from vatt.trained.release import ReleaseError, import_release, release_facts

__all__ = [
    "FEATURES",
    "LAST_BLOCK",
    "LIST_FILE",
    "LOSS_FORMS",
    "MODALITIES",
    "PRESETS",
    "SIZES",
    "VATT",
    "BatchPart",
    "CheckpointListError",
    "LoadError",
    "ReleaseError",
    "Size",
    "Tower",
    "clip_losses",
    "contrastive_loss",
    "cut_at",
    "find_checkpoint",
    "import_release",
    "load",
    "losses",
    "mean_losses",
    "newest_checkpoint",
    "numbered_checkpoints",
    "own_gradients",
    "pair_ranks",
    "readable_checkpoint",
    "release_facts",
    "run_directory",
    "set_initial_seed",
    "traced_for_tpu",
]
