"""Work on many items at once, in an order that does not depend on how many threads there are."""

from __future__ import annotations

import concurrent.futures
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_END = object()


def interleave(
    make: Callable[[Item], Iterator[Result]], items: Iterable[Item], *, open_items: int, threads: int
) -> Iterator[Result]:
    """Yields the results of all items, of `open_items` of them in turn.

    Their order follows from the items alone, whatever the number of threads. PyAV, Pillow and numpy
    let go of the interpreter while they work, so threads are enough. One result of each open item is
    held at most, however many items and results there are.

    Args:
      make: Returns the iterator of an item's results, which threads take turns to advance.
      items: The items.
      open_items: How many items are worked on at once.
      threads: How many of these really are at any time.
    """
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        started = (make(item) for item in items)
        turns = deque((results, pool.submit(next, results, _END)) for results in itertools.islice(started, open_items))
        try:
            while turns:
                results, future = turns.popleft()
                result = future.result()
                successors = itertools.islice(started, 1) if result is _END else [results]
                turns.extend((successor, pool.submit(next, successor, _END)) for successor in successors)
                if result is not _END:
                    yield result
        finally:  # A caller that stops early need not wait for unused results.
            pool.shutdown(cancel_futures=True)
