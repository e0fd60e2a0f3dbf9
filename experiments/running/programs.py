"""The programs by name: what `vatt-harmonization NAME` runs is what `python -m experiments.NAME` does."""

import ast
import difflib
import pathlib
import re
import runpy
import sys
from collections.abc import Sequence

_EXPERIMENTS = pathlib.Path(__file__).parents[1]
_STARTS_AS_PROGRAM = re.compile(r"^if __name__ == .__main__.:", re.MULTILINE)
_USAGE = """\
Usage: vatt-harmonization PROGRAM [--flags], or python -m experiments.PROGRAM [--flags]
PROGRAM --help explains a program and lists its flags.
"""
_CONFIGURATIONS = (
    "Configurations for --gin_file (a file in the current directory takes precedence over one of the same name here):"
)


def main() -> int:
    """Runs the program that the command line's first word names, on the other words; returns the exit code."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in ("--help", "-h", "help"):
        print(overview())
        return 0
    if not _is_program(_path(name)):
        nearest = difflib.get_close_matches(name, _programs(), n=1)
        suggestion = f" Did you mean {nearest[0]}?" if nearest else ""
        print(f"error: no program is called {name}.{suggestion} vatt-harmonization --help lists them.", file=sys.stderr)
        return 2
    del sys.argv[1]
    runpy.run_module(f"experiments.{name}", run_name="__main__", alter_sys=True)
    return 0


def found_anywhere(command: Sequence[str]) -> list[str]:
    """Returns a command that does the same as `command`, also where the current directory has an `experiments` of its own.

    Args:
      command: Words of a command line; only `PYTHON -m experiments.NAME ...` is changed.
    """
    python, *rest = command
    if len(rest) < 2 or rest[0] != "-m" or not rest[1].startswith("experiments."):
        return list(command)
    return [python, str(_EXPERIMENTS / "__main__.py"), rest[1].removeprefix("experiments."), *rest[2:]]


def overview() -> str:
    """Returns the programs, a line each, and the gin files that come with them; no program is imported."""
    programs = {name: ast.get_docstring(ast.parse(_path(name).read_text("utf-8"))) for name in _programs()}
    root = _EXPERIMENTS.parent
    configurations = {
        path.relative_to(root).as_posix(): _purpose(path) for path in sorted((root / "configs").rglob("*.gin"))
    }
    return "\n".join([_USAGE, "Programs:", *_lines(programs), "", _CONFIGURATIONS, *_lines(configurations)])


def _programs() -> list[str]:
    """Returns the names of what people run; a study's parts, which it starts itself, are not among them."""
    found = [*sorted(_EXPERIMENTS.glob("*.py")), *sorted(_EXPERIMENTS.glob("benchmarks/*.py"))]
    return [".".join(path.relative_to(_EXPERIMENTS).with_suffix("").parts) for path in found if _is_program(path)]


def _path(name):
    return _EXPERIMENTS.joinpath(*name.split(".")).with_suffix(".py")


def _is_program(path):
    return path.is_file() and _STARTS_AS_PROGRAM.search(path.read_text("utf-8")) is not None


def _purpose(path):
    """Returns the first sentence of a gin file's header."""
    purpose = path.read_text("utf-8").partition("\n# Command:")[0].removeprefix("# Purpose:")
    return " ".join(purpose.replace("\n#", " ").split()).partition(". ")[0].removesuffix(".")


def _lines(texts):
    width = max(map(len, texts))
    return [f"  {name:{width}}  {text.partition(chr(10))[0]}" for name, text in texts.items()]
