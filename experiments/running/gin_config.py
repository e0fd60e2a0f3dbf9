"""How gin files fill a program's configuration.

gin reaches the program's own configuration and the public constructors given to `parse`, nothing else: no file can import
a module, and that of a run directory cannot include another file.
"""

import difflib
import functools
import inspect
import os
import pathlib
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import IO

import gin
import typeguard

import harmonization
import vatt
from experiments.running.command_line import BadInput
from experiments.running.gin_statements import GinReader
from experiments.running.own_files import read_text

ROOT = pathlib.Path(__file__).parents[2]
"""Has the folder `configs`, in a checkout and where the package is installed."""
RUN_PROGRAMS = ("pretrain", "classify", "finetune")
"""The programs that make runs, and what each run's config.gin calls its configurable."""
SCHEDULES = (harmonization.LinearSchedule, harmonization.CosineSchedule, harmonization.StepSchedule)
HARMONIZERS = {cls.__name__: cls for cls in (*harmonization.METHODS.values(), *SCHEDULES)}
"""What every program that harmonizes gradients lets gin reach."""
_GREATEST_SEED, _GREATEST_INT = 2**32 - 1, 2**31 - 1
_LEAST_FLOAT, _GREATEST_FLOAT = 2.0**-126, 3.4e38
MODELS = {"VATT": vatt.VATT, "Tower": vatt.Tower, "Size": vatt.Size}
"""What every program that builds a model lets gin reach."""


def parse(
    program: str,
    constructors: Mapping[str, Callable],
    gin_files: Sequence[str],
    bindings: Sequence[str],
    earlier: Sequence[str] = (),
) -> typing.Any:
    """Reads gin files, then bindings, and returns what the program's configurable makes of them.

    Args:
      program: Name of the configurable that is called.
      constructors: Names to what gin may call, the program's among them.
      gin_files: Files that the user names; later ones win. They may include others.
      bindings: Bindings; they win over files.
      earlier: Bindings over which files win.

    Raises:
      BadInput: A file is missing, a name is misspelt, a value has the wrong type or range.
    """
    return _parse(program, constructors, gin_files, bindings, earlier)


def parse_run(program: str, constructors: Mapping[str, Callable], config: str | os.PathLike) -> typing.Any:
    """Reads the configuration that a run directory holds, and returns what the program's configurable makes of it.

    Args:
      program: As in `parse`.
      constructors: As in `parse`.
      config: The run's config.gin, one file, which includes no other.

    Raises:
      BadInput: The file is missing, is of another program's run, or is not what a run writes.
    """
    require_run_of(program, config)
    return _parse(program, constructors, [os.path.abspath(config)], includes=False)


def require_run_of(program: str, config: str | os.PathLike) -> None:
    """Raises `BadInput` if a run's config.gin is that of another program; gin would list names, of which none fits."""
    try:
        text = read_text(pathlib.Path(config))
    except BadInput:
        return  # reading it says so
    found = set(re.findall(r"^(\w+)\.\w+ =", text, re.MULTILINE)) & set(RUN_PROGRAMS)
    if found and program not in found:
        raise BadInput(
            f"{os.path.dirname(config)} should be a run of experiments.{program}. Found one of experiments.{found.pop()}, "
            "which cannot be used here."
        )


def _parse(program, constructors, gin_files, bindings=(), earlier=(), includes=True):
    what = "the configuration" if includes else f"the configuration {gin_files[0]}"
    gin.clear_config()
    register(constructors)
    reader = GinReader([_REGISTERED[name] for name in constructors], open_gin_file, includes)
    try:
        with gin.unlock_config():  # it would stay locked, and tf-models-official adds to it whenever it is imported
            reader.read_bindings(earlier)
            for path in gin_files:
                reader.read_file(os.fspath(path))
            reader.read_bindings(bindings)
            gin.finalize()
        return _REGISTERED[program]()
    except RecursionError as error:
        raise BadInput(f"{what} cannot be used: a value refers to itself, directly or through others.") from error
    except (ValueError, TypeError, OSError, SyntaxError) as error:
        raise BadInput(f"{what} cannot be used: {error}{_suggestion(str(error), constructors)}") from error


