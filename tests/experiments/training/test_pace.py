"""The memory that a run says it needs is its own."""

import subprocess
import sys

SAY_PEAK = "from experiments.training.pace import peak_memory_gib; print(peak_memory_gib())"


def test_the_peak_is_not_that_of_the_program_that_started_it():
    ballast = b"1" * (3 * 2**30)  # more than TensorFlow's import takes
    said = subprocess.run([sys.executable, "-c", SAY_PEAK], capture_output=True, text=True, check=True).stdout
    assert 0.1 < float(said) < len(ballast) / 2**30 - 1.5
