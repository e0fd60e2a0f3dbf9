"""The contrastive losses of video with audio (NCE) and of video with text (MIL-NCE)."""

import functools
from collections.abc import Mapping

import tensorflow as tf

from vatt.contrastive.clip_pairs import NEVER, PairLogits, gather, gather_mask, global_places, own_pairs
from vatt.contrastive.robust_losses import ROBUST_FORMS
from vatt.contrastive.row_blocks import in_row_blocks

FORMS = ("nce", "asymmetric_nce", "symmetric_nce", *ROBUST_FORMS)


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
    clips_at_a_time: int | None = None,
) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
    """Returns, per objective, each clip's own term and whether it has one; see `contrastive_clip_losses`."""
    options = dict(temperature=temperature, form=form, own_video_only=own_video_only, clips_at_a_time=clips_at_a_time)
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
    global_count = tf.reduce_sum(tf.cast(gather_mask(valid), tf.float32))
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
    clips_at_a_time: int | None = None,
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
        positives once in its denominator. "nce_or_none" and "robust_xid" reckon with false pairs: see `robust_losses`.
      video_mask: bool [batch], False for a clip without video, which gets no loss and is no negative; its candidates stay
        negatives for the others. `None` where all have one.
      own_video_only: Gradients reach a clip's term through its own video alone; the other videos are constants. So the
        gradient of the terms' sum with respect to `video` holds in row i that of clip i's term. The values are the same.
      clips_at_a_time: Computes the terms of so many clips at a time, and again for their gradients, so that memory does not
        grow with the square of the batch; a divisor of `batch`, which is static. `None` computes all at once.

    Returns:
      float32 [batch], 0 for a clip without any candidate, and bool [batch], False for such a clip.

    Raises:
      ValueError: There is no such form.
    """
    if form not in FORMS:
        raise ValueError(f"`form` should be one of {', '.join(FORMS)}. Found {form!r}.")
    # Divided here, and not the logits of all pairs.
    video = tf.math.l2_normalize(tf.cast(video, tf.float32), axis=-1) / temperature
    other = tf.math.l2_normalize(tf.cast(other, tf.float32), axis=-1)
    valid = tf.reduce_any(mask, axis=1)
    shared = [gather(tf.stop_gradient(video) if own_video_only else video), gather(other), gather_mask(mask)]
    # The clips of the global batch come last, so that the candidates are spread over long rows.
    shared[1:] = [tf.transpose(shared[1], [1, 0, 2]), tf.transpose(shared[2])]
    if video_mask is not None:
        shared.append(gather_mask(video_mask))
        valid &= video_mask
    constants = tf.zeros_like(video[:, 0])
    if form in ROBUST_FORMS:
        constants = ROBUST_FORMS[form].constants(_positives(video, other, mask), valid, temperature)
    rows = [video, other, mask, constants, global_places(tf.shape(video)[0])]
    terms_of = functools.partial(_terms, form=form, temperature=temperature, own_video_only=own_video_only)
    return tf.where(valid, in_row_blocks(terms_of, rows, shared, clips_at_a_time), 0.0), valid


def _terms(
    video, other, mask, constants, places, all_video, all_other, all_mask, all_videos=None,
    *, form, temperature, own_video_only,
):  # fmt: skip
    """Returns float32 [rows] for some rows of the batch; what is called `all` is of the global batch."""
    # [clip, candidate, clip of the global batch]: first the rows' videos, then the rows' candidates.
    from_video = tf.einsum("bd,cnd->bcn", video, all_other)
    from_other = tf.einsum("nd,bcd->bcn", all_video, other)
    positives = _positives(video, other, mask)
    own = own_pairs(places, tf.shape(all_video)[0])[:, tf.newaxis]
    if own_video_only:
        from_other = tf.where(own, positives[..., tf.newaxis], from_other)
    # One mask for each direction: passing over bools takes less time than passing over logits once more.
    never_from_video, never_from_other = ~all_mask[tf.newaxis], ~mask[..., tf.newaxis]
    if all_videos is not None:
        never_from_other |= ~all_videos
    if form == "nce":  # no clip is its own negative
        never_from_video, never_from_other = never_from_video | own, never_from_other | own
    from_video = tf.where(never_from_video, NEVER, from_video)
    from_other = tf.where(never_from_other, NEVER, from_other)
    pairs = PairLogits(positives, from_video, from_other, own, temperature)
    if form in ROBUST_FORMS:
        return ROBUST_FORMS[form].terms(pairs, constants)
    return _minus_log_shares(pairs, form)


def _positives(video, other, mask):
    return tf.where(mask, tf.einsum("bd,bcd->bc", video, other), NEVER)


def _minus_log_shares(pairs, form):
    """Returns minus the logarithm of the positives' share of all pairs, in the given form: float32 [batch]."""
    directions = [pairs.from_video, pairs.from_other]
    sums = {
        "nce": [[pairs.positives, *directions]],
        "asymmetric_nce": [directions],
        "symmetric_nce": [[logits] for logits in directions],
    }[form]
    positive = tf.reduce_logsumexp(pairs.positives, axis=1)
    return tf.add_n([_joint_logsumexp(terms) - positive for terms in sums])


def _joint_logsumexp(several):
    """Returns float32 [clips], over all logits of a clip, `[clips, ...]` each, without joining them in memory."""
    of_each = [tf.reduce_logsumexp(logits, axis=list(range(1, logits.shape.rank))) for logits in several]
    return tf.reduce_logsumexp(tf.stack(of_each), axis=0)
