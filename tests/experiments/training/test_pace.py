"""The memory that a run says it needs is its own."""

import subprocess
import sys

import pytest

from experiments.training.pace import Starvation

SAY_PEAK = "from experiments.training.pace import peak_memory_gib; print(peak_memory_gib())"


def test_the_peak_is_not_that_of_the_program_that_started_it():
    ballast = b"1" * (2 * 2**30)  # more than TensorFlow's import takes
    said = subprocess.run([sys.executable, "-c", SAY_PEAK], capture_output=True, text=True, check=True).stdout
    assert 0.1 < float(said) < len(ballast) / 2**30 - 0.5


@pytest.mark.parametrize(
    ("lines", "told_at"),
    [
        ([(20.0, 0.2)] * 5, 3),
        ([(1.0, 0.2)] * 9, None),  # too short to tell
        ([(20.0, 0.05)] * 9, None),
        ([(20.0, 0.3), (20.0, 0.3), (20.0, 0.1), (20.0, 0.3), (20.0, 0.3), (20.0, 0.12)], 6),
        ([(20.0, float("nan"))] * 4, None),
    ],
)
def test_only_a_wait_that_lasts_is_told(lines, told_at):
    starvation = Starvation()
    told = [number for number, line in enumerate(lines, 1) if starvation.is_lasting(*line)]
    assert told == ([told_at] if told_at else [])
