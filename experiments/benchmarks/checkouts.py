"""The training steps of checkouts, each in a process of its own, as calls that can take turns."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence

from experiments.benchmarks import step_worker
from experiments.running.command_line import BadInput

THIS = pathlib.Path(__file__).parents[2]
# As a file, since the other checkout's module of that name, if it has one, is another.
_RUN = "import runpy, sys; runpy.run_path(sys.argv[1])['main']()"


class Checkout:
    """The steps of a checkout; a context manager that ends its process.

    Args:
      root: The checkout's directory.
      files: gin files; of this checkout one in the current directory comes first, of an older one its own.
      bindings: Bindings that override them.
      ways: Names of steps and the further bindings of each.

    Attributes:
      steps: Names of the steps that can be taken.
      refused: Why the others cannot, by name.

    Raises:
      BadInput: The directory is no checkout, or its steps cannot be built.
    """

    def __init__(
        self, root: str | os.PathLike, files: Sequence[str], bindings: Sequence[str], ways: Mapping[str, list[str]]
    ):
        root = pathlib.Path(root).resolve()
        if not (root / "experiments" / "benchmarks" / "plain_step.py").exists():
            raise BadInput(f"`--against` should name a checkout of this project. Found none in {root}.")
        environment = {**os.environ, "PYTHONPATH": str(root), "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
        self._errors = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            [sys.executable, "-c", _RUN, step_worker.__file__], cwd=root, env=environment, text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=self._errors,
        )  # fmt: skip
        self.root = root
        request = {"files": [_found(root, file) for file in files], "bindings": list(bindings), "ways": dict(ways)}
        answer = json.loads(self._ask(json.dumps(request)))
        self.steps, self.refused = answer["steps"], answer["refused"]

    def __enter__(self) -> Checkout:
        return self

    def __exit__(self, *exception) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def step(self, name: str) -> Callable[[], list[float]]:
        """Returns what takes one step and returns its seconds, by the clock and of processor time."""

        def take() -> list[float]:
            return json.loads(self._ask(name))

        return take

    def _ask(self, line: str) -> str:
        try:
            print(line, file=self._process.stdin, flush=True)
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self._errors.seek(0)
            raise BadInput(f"The steps of {self.root} cannot be taken:\n{self._errors.read()[-2000:]}")
        return answer


def _found(root: pathlib.Path, file: str) -> str:
    """Names a file so that a process whose working directory is the checkout's root finds it."""
    own = root != THIS and (root / file).exists()
    return str(pathlib.Path(file).resolve()) if pathlib.Path(file).exists() and not own else file
