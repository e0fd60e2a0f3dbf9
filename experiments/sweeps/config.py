"""The configuration of a sweep, and the points of its grid. gin reaches `sweep`, nothing else."""

import dataclasses
import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.evaluation.tasks import DOWNSTREAM_TASKS, OWN_TASKS
from experiments.running import gin_config
from experiments.running.command_line import BadInput

PROGRAMS = ("pretrain", "finetune", "evaluate", "report")
_SET_BY_SWEEP = {
    "pretrain": {"gin_file", "gin_bindings", "data_dir", "workdir"},
    "finetune": {"checkpoint", "data_dir", "workdir"},
    "evaluate": {"tasks", "data_dir", "workdir"},
    "report": {"data_dir", "workdir"},
}
"""Flags of each program that say what a point is and where; `sweep.flags` would come after them and win."""
SEED = "seed"
"""Name of the axis over which tables give means and deviations."""
_LONGEST_NAME = 200  # file systems take 255


@dataclasses.dataclass(frozen=True)
class Point:
    """One run of a sweep.

    Attributes:
      name: The name of its directory, such as `method=gr,seed=1`.
      labels: Axis to the label of its alternative.
      gin_files: What the run reads, later ones win.
      bindings: Win over files.
    """

    name: str
    labels: Mapping[str, str]
    gin_files: tuple[str, ...]
    bindings: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Sweep:
    """A grid of pre-training runs.

    Attributes:
      axes: What differs from run to run; the first axis varies slowest. Either a name and its alternatives,
        `{'method': {'gr': 'configs/methods/gr.gin', ...}}`, each a label and one or several gin files or bindings; or a
        binding and its values, `{'pretrain.seed': (1, 2, 3)}`, which is called by its last part, `seed`.
      gin_files: What all runs read before the files of their alternatives.
      bindings: Of all runs; they win over files, and those of the alternatives win over them.
      programs: What runs for each point, in this order, some of `PROGRAMS`. A fine-tuning starts from the point's run and goes
        to `kinetics400` in its directory, where the evaluation looks for it.
      tasks: What `experiments.evaluate` evaluates; by default what it does by itself.
      flags: More flags by program, such as `{'pretrain': ('--strategy=tpu',)}`; for a fine-tuning, its gin files. None that
        the sweep gives itself, as --workdir.
    """

    axes: Mapping[str, Mapping[str, str | Sequence[str]] | Sequence[Any]]
    gin_files: Sequence[str] = ()
    bindings: Sequence[str] = ()
    programs: Sequence[str] = ("pretrain", "evaluate", "report")
    tasks: Sequence[str] = ()
    flags: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.programs or list(self.programs) != [name for name in PROGRAMS if name in self.programs]:
            raise ValueError(
                f"`sweep.programs` should be some of {', '.join(PROGRAMS)}, in this order. Found {self.programs}."
            )
        if unknown := sorted(set(self.flags) - set(self.programs)):
            raise ValueError(
                f"`sweep.flags` should be flags of the sweep's programs, {', '.join(self.programs)}. Found {', '.join(unknown)}."
            )
        for program, flags in self.flags.items():
            _check_flags(program, flags)
        tasks = (*OWN_TASKS, *DOWNSTREAM_TASKS)
        if unknown := sorted(set(self.tasks) - set(tasks)):
            raise ValueError(f"`sweep.tasks` should be some of {', '.join(tasks)}. Found {', '.join(unknown)}.")
        if not self.axes:
            raise ValueError("`sweep.axes` should have at least one axis. Found none.")
        self.points()  # what cannot be a grid is found here

    def named_axes(self) -> dict[str, dict[str, tuple[str, ...]]]:
        """Returns for each axis its alternatives: label to gin files and bindings.

        Raises:
          ValueError: An axis is empty, has alternatives that cannot be used, or the name of another one.
        """
        axes = {}
        for given, alternatives in self.axes.items():
            name, found = _alternatives(given, alternatives)
            if name in axes:
                raise ValueError(
                    f"`sweep.axes` should have different names. Found two axes called {name!r}; give one another name."
                )
            axes[name] = found
        return axes

    def points(self) -> list[Point]:
        """Returns the grid's points.

        Raises:
          ValueError: Two of them would write into the same directory, or a directory's name would be too long.
        """
        axes, points = self.named_axes(), {}
        for combination in itertools.product(*(axis.items() for axis in axes.values())):
            labels = {axis: label for axis, (label, _) in zip(axes, combination, strict=True)}
            settings = [setting for _, found in combination for setting in found]
            files = [setting for setting in settings if _is_file(setting)]
            bindings = [setting for setting in settings if not _is_file(setting)]
            point = Point(_directory_name(labels), labels, (*self.gin_files, *files), (*self.bindings, *bindings))
            same = points.setdefault(point.name.casefold(), point)  # some file systems tell no `A` from `a`
            if same is not point:
                raise ValueError(
                    f"two points of the sweep would write into {point.name}: {same.labels} and {labels}. "
                    "Give their alternatives labels that differ in letters, digits, `.`, `_`, `+` or `-`."
                )
        return list(points.values())


