"""A sample of the tries of tests/faults: damaged files and wrong gin files. All of them take an hour; see CONTRIBUTING.md."""

import pathlib
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

FAULTS = pathlib.Path(__file__).parents[1] / "faults"


def test_no_fault_is_found_in_a_sample():
    command = [sys.executable, FAULTS / "tries.py", "--quick"]
    program = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert program.returncode == 0 and "12 tries" in program.stdout, program.stdout + program.stderr
