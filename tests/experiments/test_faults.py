"""A sample of the tries of tests/faults: damaged files, wrong gin files, a kill. All of them take minutes; see CONTRIBUTING.md."""

import pathlib
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

FAULTS = pathlib.Path(__file__).parents[1] / "faults"


@pytest.mark.parametrize(
    "script, arguments, says",
    [
        ("tries.py", ["--quick"], "30 tries"),
        ("kills.py", ["--programs=import_checkpoint", "--kills=1", "--disks=2"], "1 kills within"),
    ],
)
def test_no_fault_is_found_in_a_sample(script, arguments, says):
    program = subprocess.run([sys.executable, FAULTS / script, *arguments], capture_output=True, text=True, timeout=300)
    assert program.returncode == 0 and says in program.stdout, program.stdout + program.stderr
