"""Work on many items at once, results in order."""

from __future__ import annotations

import concurrent.futures
import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item, Result = TypeVar("Item"), TypeVar("Result")


def map_in_order(make: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yields `make(item)` in the order of the items, working a few ahead in threads.

    PyAV, Pillow and numpy let go of the interpreter while they work, so threads are enough. Unlike
    `Executor.map` it holds few results at a time, however many items there are.
    """
    workers = os.cpu_count() or 1
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        remaining = iter(items)
        first = itertools.islice(remaining, 4 * workers)
        running = deque(pool.submit(make, item) for item in first)
        try:
            while running:
                yield running.popleft().result()
                running.extend(pool.submit(make, item) for item in itertools.islice(remaining, 1))
        finally:  # Whoever stops early need not wait for what nobody will take.
            pool.shutdown(cancel_futures=True)
