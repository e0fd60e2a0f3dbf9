"""The installed package `vatt_harmonization`: `from vatt_harmonization import data, harmonization, vatt`.

The packages import each other as `vatt`, `harmonization`, `data` and `experiments`. These are common names, which others
have, too; here they are loaded from one place whatever the current directory holds. Kept small: an installed copy is
imported whenever Python starts.
"""

import importlib
import os
import sys
from importlib.machinery import ModuleSpec, PathFinder

PACKAGES = ("vatt", "harmonization", "data", "experiments")
_HERE = os.path.dirname(os.path.realpath(__file__))
_WHEEL = os.path.join(_HERE, "packages")
ROOT = _WHEEL if os.path.isdir(_WHEEL) else os.path.dirname(os.path.dirname(_HERE))
"""Where the packages and `configs` are: in a wheel a folder of `vatt_harmonization`, otherwise above `experiments`."""


def __getattr__(name: str):
    if name not in PACKAGES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return load(name)


def load(name: str):
    """Returns one of `PACKAGES`, imported under its own name.

    Raises:
      ImportError: The process has loaded another module of that name.
    """
    sys.path.insert(0, ROOT)
    try:
        module = importlib.import_module(name)
    finally:
        sys.path.remove(ROOT)
    _require_own(name)
    return module


def put_first() -> None:
    """Makes this process, and those it spawns, find `PACKAGES` here before anywhere else.

    Raises:
      ImportError: The process has loaded another module of one of these names.
    """
    sys.path.insert(0, ROOT)
    for name in sys.modules.keys() & set(PACKAGES):
        _require_own(name)


def _require_own(name):
    module = sys.modules[name]
    place = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", [])), "a module without a file")
    if not os.path.realpath(place).startswith(os.path.join(ROOT, name) + os.sep):
        raise ImportError(
            f"`{name}` should be vatt-harmonization's. Found {place}, which this process loaded earlier. Rename it, or "
            "do not import it in this process."
        )


class _LastFinder:
    """Finds `PACKAGES` where nothing else has their names, not even a folder without `__init__.py`."""

    @staticmethod
    def find_spec(name: str, path=None, target=None) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [ROOT]) if name in PACKAGES else None


def find_last() -> None:
    """Lets `import data` and `python -m experiments.NAME` find `PACKAGES` where nothing else has these names."""
    sys.meta_path.append(_LastFinder)


def main() -> int:
    """Runs the console script `vatt-harmonization`; returns the exit code."""
    put_first()
    return importlib.import_module("experiments.running.programs").main()  # late: this process has to find it first
