"""`--help` of every program answers at once, with an example."""

import pathlib
import subprocess
import sys

import pytest

pytestmark = pytest.mark.every_python

ROOT = pathlib.Path(__file__).parents[2]
PROGRAMS = sorted(
    str(path.relative_to(ROOT).with_suffix("")).replace("/", ".")
    for path in (ROOT / "experiments").rglob("*.py")
    if 'if __name__ == "__main__":' in path.read_text()
)
# Runs a program as `python -m` does, then says whether TensorFlow, which takes seconds, was loaded.
RUN = """
import runpy, sys
program = sys.argv.pop(1)
try:
    runpy.run_module(program, run_name="__main__", alter_sys=True)
finally:
    print("TensorFlow loaded:", "tensorflow" in sys.modules)
"""


def test_there_are_programs():
    assert len(PROGRAMS) > 20 and "experiments.pretrain" in PROGRAMS


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_shows_an_example_and_does_not_wait_for_tensorflow(program):
    answer = subprocess.run([sys.executable, "-c", RUN, program, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    assert f"python -m {program}" in answer.stdout and "--" in answer.stdout
    assert answer.stdout.endswith("TensorFlow loaded: False\n") and not answer.stderr
