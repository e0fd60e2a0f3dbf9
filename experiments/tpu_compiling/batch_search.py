"""Looks for the largest batch that fits, by compiling again. No TensorFlow, no JAX."""

import math
from collections.abc import Callable

from experiments.tpu_compiling.result import Compiled, Trial


def search_most_clips(compile_again: Callable[[int], Compiled], first: Compiled, trials: int) -> tuple[Trial, ...]:
    """Closes in on the most clips per device that fit.

    Each time the latest estimate is tried, or the middle where it lies outside of what is still open.

    Args:
      compile_again: Clips per device to what is then known.
      first: What is known already.
      trials: The most compilations.
    """
    tried = [first]
    for _ in range(trials):
        most_fitting = max((each.clips for each in tried if each.fits), default=0)
        least_failing = min((each.clips for each in tried if not each.fits), default=None)
        if least_failing is not None and least_failing - most_fitting <= 1:
            break
        guess = _estimate(tried)
        if least_failing is None:
            guess = max(guess, most_fitting + 1)
        elif not most_fitting < guess < least_failing:
            guess = (most_fitting + least_failing) // 2
        tried.append(compile_again(guess))
    return tuple(Trial(each.clips, each.memory.needed, each.fits) for each in tried) if trials else ()


def _estimate(tried):
    """The line through the last two that the compiler took; with one of them its own estimate."""
    taken = [each for each in tried if each.memory.arguments][-2:]
    if len(taken) < 2:
        return tried[-1].most_clips
    one, other = taken
    per_clip = (other.memory.needed - one.memory.needed) / (other.clips - one.clips)
    if per_clip <= 0:
        return other.most_clips
    return math.floor(other.clips + (other.memory.capacity - other.memory.needed) / per_clip)
