"""Finds the clips that fit a sentence, by the cosine in the video-text space."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

import vatt
from experiments.inference.retrieval import cosines
from experiments.inference.trained_model import TrainedModel
from experiments.running.plain_text import for_terminal
from experiments.running.run_directory import RunDirectory

# What `vatt.losses` gives a batch of so many clips whose similarities are all equal, by its form.
_EQUAL_LOSS = {
    "nce": lambda clips: math.log(2 * clips - 1),
    "asymmetric_nce": lambda clips: math.log(2 * clips),
    "symmetric_nce": lambda clips: 2 * math.log(clips),
    "nce_or_none": math.log,
    "robust_xid": lambda clips: 2 * math.log(clips),
}
# With configs/demo.gin the note ends at step 200. R@10 is 8 % at step 160 (chance 4 %), 25 % at 240.
_LEAST_GAIN_NATS = 0.1
_EVEN_SHARE = 0.9  # in the demo half of six sentences reached it at step 100; at step 480 none reached 0.6


@dataclasses.dataclass(frozen=True)
class Hit:
    """A clip that was found: the cosine of its embedding and the sentence's, and where the clip is."""

    similarity: float
    file: str
    start_seconds: float
    end_seconds: float


def best_clips(query: np.ndarray, clips: Mapping[str, np.ndarray], top: int) -> list[Hit]:
    """Returns the `top` most similar clips that have a video, the best first.

    Args:
      query: The sentence's embedding [dim].
      clips: What `experiments.inference.file_embeddings.embed_files` returns.
      top: How many, at most.
    """
    similarities = cosines(query[np.newaxis], clips["video_text_video"])[0]
    found = np.flatnonzero(clips["has_video"])
    order = found[np.argsort(-similarities[found], kind="stable")][:top]
    places = (clips[name] for name in ("file", "start_seconds", "end_seconds"))
    columns = zip(similarities[order], *(values[order] for values in places), strict=True)
    return [Hit(float(similarity), str(file), float(start), float(end)) for similarity, file, start, end in columns]


def format_hits(text: str, hits: Sequence[Hit]) -> str:
    """Returns a table: rank, similarity, file, from - to in seconds."""
    files = [for_terminal(hit.file) for hit in hits]
    width = max(map(len, files))
    lines = [
        f"{rank:4d}  {hit.similarity:+.3f}  {file:{width}}  {hit.start_seconds:.1f} - {hit.end_seconds:.1f} s"
        for rank, (hit, file) in enumerate(zip(hits, files, strict=True), 1)
    ]
    return "\n".join([text, *lines])


def ranking_note(run: TrainedModel, similarities: np.ndarray) -> str | None:
    """Returns a sentence to print before the results of a search whose order says little, else `None`.

    There are two reasons for it:

    - The model is hardly trained: the last video-text loss that its run recorded, up to the checkpoint, is less than 0.1
      nats below the loss of equal similarities. It then gives a clip's own text a share among all pairs at most a tenth
      larger than a blind guess does. Similarities alone would not show this: those of random weights can differ as much
      as those of a trained model. Without a recorded loss (an imported checkpoint, or metrics.jsonl is gone) the steps
      decide: fewer than the run's warm-up.
    - All videos fit a sentence nearly equally well, whatever the training: the softmax of its similarities at the
      temperature of the losses spreads, by its entropy, over more than nine tenths of the videos.

    Args:
      run: The model that made the embeddings.
      similarities: Cosines [sentences, videos] in the video-text space.
    """
    if reason := _hardly_trained(run):
        return f"Note: this model is hardly trained ({reason}), so the order of the results says little."
    even = int(_nearly_even(similarities, run.settings.temperature).sum())
    if not even:
        return None
    sentences, videos = similarities.shape
    which = f"{even} of the {sentences} sentences" if sentences > 1 else "the sentence"
    return f"Note: to this model all {videos} videos fit {which} nearly equally well, so their order says little."


def _hardly_trained(run):
    """Returns why, or nothing."""
    settings, loss = run.settings, _recorded_loss(run)
    if loss is None:
        trained = run.step >= max(settings.warmup_steps, 1)
        return "" if trained else f"step {run.step:,}, within its warm-up of {settings.warmup_steps:,} steps"
    equal = _EQUAL_LOSS[settings.loss](settings.batch_size)
    trained = loss < equal - _LEAST_GAIN_NATS
    return (
        ""
        if trained
        else f"at step {run.step:,} its video-text loss is {loss:.2f}; equal similarities give {equal:.2f}"
    )


def _recorded_loss(run):
    """Returns the last video-text loss up to the checkpoint's step, `None` if there is none."""
    if not run.checkpoint:  # weights of step 0, drawn again
        return None
    records = RunDirectory(vatt.run_directory(run.checkpoint)).read_metrics()
    losses = [
        record["loss_video_text"] for record in records if "loss_video_text" in record and record["step"] <= run.step
    ]
    return losses[-1] if losses else None


def _nearly_even(similarities, temperature):
    """Returns bool [sentences]; never true of a single video."""
    logits = similarities.astype(np.float64) / temperature
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    entropy = -np.sum(shares * np.log(np.maximum(shares, 1e-300)), axis=1)
    videos = similarities.shape[1]
    return np.exp(entropy) > _EVEN_SHARE * videos if videos > 1 else np.zeros(len(similarities), bool)
