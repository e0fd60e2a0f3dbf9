"""Clips of many media files in batches, decoded in a thread while the model works on the batch before."""

import concurrent.futures
import itertools
import sys
import threading
from collections.abc import Iterator, Sequence

import tqdm

import data
from experiments.running.plain_text import for_terminal


class FileBatches:
    """Iterates over batches of clips, in the order of the files. A file that cannot be used is named and skipped.

    Args:
      files: Paths of media files.
      spec: What a clip is.
      windows: See `data.read_clips`.
      batch_size: Clips in a batch; the last one holds what is left.

    Attributes:
      skipped: Files that cannot be used, and why. One that fails midway counts, though its first clips came.
      short: Files that gave fewer clips than there are `windows`, and how many they gave.
    """

    def __init__(self, files: Sequence[str], spec: data.ClipSpec, windows: int | None, batch_size: int):
        self.files, self.spec, self.windows, self.batch_size = files, spec, windows, batch_size
        self.skipped: dict[str, str] = {}
        self.short: dict[str, int] = {}

    def __iter__(self) -> Iterator[list[data.FileClip]]:
        """Yields lists of clips; holds two batches at a time, however long the files are."""
        stopped = threading.Event()
        clips = self._clips(stopped)
        batches = iter(lambda: list(itertools.islice(clips, self.batch_size)), [])
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            try:
                upcoming = pool.submit(next, batches, None)
                while (batch := upcoming.result()) is not None:
                    upcoming = pool.submit(next, batches, None)
                    yield batch
            finally:
                stopped.set()  # leaving waits for the thread, which may be in the middle of a long batch

    def _clips(self, stopped: threading.Event) -> Iterator[data.FileClip]:
        for file in itertools.takewhile(lambda _: not stopped.is_set(), self.files):
            count = 0
            try:
                for clip in data.read_clips(file, self.spec, self.windows):
                    if stopped.is_set():
                        return
                    count += 1
                    yield clip
                if count < (self.windows or 0):
                    self.short[file] = count
            except data.DataError as error:
                self.skipped[file] = str(error)
                tqdm.tqdm.write(for_terminal(f"skipped: {printable(file)}: {error}"), file=sys.stderr)


def printable(path: str) -> str:
    """Returns a path with a mark for bytes that are not UTF-8, which could be neither printed nor stored."""
    return path.encode("utf-8", "replace").decode()
