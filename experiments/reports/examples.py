"""Retrieval examples for the report: what was asked for, and which clips came first."""

import base64
import html
import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

import data
from experiments.inference.retrieval import top_clips

_EXAMPLES, _SHOWN = 6, 5


class _Clip(NamedTuple):
    clip_id: str
    captions: Sequence[str]
    jpeg: bytes


def examples(arrays: Mapping[str, np.ndarray], prepared: data.PreparedDataset) -> str:
    """Writes some queries with the clips they found, as HTML.

    The queries are those whose ranks lie at even steps from the best to the worst, so bad ones show as they are.

    Args:
      arrays: What the evaluation left; has `rank`.
      prepared: The data set that was evaluated.

    Raises:
      DataError: The data set is not the one that was evaluated, or is damaged.
    """
    members = np.flatnonzero(arrays["rank"] > 0)
    ranks = arrays["rank"][members]
    order = np.argsort(ranks, kind="stable")
    asked = order[np.unique(np.linspace(0, len(order) - 1, _EXAMPLES).round().astype(int))]
    text, video = (arrays[f"video_text_{modality}"][members] for modality in ("text", "video"))
    answers = top_clips(text[asked], video, _SHOWN)
    clips = _read_clips(prepared, {int(members[i]) for i in (*asked, *answers.flat)})
    for row, clip in clips.items():
        if clip.clip_id != arrays["clip_id"][row]:
            raise data.DataError(
                f"{prepared.directory} is not the data set that was evaluated: clip {row} of its split test is "
                f"{clip.clip_id}, not {arrays['clip_id'][row]}. Give the evaluation's --data_dir, or evaluate again."
            )
    return "\n".join(
        _example(clips, members[own], [members[i] for i in found], int(ranks[own]), len(members))
        for own, found in zip(asked, answers, strict=True)
    )


def _read_clips(prepared, rows):
    """Reads the clips at some rows of the split `test`, the middle frame of each."""
    stored = itertools.islice(data.read_split(prepared, "test"), max(rows) + 1)
    clips = {
        row: _Clip(clip.clip_id, [cue.text for cue in clip.captions], clip.jpegs[len(clip.jpegs) // 2])
        for row, clip in enumerate(stored)
        if row in rows
    }
    if missing := rows - clips.keys():
        raise data.DataError(
            f"{prepared.directory} is not the data set that was evaluated: its split test has no clip {max(missing)}."
        )
    return clips


def _example(clips, own, found, rank, gallery):
    sentences = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in clips[own].captions)
    cards = [_card(clips[row], f"{place}", row == own) for place, row in enumerate(found, start=1)]
    if own not in found:
        cards.append(_card(clips[own], f"{rank}", True))
    return (
        f'<div class="example"><div class="query"><ul>{sentences}</ul>'
        f"<p>The right clip has rank {rank} of {gallery}.</p></div>"
        f'<div class="frames">{"".join(cards)}</div></div>'
    )


def _card(clip, place, right):
    image = base64.b64encode(clip.jpeg).decode()
    name = html.escape(clip.clip_id)
    note = f"{place}, the right one" if right else place
    return (
        f'<figure class="{"right" if right else "other"}">'
        f'<img src="data:image/jpeg;base64,{image}" alt="middle frame of {name}">'
        f"<figcaption>{note}</figcaption></figure>"
    )
