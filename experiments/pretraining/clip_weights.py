"""What training makes of a table of measured clips: which texts and sounds are dropped, and how much the others weigh."""

import csv
import dataclasses
import hashlib
import io
import math
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

import data
from experiments.running.command_line import BadInput
from experiments.running.plain_text import from_spreadsheet

_SIMILARITIES = {"text": "video_text_similarity", "audio": "video_audio_similarity"}
_SIDES = {column: (side,) for side, column in _SIMILARITIES.items()}
_BOTH = tuple(_SIMILARITIES)
NAMES = {"text": "text", "audio": "sound"}
_DEFAULT_SHARE = 0.2
_LEAST_SOFT = 1e-6
"""The least soft weight: much smaller ones are 0 in float32, which drops, and so are products of theirs."""


@dataclasses.dataclass(frozen=True)
class ClipWeights:
    """Weights of the training clips by scores that `experiments.rank_clips` measured; the choices are ours.

    A clip that the table gives no score counts in full. A dropped text or sound is taken from its clip: it is no positive and
    no negative. The clip keeps its place in the order, and its video stays a negative of the others.

    Attributes:
      path: The table, clips.csv; for a mixture `{'set': 'its/clips.csv'}`, whose other sets count in full.
      by: The column that decides, a number, lower where a clip is trusted less; or several, whose weights are multiplied.
        `video_text_similarity` weighs the text of a clip alone, `video_audio_similarity` its sound alone, any other column
        both. Of these two, which are the default, only the one with scores, if no clip has a text or none a sound.
      drop_share: Share of the clips with a score to drop, those of the lowest scores; equal scores share their fate.
      drop_below: Drop scores below this one, instead of a share. With neither, 0.2 of the clips are dropped.
      softness: 0 drops. Above, a clip weighs sigmoid((position - limit) / softness), at least a millionth: with `drop_share`,
        its position is its place among the scores, from 0 to 1; with `drop_below`, its score.

    Raises:
      ValueError: A value is out of range.
    """

    path: str | Mapping[str, str]
    by: str | Sequence[str] = tuple(_SIDES)
    drop_share: float | None = None
    drop_below: float | None = None
    softness: float = 0.0

    def __post_init__(self) -> None:
        if not self.path:
            raise ValueError("`ClipWeights.path` should name a table, clips.csv of experiments.rank_clips. Found none.")
        if not self.columns:
            raise ValueError("`ClipWeights.by` should name a column of the table. Found none.")
        if self.drop_share is not None and self.drop_below is not None:
            raise ValueError("`ClipWeights` should have `drop_share` or `drop_below`. Found both.")
        if self.drop_share is not None and not 0.0 <= self.drop_share < 1.0:
            raise ValueError(f"`ClipWeights.drop_share` should be at least 0 and below 1. Found {self.drop_share}.")
        if not 0.0 <= self.softness < math.inf:
            raise ValueError(f"`ClipWeights.softness` should be at least 0. Found {self.softness}.")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that decide."""
        return (self.by,) if isinstance(self.by, str) else tuple(self.by)

    def paths(self, datasets: Sequence[str]) -> dict[str, str]:
        """Returns the table of each data set that has one.

        Raises:
          ValueError: One table is given for several sets, or one for another set.
        """
        if isinstance(self.path, str) and len(datasets) > 1:
            raise ValueError(
                "`ClipWeights.path` should map the data sets of a mixture to their tables, such as "
                f"{{{datasets[0]!r}: 'clips.csv'}}. Found {self.path!r}."
            )
        paths = {datasets[0]: self.path} if isinstance(self.path, str) else dict(self.path)
        if others := sorted(set(paths) - set(datasets)):
            raise ValueError(
                f"`ClipWeights.path` should have tables of {', '.join(datasets)}. Found one of {', '.join(others)}."
            )
        return paths

    def of_scores(self, scores: np.ndarray) -> np.ndarray:
        """Returns weights in [0, 1], float32 [clips], as training uses them, of scores `[clips]`, NaN where there is none."""
        weights, scored = np.ones(len(scores), np.float32), np.isfinite(scores)
        position, limit = scores[scored], self.drop_below
        if limit is None:
            position = (stats.rankdata(position) - 0.5) / max(len(position), 1)
            limit = _DEFAULT_SHARE if self.drop_share is None else self.drop_share
        if self.softness:
            soft = stats.logistic.cdf((position - limit) / self.softness)
            weights[scored] = np.maximum(soft, _LEAST_SOFT)
        else:
            weights[scored] = position >= limit
        return weights


def as_clip_weights(chosen: ClipWeights | str | None) -> ClipWeights | None:
    """Returns what `pretrain.clip_weights` stands for: a path is a table with the default weights."""
    return ClipWeights(chosen) if isinstance(chosen, str) else chosen


@dataclasses.dataclass(frozen=True, eq=False)
class WeightedTable:
    """A table that was read, and the weights of its clips.

    Attributes:
      path: The table.
      weights: Of all its clips.
      scores: By column that decides, float64 [clips], NaN where there is none.
      present: By side, "text" and "audio", which clips have one, bool [clips]: those with a similarity to the video; all, if
        the table lacks that column.
      sha256: Of the file.
    """

    path: str
    weights: data.PairWeights
    scores: Mapping[str, np.ndarray]
    present: Mapping[str, np.ndarray]
    sha256: str

    def describe(self) -> dict[str, object]:
        """Returns the facts by which a resumed run notices another table, and what was dropped of how many texts and sounds."""
        counts = {NAMES[side]: self._count(side) for side in sides_of(self.scores)}
        return {"sha256": self.sha256, "clips": len(self.weights.clip_ids), **counts}

    def _count(self, side):
        values = getattr(self.weights, side)[self.present[side]]
        mean = round(float(values.mean(dtype=np.float64)), 6) if len(values) else None
        return {"clips": len(values), "dropped": int((values == 0.0).sum()), "mean_weight": mean}

    def require_rest(self) -> None:
        """Raises `BadInput` if all texts or all sounds are dropped."""
        for side, present in self.present.items():
            weights = getattr(self.weights, side)[present]
            if len(weights) and weights.max() <= _LEAST_SOFT:  # training takes it for nothing
                raise BadInput(
                    f"{self.path} should leave some clips to train on. By {', '.join(self.scores)}, `ClipWeights` drops the "
                    f"{NAMES[side]} of all {present.sum():,} that have one. Lower `drop_share` or `drop_below`."
                )


def sides_of(columns: Sequence[str] | Mapping[str, object]) -> tuple[str, ...]:
    """Returns which of "text" and "audio" some columns weigh."""
    return tuple(side for side in _BOTH if any(side in _SIDES.get(column, _BOTH) for column in columns))


def read_tables(
    chosen: ClipWeights | str | None, datasets: Sequence[str], hashes: Mapping[str, str] | None = None
) -> dict[str, WeightedTable]:
    """Reads the tables of a run.

    Args:
      chosen: `pretrain.clip_weights`.
      datasets: `pretrain.datasets`.
      hashes: By data set, the SHA-256 that its table must have. Nothing of another file is shown: a run from elsewhere may
        name any file of its reader.

    Returns:
      By data set; empty if all clips count in full.

    Raises:
      BadInput: A table is missing or malformed, another one, lists a clip twice, or would drop all texts or all sounds.
      ValueError: The tables do not fit the data sets.
    """
    options = as_clip_weights(chosen)
    if options is None:
        return {}
    paths = options.paths(datasets)
    contents = {name: _content(path) for name, path in paths.items()}
    for name, content in contents.items():
        if hashes is not None and hashes.get(name) != _hash(content):
            raise BadInput(f"{paths[name]} is not the table that the run was trained with.")
    return {name: _read_table(options, paths[name], content) for name, content in contents.items()}


def _hash(content):
    return hashlib.sha256(content).hexdigest()


def _read_table(options, path, content):
    clip_ids, columns = _parsed(path, content, options.columns)
    scores = _deciding(path, columns, options)
    weights = {side: np.ones(len(clip_ids), np.float32) for side in _BOTH}
    for column, values in scores.items():
        own = options.of_scores(values)
        for side in sides_of([column]):
            weights[side] = weights[side] * own
    everywhere = np.zeros(len(clip_ids))
    present = {side: np.isfinite(columns.get(column, everywhere)) for side, column in _SIMILARITIES.items()}
    table = WeightedTable(path, data.PairWeights(clip_ids, **weights), scores, present, _hash(content))
    table.require_rest()
    return table


def _deciding(path, columns, options):
    """Returns the columns that decide, without one of the two by default that no clip has."""
    scores = {column: columns[column] for column in options.columns}
    empty = [column for column, values in scores.items() if not np.isfinite(values).any()]
    if set(options.columns) == set(_SIDES) and len(empty) == 1:
        del scores[empty.pop()]
    if empty:
        raise BadInput(
            f"{path} should have clips with a score by {empty[0]}. Found none. Set `ClipWeights.by` to a column that has some."
        )
    return scores


def _content(path):
    try:
        data.require_no_pipe(path)
        return pathlib.Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise BadInput(
            f"`pretrain.clip_weights` should be a table that experiments.rank_clips wrote, clips.csv. {path}: {reason}."
        ) from error


def _parsed(path, content, columns):
    """Returns the names of the clips and their scores, by column: those asked for and both similarities, where they are."""
    # A spreadsheet program may have put a byte order mark before the first name.
    text = content.decode("utf-8-sig", "surrogateescape")
    lines = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    rows: dict[str, list[float]] = {}
    try:
        _require_columns(path, lines.fieldnames or [], columns)
        columns = [*dict.fromkeys((*columns, *(each for each in _SIDES if each in lines.fieldnames)))]
        for line in lines:
            clip_id = from_spreadsheet(line["clip_id"] or "")
            if None in line or None in line.values() or not clip_id:
                raise BadInput(
                    f"{path} should have a clip's name and all columns in every line. Line {lines.line_num} lacks some."
                )
            if clip_id in rows:
                raise BadInput(f"{path} should list every clip once. Line {lines.line_num} has {clip_id!r} again.")
            rows[clip_id] = [_score(path, lines.line_num, column, line[column]) for column in columns]
    except csv.Error as error:
        raise BadInput(f"{path} should be a table in CSV. It is none after line {lines.line_num}: {error}.") from error
    table = np.array(list(rows.values())).reshape(len(rows), len(columns))
    return tuple(rows), dict(zip(columns, table.T, strict=True))


def _require_columns(path, found, columns):
    if missing := [column for column in ("clip_id", *columns) if column not in found]:
        raise BadInput(
            f"{path} should be a table of experiments.rank_clips, with the column {missing[0]}. Found "
            f"{', '.join(found[:12]) or 'no columns'}."
        )
    if twice := [column for column in found if found.count(column) > 1]:
        raise BadInput(f"{path} should have every column once. Found {twice[0]} twice.")


def _score(path, line, column, cell):
    if not cell.strip():
        return math.nan
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadInput(f"{path} should have numbers or nothing in the column {column}. Line {line} has {cell!r}.")
    return value


def notes(tables: Mapping[str, WeightedTable]) -> list[str]:
    """Returns a sentence for each table: what is dropped, of how many clips."""
    return [
        f"Clips of {name}, weighed by {', '.join(table.scores)}: {_told(table.describe()) or 'none has a text or a sound'}."
        for name, table in tables.items()
    ]


def _told(facts):
    return "; ".join(
        f"the {name} of {facts[name]['dropped']:,} of {facts[name]['clips']:,} is dropped, mean weight "
        f"{facts[name]['mean_weight']:.3g}"
        for name in NAMES.values()
        if facts.get(name, {}).get("clips")
    )
