import threading
import time

import pytest

from data.preparing.parallel import interleave


def letters(item):
    return iter(f"{item}{index}" for index in range(item))


def test_items_take_turns():
    assert list(interleave(letters, [2, 3, 1, 2], open_items=2, threads=1)) == [
        "20", "30", "21", "31", "32", "10", "20", "21"
    ]  # fmt: skip


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_the_order_does_not_depend_on_the_threads(threads):
    def slow(item):
        for index in range(item % 4):
            time.sleep((item * 7 + index) % 5 / 2000)
            yield item, index

    expected = list(interleave(slow, range(30), open_items=5, threads=1))
    assert list(interleave(slow, range(30), open_items=5, threads=threads)) == expected
    assert sorted(expected) == [(item, index) for item in range(30) for index in range(item % 4)]


def test_no_more_is_made_than_open_items_hold():
    made = []

    def noted(item):
        for index in range(50):
            made.append((item, index))
            yield item, index

    for taken, _ in enumerate(interleave(noted, range(40), open_items=3, threads=4), start=1):
        assert len(made) - taken <= 3


def test_several_threads_work_at_once():
    together = threading.Barrier(3)

    def meet(item):
        together.wait(timeout=10)
        yield item

    assert sorted(interleave(meet, range(6), open_items=3, threads=3)) == list(range(6))


def test_errors_are_raised_and_stopping_early_does_not_wait():
    def fail(item):
        yield item
        raise KeyError(item)

    results = interleave(fail, [5, 6], open_items=1, threads=2)
    assert next(results) == 5
    with pytest.raises(KeyError):
        next(results)
    opened = []
    results = interleave(lambda item: opened.append(item) or letters(3), range(1000), open_items=2, threads=2)
    next(results)
    results.close()
    assert len(opened) <= 3