def parse(gin_files: Sequence[str], bindings: Sequence[str]) -> Sweep:
    """Reads gin files, then bindings, and returns the sweep they describe.

    Raises:
      BadInput: A file is missing, a name is misspelt, a value has the wrong type, or the grid cannot be laid out.
    """
    if not gin_files:
        raise BadInput("--gin_file is needed; see --help for an example.")
    return gin_config.parse("sweep", {"sweep": Sweep}, gin_files, bindings)


def _check_flags(program, flags):
    if isinstance(flags, str):
        raise ValueError(f"`sweep.flags` should have a list of flags for {program}. Found {flags!r}.")
    names = {text.lstrip("-").partition("=")[0] for text in flags if text.startswith("-")}
    if taken := sorted(names & {*_SET_BY_SWEEP[program], "flagfile"}):
        raise ValueError(
            f"`sweep.flags` should leave --{taken[0]} of {program} to the sweep, which says what its points are and where."
        )


def _alternatives(axis, alternatives):
    if not alternatives or isinstance(alternatives, str):
        raise ValueError(f"the axis {axis!r} of `sweep.axes` should have alternatives. Found {alternatives!r}.")
    if isinstance(alternatives, Mapping):
        return axis, {label: _settings(axis, label, found) for label, found in alternatives.items()}
    if "." not in axis:
        raise ValueError(
            f"the axis {axis!r} of `sweep.axes` should map labels to gin files or bindings, or have the name of the binding "
            f"that takes the values, such as 'pretrain.seed'. Found {alternatives!r}."
        )
    found = {str(value): (f"{axis} = {value!r}",) for value in alternatives}
    if len(found) < len(alternatives):
        raise ValueError(
            f"two points of the sweep would be the same: the axis {axis!r} has a value twice in {alternatives!r}."
        )
    return axis.rpartition(".")[2], found


def _settings(axis, label, found):
    settings = (found,) if isinstance(found, str) else tuple(found)
    wrong = [setting for setting in settings if not _is_file(setting) and "=" not in setting]
    if wrong:
        raise ValueError(
            f"the alternative {label!r} of the axis {axis!r} should consist of gin files, `*.gin`, and bindings, "
            f"`name = value`. Found {wrong[0]!r}."
        )
    return settings


def _is_file(setting):
    return setting.endswith(".gin") and "=" not in setting


def _directory_name(labels):
    name = ",".join(f"{_safe(axis)}={_safe(label)}" for axis, label in labels.items())
    if len(name) > _LONGEST_NAME:
        raise ValueError(
            f"the name of a point's directory should have at most {_LONGEST_NAME} characters. Found {name!r}; give the "
            "alternatives of `sweep.axes` shorter labels."
        )
    return name


def _safe(text):
    """Returns `text` in characters that no file system, shell or glob pattern reads in a way of its own."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", text)
