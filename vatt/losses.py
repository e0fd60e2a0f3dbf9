"""The contrastive losses of video with audio (NCE) and of video with text (MIL-NCE)."""

from collections.abc import Mapping

import tensorflow as tf

FORMS = ("nce", "asymmetric_nce", "symmetric_nce")
_NEVER = -1e9  # a logit that adds nothing to a log-sum-exp and keeps every gradient finite


def losses(
    outputs: dict[str, dict[str, tf.Tensor]],
    batch: dict[str, tf.Tensor],
    temperature: float = 0.07,
    form: str = "nce",
) -> dict[str, tf.Tensor]:
    """Returns this replica's share of both losses; the sum over the replicas is the loss of the global batch.

    Args:
      outputs: What `VATT.call` returned.
      batch: Holds `text` [batch, candidates, words] int32, `has_audio` and `has_text` bool [batch].
      temperature: tau of the poster's formulas; 0.07 is the published code's.
      form: One of `FORMS`; see `contrastive_clip_losses`.

    Returns:
      `{"video_audio": scalar, "video_text": scalar}`, float32.
    """
    return mean_losses(clip_losses(outputs, batch, temperature, form))


def clip_losses(
    outputs: dict[str, dict[str, tf.Tensor]],
    batch: dict[str, tf.Tensor],
    temperature: float = 0.07,
    form: str = "nce",
    own_video_only: bool = False,
) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
    """Returns, per objective, each clip's own term and whether it has one; see `contrastive_clip_losses`."""
    options = dict(temperature=temperature, form=form, own_video_only=own_video_only)
    return {
        name: contrastive_clip_losses(outputs[name]["video"], other, mask, **options)
        for name, (other, mask) in compared_pairs(outputs, batch).items()
    }


def mean_losses(
    terms: dict[str, tuple[tf.Tensor, tf.Tensor]], weights: tf.Tensor | Mapping[str, tf.Tensor] | None = None
) -> dict[str, tf.Tensor]:
    """Returns this replica's share of both losses from the clips' own terms.

    Args:
      terms: What `clip_losses` returned.
      weights: float32 [batch], of the clips, or by objective, of the clips' terms; `None` for ones. The mean stays one over
        all clips that have a term, whatever they weigh (our choice): a clip pulls as much whoever else is in its batch, and
        a batch of which little is kept moves the model little instead of following a few clips at full strength.

    Returns:
      As `losses`.
    """
    each = weights if isinstance(weights, Mapping) else dict.fromkeys(terms, weights)
    return {name: _global_mean(values, valid, each[name]) for name, (values, valid) in terms.items()}


def compared_pairs(outputs, batch):
    """Returns, per objective, what the video is compared with, `[batch, candidates, dim]`, and which of it there is."""
    candidates = tf.reduce_any(batch["text"] > 0, axis=-1) & batch["has_text"][:, tf.newaxis]
    return {
        "video_audio": (outputs["video_audio"]["audio"][:, tf.newaxis], batch["has_audio"][:, tf.newaxis]),
        "video_text": (outputs["video_text"]["text"], candidates),
    }


def contrastive_loss(
    video: tf.Tensor,
    other: tf.Tensor,
    mask: tf.Tensor,
    temperature: float = 0.07,
    form: str = "nce",
    video_mask: tf.Tensor | None = None,
) -> tf.Tensor:
    """Returns this replica's share of the mean over the global batch of the poster's CMA loss.

    The mean of `contrastive_clip_losses` is over the clips of the *global* batch that have a candidate, so the result
    does not depend on the number of replicas; if there are none the loss is 0 with zero gradients.

    Args:
      video: `[batch, dim]`.
      other: `[batch, candidates, dim]`.
      mask: bool [batch, candidates], False for what is missing.
      temperature: tau.
      form: See `contrastive_clip_losses`.
      video_mask: bool [batch], False for a clip without video; `None` where all have one.

    Returns:
      A float32 scalar. Sum it over the replicas for the global loss; the same holds for its gradients.
    """
    return _global_mean(*contrastive_clip_losses(video, other, mask, temperature, form, video_mask))


def _global_mean(terms, valid, weights=None):
    global_count = tf.reduce_sum(tf.cast(gather(tf.cast(valid, tf.float32)) > 0.0, tf.float32))
    weighted = terms if weights is None else weights * terms
    return tf.reduce_sum(weighted) / tf.maximum(global_count, 1.0)


