"""How a program loads what it needs, and how one that cannot continue says so."""

import gc
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from experiments.running.command_line import _guarded as guarded
from experiments.running.command_line import loading

TEBIBYTES = 2**48
LOADS = """
import contextlib, gc
from experiments.running.command_line import loading
with contextlib.suppress(ImportError), loading():
    assert not gc.isenabled()
    loaded = [[] for _ in range(100_000)]
    {then}
assert gc.isenabled() and gc.get_freeze_count() > len(loaded)
"""


@pytest.mark.parametrize(
    "allocate", [lambda: tf.zeros([TEBIBYTES]), lambda: np.zeros(TEBIBYTES)], ids=["TensorFlow", "NumPy"]
)
def test_too_little_memory_is_one_message(allocate, capsys):
    assert guarded(lambda _: allocate() is None, ["program"]) == 1
    errors = capsys.readouterr().err
    assert errors.startswith("error: there is not enough memory: ") and errors.count("\n") == 1


LOST = """{{function_node x}} Collective ops is aborted by: Error reported from /job:worker/task:1: unhealthy tasks:
/job:worker/replica:0/task:1"""


def test_a_lost_worker_is_one_message(capsys):
    def train(_):
        raise tf.errors.AbortedError(None, None, LOST)

    assert guarded(train, ["program"]) == 1
    assert capsys.readouterr().err == (
        "error: a worker of this run is lost: Error reported from /job:worker/task:1: unhealthy tasks. "
        "Start the same command on all workers again: it resumes.\n"
    )


def test_a_fault_of_ours_is_not_taken_for_the_users():
    with pytest.raises(ZeroDivisionError):
        guarded(lambda _: 1 // 0, ["program"])


@pytest.mark.parametrize("then", ["pass", "import not_installed"])
def test_the_garbage_collector_rests_while_tensorflow_is_loaded(then):
    subprocess.run([sys.executable, "-c", LOADS.format(then=then)], check=True)


def test_the_garbage_collector_works_as_ever_where_tensorflow_is_loaded_already():
    frozen = gc.get_freeze_count()
    with loading():
        assert gc.isenabled()
    assert gc.get_freeze_count() == frozen