def open_gin_file(path: str) -> IO[str]:
    """Opens a gin file: one in the current directory, or else one that comes with this package, such as configs/demo.gin.

    Raises:
      FileNotFoundError: There is no such file; says where it was looked for.
    """
    for place in (path, ROOT / path):  # the same if `path` is absolute
        if os.path.isfile(place):
            return open(place, encoding="utf-8")
    where = (
        ""
        if os.path.isabs(path)
        else f" in the current directory, {os.getcwd()}, or among those of the package, {ROOT}"
    )
    raise FileNotFoundError(f"the gin file {path} should exist. Found none{where}.")


def register(constructors: Mapping[str, Callable]) -> None:
    """Makes constructors known to gin under their names; may be called again."""
    for name, constructor in constructors.items():
        if name not in _REGISTERED:
            wrapped = checked(constructor)
            wrapped.configurable_name = name
            _REGISTERED[name] = gin.external_configurable(wrapped, name=name)


_REGISTERED: dict[str, Callable] = {}


def checked(constructor: Callable) -> Callable:
    """Returns `constructor` with its arguments checked against their annotations; gin itself accepts any type."""
    hints = typing.get_type_hints(constructor.__init__ if inspect.isclass(constructor) else constructor)

    @functools.wraps(constructor, updated=())
    def build(*args, **kwargs):
        names = list(inspect.signature(constructor).parameters)
        for name, value in {**dict(zip(names, args, strict=False)), **kwargs}.items():
            if name in hints:
                _check_type(f"{build.configurable_name}.{name}", value, hints[name])
                check_numbers(f"{build.configurable_name}.{name}", value)
        return constructor(*args, **kwargs)

    build.__signature__ = inspect.signature(constructor)  # where gin finds the defaults that it lists in config.gin
    return build


def _check_type(name, value, expected):
    # bool is an int to Python, but `steps = True` is a mistake.
    wrong = isinstance(value, bool) and bool({expected, *typing.get_args(expected)} & {int, float})
    try:
        typeguard.check_type(value, expected)
    except typeguard.TypeCheckError:
        wrong = True
    if wrong:
        raise TypeError(
            f"`{name}` should be of type {_type_name(expected)}. Found {value!r} of type {type(value).__name__}. "
            "Correct it in the gin file or in --gin_bindings."
        )


def _type_name(hint):
    """`int | None` on every Python; 3.10 itself writes `typing.Optional[int]`."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " | ".join(map(_type_name, typing.get_args(hint)))
    if hint is types.NoneType:
        return "None"
    return hint.__name__ if inspect.isclass(hint) and not typing.get_args(hint) else str(hint)


def check_numbers(name: str, value: object) -> None:
    """Checks that TensorFlow can compute with the numbers in a value: whole ones in 32 bits, others as float32.

    Args:
      name: Of the parameter; seeds have a range of their own.
      value: Anything; numbers are looked for in lists and dictionaries, too.

    Raises:
      ValueError: It cannot.
    """
    if isinstance(value, Mapping):
        check_numbers(name, list(value.values()))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for part in value:
            check_numbers(name, part)
    elif isinstance(value, int) and name.rpartition(".")[2] in ("seed", "seeds"):
        if not 0 <= value <= _GREATEST_SEED:
            raise ValueError(f"`{name}` should be a whole number from 0 to 2^32 - 1. Found {value}.")
    elif isinstance(value, int) and abs(value) > _GREATEST_INT:
        raise ValueError(f"`{name}` should be at most 2^31 - 1 in size. Found {value}.")
    elif isinstance(value, float) and value and not _LEAST_FLOAT <= abs(value) <= _GREATEST_FLOAT:
        raise ValueError(f"`{name}` should be a finite number that float32 holds. Found {value}.")


def _suggestion(message: str, constructors: Mapping[str, Callable]) -> str:
    """Names the nearest known parameter or configurable where gin complains about an unknown one."""
    unknown = re.search(r"Configurable '(\w+)' doesn't have a parameter named '(\w+)'", message)
    if unknown and unknown[1] in constructors:
        known = inspect.signature(_REGISTERED[unknown[1]]).parameters
        word, prefix = unknown[2], f"{unknown[1]}."
    elif unknown := re.search(r"No configurable matching (?:reference )?'@?([\w.]+)'", message):
        known, word, prefix = constructors, unknown[1], ""
    else:
        return ""
    nearest = difflib.get_close_matches(word, known, n=1)
    return f"\nDid you mean `{prefix}{nearest[0]}`?" if nearest else f"\nKnown: {', '.join(known)}."