def contrastive_clip_losses(
    video: tf.Tensor,
    other: tf.Tensor,
    mask: tf.Tensor,
    temperature: float = 0.07,
    form: str = "nce",
    video_mask: tf.Tensor | None = None,
    own_video_only: bool = False,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the CMA loss of each of this replica's clips.

    With `P` the clip's own candidates and `N` all pairs of one clip's video with another clip's candidates in which the
    clip takes part, in either role and each counted once:

        -log(sum_P exp(v.t / tau) / (sum_P exp(v.t / tau) + sum_N exp(v'.t' / tau)))

    One candidate gives the NCE of video and audio, several the MIL-NCE of video and text. Embeddings are l2-normalized
    here. Candidates that are masked are neither positives nor negatives; a clip without any gets no loss but its video
    remains a negative for the others. Negatives come from all replicas.

    Args:
      video: `[batch, dim]`.
      other: `[batch, candidates, dim]`.
      mask: bool [batch, candidates], False for what is missing.
      temperature: tau.
      form: "nce" is the formula above, the poster's and our default: no clip is its own negative. "asymmetric_nce" is the
        published code's default: the positives stand twice in the denominator, once a direction, so that the loss cannot
        fall below log 2. "symmetric_nce", also in the published code, adds two such losses, one a direction, each with the
        positives once in its denominator.
      video_mask: bool [batch], False for a clip without video, which gets no loss and is no negative; its candidates stay
        negatives for the others. `None` where all have one.
      own_video_only: Gradients reach a clip's term through its own video alone; the other videos are constants. So the
        gradient of the terms' sum with respect to `video` holds in row i that of clip i's term. The values are the same.

    Returns:
      float32 [batch], 0 for a clip without any candidate, and bool [batch], False for such a clip.

    Raises:
      ValueError: There is no such form.
    """
    if form not in FORMS:
        raise ValueError(f"`form` should be one of {', '.join(FORMS)}. Found {form!r}.")
    video = tf.math.l2_normalize(tf.cast(video, tf.float32), axis=-1)
    other = tf.math.l2_normalize(tf.cast(other, tf.float32), axis=-1)
    all_video, all_other = gather(tf.stop_gradient(video) if own_video_only else video), gather(other)
    all_mask = gather(tf.cast(mask, tf.float32)) > 0.0

    # [clip, clip of the global batch, candidate]: first this replica's videos, then this replica's candidates.
    from_video = tf.einsum("bd,ncd->bnc", video, all_other) / temperature
    from_other = tf.einsum("nd,bcd->bnc", all_video, other) / temperature
    from_video = tf.where(all_mask[tf.newaxis], from_video, _NEVER)
    from_other = tf.where(mask[:, tf.newaxis], from_other, _NEVER)
    valid = tf.reduce_any(mask, axis=1)
    if video_mask is not None:
        all_videos = gather(tf.cast(video_mask, tf.float32)) > 0.0
        from_other = tf.where(all_videos[tf.newaxis, :, tf.newaxis], from_other, _NEVER)
        valid &= video_mask
    positives = tf.einsum("bd,bcd->bc", video, other) / temperature
    positives = tf.where(mask, positives, _NEVER)
    if own_video_only:
        own = own_pairs(tf.shape(video)[0], tf.shape(all_video)[0])
        from_other = tf.where(own, positives[:, tf.newaxis], from_other)
    terms = _minus_log_shares(positives, from_video, from_other, form)
    return tf.where(valid, terms, 0.0), valid


def _minus_log_shares(positives, from_video, from_other, form):
    """Returns minus the logarithm of the positives' share of all pairs, in the given form: float32 [batch]."""
    directions = [from_video, from_other]
    if form == "nce":
        own = own_pairs(tf.shape(from_video)[0], tf.shape(from_video)[1])
        directions = [tf.where(own, _NEVER, pairs) for pairs in directions]
    directions = [_flatten(pairs) for pairs in directions]
    sums = {
        "nce": [[positives, *directions]],
        "asymmetric_nce": [directions],
        "symmetric_nce": [[pairs] for pairs in directions],
    }[form]
    positive = tf.reduce_logsumexp(positives, axis=1)
    return tf.add_n([tf.reduce_logsumexp(tf.concat(terms, axis=1), axis=1) - positive for terms in sums])


def _flatten(pairs: tf.Tensor) -> tf.Tensor:
    return tf.reshape(pairs, [tf.shape(pairs)[0], -1])


def own_pairs(batch: tf.Tensor, global_batch: tf.Tensor) -> tf.Tensor:
    """Returns bool [batch, global_batch, 1]: which clip of the gathered batch is this replica's clip itself."""
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    positions = tf.range(batch) + tf.cast(replica, tf.int32) * batch
    return (positions[:, tf.newaxis] == tf.range(global_batch)[tf.newaxis])[..., tf.newaxis]


def gather(values: tf.Tensor) -> tf.Tensor:
    """Concatenates all replicas' `values` along the batch, in the order of their ids; differentiable."""
    replica = tf.distribute.get_replica_context()
    if replica.num_replicas_in_sync == 1:
        return values
    return replica.all_gather(values, axis=0)
