"""What device the model is traced for: some forms are quick on one and slow on another."""

import contextlib
import contextvars
from collections.abc import Iterator

import tensorflow as tf

# A context variable, since the replicas of a strategy are traced in threads of their own.
_FOR_TPU = contextvars.ContextVar("for_tpu", default=False)


@contextlib.contextmanager
def traced_for_tpu() -> Iterator[None]:
    """While it is open, the model takes the forms that suit a TPU, as it does by itself under `tf.distribute.TPUStrategy`."""
    token = _FOR_TPU.set(True)
    try:
        yield
    finally:
        _FOR_TPU.reset(token)


def is_for_tpu() -> bool:
    """Returns whether what is traced now will run on a TPU."""
    return _FOR_TPU.get() or isinstance(tf.distribute.get_strategy(), tf.distribute.TPUStrategy)
