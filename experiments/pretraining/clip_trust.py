"""How much each clip of a batch is trained on: what curricula and measured weights agree on."""

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

import harmonization
import vatt

Terms = Mapping[str, tuple[tf.Tensor, tf.Tensor]]
"""What `vatt.clip_losses` returns."""
_MEASURED = {"video_audio": "audio_weight", "video_text": "text_weight"}


class ClipTrust(NamedTuple):
    """The part of a batch that is trained on.

    Attributes:
      weights: float32 [batch], of this replica's clips, in [0, 1], or by objective, of their terms; `None` for ones.
      keep: [] bool, the same on all replicas: False if every clip that has a loss weighs 0.
      losses: The means of both losses over all replicas' clips, whatever these weigh; empty if all weigh 1.
      report: Further logged values, [] float32 each; see `ClipCurriculum`.
    """

    weights: tf.Tensor | Mapping[str, tf.Tensor] | None
    keep: tf.Tensor | bool
    losses: Mapping[str, tf.Tensor]
    report: Mapping[str, tf.Tensor]


FULL_TRUST = ClipTrust(weights=None, keep=True, losses={}, report={})
"""Every clip is trained on alike."""


def with_measured_weights(trust: ClipTrust, clips: Mapping[str, tf.Tensor], terms: Terms) -> ClipTrust:
    """Multiplies the weights by those that the batch brings along; call it in the replica context.

    Args:
      trust: That of a curriculum.
      clips: The batch; with `text_weight` and `audio_weight` where clips were weighed beforehand, see `data.PairWeights`.
      terms: The clips' own losses.
    """
    measured = {objective: clips[name] for objective, name in _MEASURED.items() if name in clips}
    if not measured:
        return trust
    own = trust.weights if isinstance(trust.weights, Mapping) else dict.fromkeys(measured, trust.weights)
    weights = {name: each if own[name] is None else each * own[name] for name, each in measured.items()}
    losses = trust.losses or harmonization.sum_over_replicas(vatt.mean_losses(terms))
    return trust._replace(weights=weights, losses=losses)
