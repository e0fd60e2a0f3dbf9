"""The programs in the README run as they stand, with the Keras that a user gets who only installs and copies."""

import ast
import os
import pathlib
import subprocess
import sys

import pytest

pytestmark = pytest.mark.every_python

ROOT = pathlib.Path(__file__).parent.parent
NEEDS_MORE = ("vatt.load(", "compute_losses(")  # a run directory; a model and batches of the reader's own


def _blocks():
    return [block.split("```")[0] for block in (ROOT / "README.md").read_text().split("```python\n")[1:]]


SELF_CONTAINED = [block for block in _blocks() if not any(mark in block for mark in NEEDS_MORE)]


def test_every_block_is_python_and_known():
    blocks = _blocks()
    for block in blocks:
        ast.parse(block)
    assert SELF_CONTAINED and len(SELF_CONTAINED) == len(blocks) - len(NEEDS_MORE)


@pytest.mark.parametrize("block", SELF_CONTAINED, ids=lambda block: f"block_{SELF_CONTAINED.index(block)}")
def test_a_self_contained_block_runs(block, tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    program = subprocess.run(
        [sys.executable, "-c", block], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert program.returncode == 0, program.stderr[-3000:]
    assert program.stdout
