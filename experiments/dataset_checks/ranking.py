"""The order of a split's clips by their scores, and the table of all of them."""

import collections
import csv
import io
import pathlib
import tempfile
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from data import StoredClip
from experiments.inference.score_names import SCORES
from experiments.running.plain_text import for_spreadsheet
from experiments.running.whole_file import whole_file

_SIMILARITY_TO = {"text": "video_text_similarity", "sound": "video_audio_similarity"}
_MOST_CHARACTERS = 2000
COLUMNS = ("rank", *SCORES, "clip_id", "source", "start_seconds", "captions")


class Ranking:
    """The clips of a split, the least trustworthy first.

    Args:
      scores: What `score_clips` returned.
      by: Which of `SCORES` decides. Clips that have none come last, in the order of their records, without a rank.

    Attributes:
      scores: As given.
      by: As given.
      order: Rows of the clips, int64 [clips], in the order of the table.
      ranked: How many of them have a rank.
    """

    def __init__(self, scores: Mapping[str, np.ndarray], by: str):
        self.scores, self.by = scores, by
        self.order = np.argsort(scores[by], kind="stable")  # which puts NaN last
        self.ranked = int(np.isfinite(scores[by]).sum())
        self._places = np.argsort(self.order)

    def rank(self, row: int) -> int | None:
        """Returns a clip's rank, from 1, the worst."""
        place = int(self._places[row])
        return place + 1 if place < self.ranked else None

    def worst(self, count: int) -> list[int]:
        """Returns the rows of the clips of the lowest scores, the lowest first."""
        return self.order[: self.ranked][:count].tolist()

    def best(self, count: int) -> list[int]:
        """Returns the rows of the clips of the highest scores, the highest first; none that is among so many worst."""
        return self.order[min(count, self.ranked) : self.ranked][::-1][:count].tolist()

    def unranked(self, count: int) -> list[int]:
        """Returns the rows of clips without a rank, the first ones."""
        return self.order[self.ranked :][:count].tolist()

    def why_unranked(self) -> str:
        """Says why clips have no rank, and which other scores would rank more clips; empty if all have one."""
        rows = self.unranked(len(self.order))
        if not rows:
            return ""
        reasons = collections.Counter(map(self._reason, rows))
        told = ", ".join(f"{count:,} without {reason}" for reason, count in sorted(reasons.items()))
        ranked = {name: int(np.isfinite(self.scores[name]).sum()) for name in SCORES}
        others = [f"--by={name} ({count:,} clips)" for name, count in ranked.items() if count > self.ranked]
        remedy = f" More clips get a rank with {' or '.join(others)}." if others else ""
        return f"{len(rows):,} clips have no {self.by} and so no rank: {told}.{remedy}"

    def _reason(self, row):
        needed = {kind: name for kind, name in _SIMILARITY_TO.items() if name == self.by} or _SIMILARITY_TO
        lacking = [kind for kind, name in needed.items() if not np.isfinite(self.scores[name][row])]
        return " and ".join(lacking) or "a gradient"

    def cells(self, row: int, clip: StoredClip) -> list[str]:
        """Returns a clip's line of the table: `COLUMNS` as text, empty where there is nothing."""
        values = [self.scores[name][row] for name in SCORES]
        return [
            str(self.rank(row) or ""),
            *("" if np.isnan(value) else f"{value:.7g}" for value in values),  # fewer digits would make ties
            clip.clip_id,
            clip.source,
            f"{clip.start_seconds:.2f}",
            _shortened(" / ".join(cue.text.strip() for cue in clip.captions)),
        ]


def _shortened(captions: str) -> str:
    """Returns captions cut to what people read; Python's `csv` reads no cell of more than 131,072 characters."""
    return captions if len(captions) <= _MOST_CHARACTERS else f"{captions[:_MOST_CHARACTERS]} ..."


def is_ranking(path: pathlib.Path) -> bool:
    """Tells by its first line whether a file is a table of `write_csv`."""
    with path.open("rb") as file:
        return {*SCORES, "clip_id"} <= set(file.readline(1000).decode(errors="replace").strip().split(","))


def write_csv(path: pathlib.Path, lines: Iterable[Sequence[str]], order: np.ndarray) -> None:
    """Writes lines in another order than they come in, without keeping them in memory; the file appears whole.

    Args:
      path: The file, UTF-8 with `COLUMNS` as its first line.
      lines: Cells of each clip, in the order of the records.
      order: Rows in the order of the file.

    Raises:
      OSError: It cannot be written.
    """
    with (
        tempfile.TemporaryFile(dir=path.parent) as spool,
        whole_file(path) as temporary,
        temporary.open("wb") as file,
    ):
        ends = [0]
        for cells in lines:
            spool.write(_encoded(cells))
            ends.append(spool.tell())
        file.write(_encoded(COLUMNS))
        for row in order:
            spool.seek(ends[row])
            file.write(spool.read(ends[row + 1] - ends[row]))


def _encoded(cells):
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(map(for_spreadsheet, cells))
    return line.getvalue().encode("utf-8", "surrogateescape")
