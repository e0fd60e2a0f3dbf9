"""The programs in the README and in docs/ run as they stand, with the Keras that a user gets who only installs and copies."""

import ast
import os
import pathlib
import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.every_python
ROOT = pathlib.Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NEEDS_MORE = ("vatt.load(", "compute_losses(")  # a run directory; a model and batches of the reader's own
# One process for all pages, since TensorFlow takes seconds to load; the blocks of a page build on each other.
RUN_PAGES = """
import pathlib, sys
for name in sys.argv[1:]:
    exec(compile(pathlib.Path(name).read_text(), name, "exec"), {"__name__": "__main__"})
    print("ran", name)
"""


def _blocks(page: pathlib.Path) -> list[str]:
    return [block.split("```")[0] for block in page.read_text(encoding="utf-8").split("```python\n")[1:]]


def _self_contained(page: pathlib.Path) -> list[str]:
    return [block for block in _blocks(page) if not any(mark in block for mark in NEEDS_MORE)]


def _commands() -> list[str]:
    """The indented lines of all pages, continued ones joined, and what their sentences have as code."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES).replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    spans = re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return lines + [" ".join(span.split()) for span in spans]


def _targets() -> set[str]:
    return set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


def test_every_block_is_python_and_known():
    readme = _blocks(ROOT / "README.md")
    for page in PAGES:
        for block in _blocks(page):
            ast.parse(block)
    assert len(_self_contained(ROOT / "README.md")) == len(readme) - len(NEEDS_MORE) >= 1


def test_the_self_contained_blocks_run(tmp_path):
    programs = {page.name: "\n".join(blocks) for page in PAGES if (blocks := _self_contained(page))}
    assert {"README.md", "harmonization.md"} <= set(programs)
    for name, program in programs.items():
        (tmp_path / name).write_text(program, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    command = [sys.executable, "-c", RUN_PAGES, *programs]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    printed = re.split(r"^ran .*\n", done.stdout, flags=re.MULTILINE)[:-1]
    assert len(printed) == len(programs) and all(printed)


def test_make_targets_in_commands_exist():
    named = {match[1] for match in (re.match(r"make ([\w-]+)", command) for command in _commands()) if match}
    assert {"demo", "test"} <= named <= _targets()
