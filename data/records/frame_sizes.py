"""How large the frames of a prepared data set are, from a few of its records."""

from __future__ import annotations

import contextlib
import io
import itertools
from collections.abc import Iterator, Sequence

import tensorflow as tf
from PIL import Image

from data.errors import DataError
from data.records.framing import framed_records
from data.records.prepared_dataset import PreparedDataset
from data.records.stored_clips import parse_clip

_MOST_FILES, _RECORDS_OF_A_FILE = 16, 8


def largest_frame(sets: Sequence[PreparedDataset], split: str) -> tuple[int, int] | None:
    """Returns the greatest height and the greatest width of the frames of a split, in pixels.

    Looks at the first records of some of the files, spread evenly, and at no more than the headers of their JPEGs; all hosts
    and all restarts find the same. A larger frame may hide among the others.

    Returns:
      Height and width; None if none of these records can be read.
    """
    sizes = [size for one_set in sets for path in _some(one_set.shard_paths.get(split, ())) for size in _sizes(path)]
    if not sizes:
        return None
    return max(height for height, _ in sizes), max(width for _, width in sizes)


def _some(paths: Sequence[str]) -> Sequence[str]:
    return paths[:: max(1, -(-len(paths) // _MOST_FILES))]


def _sizes(path: str) -> Iterator[tuple[int, int]]:
    """Yields what can be read; who reads a damaged record to train on it names it."""
    with contextlib.suppress(tf.errors.OpError):
        for record in itertools.islice(framed_records(path), _RECORDS_OF_A_FILE):
            with contextlib.suppress(DataError, OSError, IndexError, Image.DecompressionBombError):
                frame = parse_clip(record.content or b"").jpegs[0]
                with Image.open(io.BytesIO(frame), formats=("JPEG",)) as picture:
                    yield picture.height, picture.width
