"""Places where a caller can take hold of a tensor inside the model while the model runs."""

import contextlib
import contextvars
from collections.abc import Callable, Iterator

import tensorflow as tf

FEATURES = "features"
"""The pooled features that enter the head."""
LAST_BLOCK = "last_block"
"""The tokens that enter the last block of each encoder; a linear text tower has none."""
PLACES = (FEATURES, LAST_BLOCK)
# A context variable, since the replicas of a strategy run in threads of their own.
_CUT = contextvars.ContextVar("cut", default=None)


@contextlib.contextmanager
def cut_at(place: str, replace: Callable[[tf.Tensor], tf.Tensor]) -> Iterator[None]:
    """While it is open, the model puts every tensor at a place through a function and continues with the result.

    Args:
      place: "features", the pooled features that enter the head, or "last_block", the tokens that enter the last block of
        each encoder; a linear text tower has none.
      replace: A function (tensor) -> tensor of the same shape, dtype and values.

    Raises:
      ValueError: There is no such place.
    """
    if place not in PLACES:
        raise ValueError(f"`place` should be one of {', '.join(PLACES)}. Found {place!r}.")
    token = _CUT.set((place, replace))
    try:
        yield
    finally:
        _CUT.reset(token)


def passed(place: str, tensor: tf.Tensor) -> tf.Tensor:
    """Returns what the model continues with at a place."""
    cut = _CUT.get()
    return cut[1](tensor) if cut is not None and cut[0] == place else tensor
