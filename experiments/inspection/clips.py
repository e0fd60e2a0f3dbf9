"""The clips of a prepared set as a run sees them: embeddings, search by sentences, aligned and misaligned clips.

For notebooks; see experiments/notebooks/inspect_checkpoint.ipynb.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

import data
from experiments.dataset_checks.contact_sheet import Card, make_card
from experiments.dataset_checks.ranking import Ranking
from experiments.inference.clip_scores import score_clips
from experiments.inference.file_embeddings import Embedder, embed_texts
from experiments.inference.retrieval import cosines, metrics, ranks, top_clips
from experiments.inference.search import ranking_note
from experiments.inference.split_embeddings import embed
from experiments.inference.trained_model import TrainedModel

_PAIRS = {"video_audio": ("video", "audio", "has_audio"), "video_text": ("video", "text", "has_text")}


class SpaceFacts(NamedTuple):
    """How well the clips of a split find each other in a common space.

    Attributes:
      state: Which weights.
      space: "video-audio" or "video-text".
      own_cosine: Mean cosine of the two embeddings of a clip.
      others_cosine: Mean cosine of embeddings of different clips, one of each modality.
      r1, r10: Share of the sounds, or texts, whose own video is the nearest, or among the nearest ten.
      median_rank: Of the own video.
      clips: How many videos there are.
    """

    state: str
    space: str
    own_cosine: float
    others_cosine: float
    r1: float
    r10: float
    median_rank: float
    clips: int


@dataclasses.dataclass(frozen=True)
class ScoredClips:
    """Scores of all clips of a split, in the order of its records.

    Attributes:
      scores: What `experiments.inference.clip_scores.score_clips` returns.
      misaligned: Names of what was swapped on purpose, per clip: "text", "sound", "text, sound", or "" for nothing; `None`
        if unknown.
    """

    scores: Mapping[str, np.ndarray]
    misaligned: Sequence[str | None]


def embed_split(
    run: TrainedModel, prepared: data.PreparedDataset, split: str, batch_size: int = 32
) -> dict[str, np.ndarray]:
    """Embeds the middle window of every clip of a split.

    Returns:
      Arrays as an evaluation leaves them for the report: `clip_id`, `label`, `has_audio`, `has_text`, `class_names`, and
      float32 [clips, dim] `video_audio_video`, `video_audio_audio`, `video_text_video`, `video_text_text`.
    """
    batches = data.eval_batches(prepared, split, run.settings.clips, run.tokenizer, batch_size=batch_size)
    found = embed(run.model, batches, prepared.split_sizes[split], title=f"step {run.step}")
    spaces = {"video_audio": found.video_audio, "video_text": found.video_text}
    arrays = {f"{space}_{modality}": values for space, pair in spaces.items() for modality, values in pair.items()}
    return {**found.facts, **arrays, "class_names": np.array(prepared.class_names, dtype=str)}


def space_facts(state: str, arrays: Mapping[str, np.ndarray]) -> list[SpaceFacts]:
    """Measures both spaces; none that has not two clips.

    Args:
      state: Names the weights.
      arrays: What `embed_split` returned.
    """
    return [
        _measured(state, space, *(arrays[f"{space}_{modality}"][arrays[present]] for modality in (first, second)))
        for space, (first, second, present) in _PAIRS.items()
        if arrays[present].sum() > 1
    ]


def _measured(state, space, videos, others):
    similarities, count = cosines(others, videos), len(videos)
    own = float(np.trace(similarities)) / count
    found = metrics(ranks(others, videos), count)
    rest = (float(similarities.sum()) / count - own) / (count - 1)
    return SpaceFacts(state, space.replace("_", "-"), own, rest, found["r1"], found["r10"], found["median_rank"], count)


def nearest_clips(
    run: TrainedModel, arrays: Mapping[str, np.ndarray], sentences: Sequence[str], count: int
) -> list[dict[int, float]]:
    """Finds the clips whose videos fit sentences best, by the cosine in the video-text space.

    Args:
      run: The run whose embeddings `arrays` holds.
      arrays: What `embed_split` returned.
      sentences: What to look for.
      count: Clips per sentence, at most.

    Returns:
      For each sentence: rows of clips to cosines, the best first.
    """
    queries, videos = _embedded_sentences(run, sentences), arrays["video_text_video"]
    similarities = cosines(queries, videos)
    return [
        {int(row): float(similarities[query, row]) for row in found}
        for query, found in enumerate(top_clips(queries, videos, count))
    ]


def search_note(run: TrainedModel, arrays: Mapping[str, np.ndarray], sentences: Sequence[str]) -> str | None:
    """Returns a sentence if the order that `nearest_clips` gives says little; see `experiments.inference.search.ranking_note`."""
    return ranking_note(run, cosines(_embedded_sentences(run, sentences), arrays["video_text_video"]))


def _embedded_sentences(run, sentences):
    return embed_texts(Embedder(run.model), [run.tokenizer(list(sentences)).numpy()])["video_text_text"]


def score_split(run: TrainedModel, prepared: data.PreparedDataset, split: str, batch_size: int = 32) -> ScoredClips:
    """Scores every clip of a split by how well its modalities fit; see `experiments.inference.clip_scores`."""
    total, swapped = prepared.split_sizes[split], []
    batches = data.eval_batches(prepared, split, run.settings.clips, run.tokenizer, batch_size=min(batch_size, total))
    options = dict(temperature=run.settings.temperature, form=run.settings.loss)
    scores = score_clips(run.model, _watched(batches, swapped), min(batch_size, total), total, options)
    return ScoredClips(scores, swapped)


def _watched(batches: tf.data.Dataset, swapped: list[str | None]) -> Iterator[dict[str, tf.Tensor]]:
    """Yields the batches, and notes what passes by of the planted truth."""
    for batch in batches:
        truths = zip(batch["text_aligned"].numpy(), batch["audio_aligned"].numpy(), strict=True)
        swapped += [_swapped(text, audio) for text, audio in truths]
        yield batch


def _swapped(text_aligned, audio_aligned):
    if text_aligned < 0 or audio_aligned < 0:
        return None
    return ", ".join(name for name, aligned in (("text", text_aligned), ("sound", audio_aligned)) if not aligned)


def extremes(scored: ScoredClips, by: str, count: int) -> dict[str, dict[int, list[str]]]:
    """Returns the clips of the highest and of the lowest scores.

    Args:
      scored: What `score_split` returned.
      by: Which score decides.
      count: Clips at each end, at most.

    Returns:
      Headings to rows of clips, each with what is to be said of it.
    """
    ranking = Ranking(scored.scores, by)
    ends = {"The most aligned clips": ranking.best(count), "The least aligned clips": ranking.worst(count)}
    return {title: {row: _notes(scored, row) for row in rows} for title, rows in ends.items() if rows}


def _notes(scored, row):
    short = {"video_text_similarity": "text", "video_audio_similarity": "sound", "feature_gradient_cosine": "gradients"}
    values = {title: scored.scores[name][row] for name, title in short.items()}
    swapped = [f"{scored.misaligned[row]} swapped"] if scored.misaligned[row] else []
    return [*swapped, *(f"{title} {value:+.2f}" for title, value in values.items() if np.isfinite(value))]


def read_cards(prepared: data.PreparedDataset, split: str, notes: Mapping[int, Sequence[str]]) -> dict[int, Card]:
    """Reads some clips of a split: a few frames, the sound's outline, the captions.

    Args:
      prepared: The data set.
      split: The split.
      notes: Rows of the clips to read, each with what else is to be said of it.

    Returns:
      Rows to cards, in the order of `notes`.
    """
    found, last = {}, max(notes, default=-1)
    for row, clip in enumerate(data.read_split(prepared, split)):
        if row in notes:
            found[row] = make_card(clip, split, prepared, notes[row])
        if row == last:
            break
    return {row: found[row] for row in notes}
