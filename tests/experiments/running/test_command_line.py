"""How a program that cannot continue says so."""

import numpy as np
import pytest
import tensorflow as tf

from experiments.running.command_line import _guarded as guarded

TEBIBYTES = 2**48


@pytest.mark.parametrize(
    "allocate", [lambda: tf.zeros([TEBIBYTES]), lambda: np.zeros(TEBIBYTES)], ids=["TensorFlow", "NumPy"]
)
def test_too_little_memory_is_one_message(allocate, capsys):
    assert guarded(lambda _: allocate() is None, ["program"]) == 1
    errors = capsys.readouterr().err
    assert errors.startswith("error: there is not enough memory: ") and errors.count("\n") == 1


def test_a_fault_of_ours_is_not_taken_for_the_users():
    with pytest.raises(ZeroDivisionError):
        guarded(lambda _: 1 // 0, ["program"])
