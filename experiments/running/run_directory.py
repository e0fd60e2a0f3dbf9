"""The files of a run.

config.gin, model.json, environment.json, data.json, vocabulary.txt and its hash, checkpoints/, metrics.jsonl, TensorBoard
events, result.json, report/. Runs of classifiers and fine-tunings also have best/, the weights that did best on validation.
"""

import contextlib
import hashlib
import importlib.metadata
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys

import gin
import tensorflow as tf

from experiments.running import run_lock
from experiments.running.command_line import BadInput, RunFailed
from experiments.running.gin_config import RUN_PROGRAMS
from experiments.running.gin_statements import require_statements
from experiments.running.own_files import content_of, read_json, read_text
from experiments.running.whole_file import whole_file

# These change how a run is watched and saved, not what it computes.
_HARMLESS = ("checkpoint_every_steps", "keep_checkpoints", "steps_per_loop")
HARMLESS_BINDINGS = tuple(f"{program}.{name}" for program in RUN_PROGRAMS for name in _HARMLESS)
CHANGED_DEFAULTS = ("warmup_steps",)
# What runs of versions that lacked these did.
BEFORE = {
    "pretrain.measure_gradients_every": "1",
    "pretrain.gram": "'exact'",
    "pretrain.clips_per_pass": "None",
    "pretrain.gradient_parts": "None",
    "pretrain.augment_on": "'host'",
    "pretrain.clip_weights": "None",
    "finetune.augment_on": "'host'",
    "classify.augment_on": "None",
    "SimilarityGate.clip_slots": "0",
}
PACKAGES = ("tensorflow", "tf_keras", "tf-models-official", "tensorflow-text", "tensorflow-datasets", "numpy", "av")


class RunDirectory:
    """Names and writes the files of one run. Every file appears whole or not at all.

    Args:
      path: The run's directory; made when the first file is written.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = pathlib.Path(path)
        self.config = self.path / "config.gin"
        self.checkpoints = self.path / "checkpoints"
        self.best = self.path / "best"
        self.metrics = self.path / "metrics.jsonl"
        self.result = self.path / "result.json"
        self.report = self.path / "report"
        self.vocabulary = self.path / "vocabulary.txt"
        self.vocabulary_hash = self.path / "vocabulary.sha256"
        self.data = self.path / "data.json"
        self.model = self.path / "model.json"

    def of_worker(self, index: int) -> "RunDirectory":
        """Returns where one of several workers writes: the first one here, the others in workers/, so that none collide."""
        return self if index == 0 else RunDirectory(self.path / "workers" / str(index))

    def require_place_for_report(self) -> None:
        """Raises `BadInput` if the report cannot be written into its folder; found out before the work."""
        if os.path.lexists(self.report) and not self.report.is_dir():
            raise BadInput(f"{self.report} should be a folder. Found a file; move it elsewhere.")

    def only_writer(self, work: str) -> contextlib.AbstractContextManager[None]:
        """Holds a lock while a program does one kind of work here, such as "training"; see `run_lock.only_writer`."""
        return run_lock.only_writer(self.path, work)

    def write(self, path: pathlib.Path, text: str) -> None:
        """Writes `text` to a file of this directory through a temporary name."""
        self.write_bytes(path, text.encode("utf-8"))

    def write_bytes(self, path: pathlib.Path, content: bytes) -> None:
        """Writes bytes in the same way."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as temporary:
                temporary.write_bytes(content)
        except OSError as error:
            raise RunFailed(f"{path} could not be written: {error}") from error

    def start(self, config: str, data: dict, vocabulary: pathlib.Path | None, allow_config_change: bool) -> None:
        """Writes configuration, environment, vocabulary and what the data are, unless another run lives here.

        From then on a run lives here. So a program calls this last of all that can be refused; see `check`.

        Args:
          config: The operative configuration.
          data: Describes the data sets; equal descriptions mean equal data.
          vocabulary: File to copy; `None` for a run without text.
          allow_config_change: Resume whatever configuration the run here had.

        Raises:
          BadInput: As `check`.
        """
        self.check(config, data, allow_config_change)
        self.write(self.config, config)
        self.write(self.data, json.dumps(data, indent=2) + "\n")
        self.write(self.path / "environment.json", json.dumps(environment(), indent=2) + "\n")
        if vocabulary is not None and not self.vocabulary.exists():
            self.write_vocabulary(vocabulary.read_text(encoding="utf-8"))

    def check(self, config: str, data: dict, allow_config_change: bool) -> None:
        """Checks that no other run lives here; writes nothing. See `start` for the arguments.

        Raises:
          BadInput: The directory holds a run whose configuration or data differ in a way that changes what is computed, or a
            folder where a file of the run will be written.
        """
        for path in (self.model, self.result):  # found out now, and not when the training has ended
            if path.is_dir():
                raise BadInput(f"{path} should be a file. Found a folder; move it elsewhere.")
        self.read_metrics()
        difference = [] if allow_config_change else self.difference(config, data)
        if difference:
            raise BadInput(
                f"{self.path} holds a run with another configuration:\n" + "\n".join(difference) + "\n"
                "Use another --workdir, or the configuration of that run (its config.gin), or, if you are sure that the "
                "checkpoint fits, --allow_config_change."
            )

    def read_config(self) -> str:
        """Returns the text of config.gin; raises `BadInput` if it is not in gin's language."""
        text = read_text(self.config)
        with content_of(self.config):
            require_statements(text, self.config.name)
        return text

    def write_vocabulary(self, words: str) -> None:
        """Writes vocabulary.txt; before it, so that no other one can take its place unnoticed, its hash."""
        self.write(self.vocabulary_hash, f"{_hash(words)}  {self.vocabulary.name}\n")
        self.write(self.vocabulary, words)

    def require_vocabulary(self, path: pathlib.Path) -> None:
        """Checks that a vocabulary is the one that the run here was started with; runs of earlier versions kept no hash.

        Raises:
          BadInput: It is another one.
        """
        if not os.path.lexists(self.vocabulary_hash):
            return
        if read_text(self.vocabulary_hash).split()[:1] != [_hash(read_text(path))]:
            raise BadInput(
                f"{path} should be the vocabulary that this run was started with, to which the model's word vectors belong. "
                f"Its hash is not the one in {self.vocabulary_hash}. Put the run's own vocabulary into {self.vocabulary}."
            )

    def write_model(self, config: dict) -> None:
        """Writes model.json, from which `vatt.load` builds the model: the constructor's arguments."""
        self.write(self.model, json.dumps(config, indent=2) + "\n")

    def difference(self, config: str, data: dict | None) -> list[str]:
        """Returns the differences between the run in this directory and another one, as lines to show; empty without a run.

        Args:
          config: The operative configuration of the other one.
          data: Describes its data sets; `None` to leave the data out.
        """
        lines = config_difference(self.read_config(), config) if os.path.lexists(self.config) else []
        before = read_json(self.data) if os.path.lexists(self.data) else data
        if data is not None and before != data:
            lines.append(f"  data: {json.dumps(before)} there, {json.dumps(data)} now")
        return lines

    def earlier_defaults(self, program: str) -> list[str]:
        """Returns bindings with the run's own values of parameters whose default was another in an earlier version.

        They come before any others, so that the command that started the run resumes it.

        Args:
          program: Name of the program's configurable.
        """
        if not os.path.lexists(self.config):
            return []
        names = [f"{program}.{name}" for name in CHANGED_DEFAULTS]
        values = bindings(self.read_config())
        kept = [f"{name} = {values[name]}" for name in names if values.get(name, "").isdigit()]
        return kept + [
            f"{name} = {value}"
            for name, value in BEFORE.items()
            if name.startswith(f"{program}.") and name not in values
        ]

    def append_metrics(self, record: dict) -> None:
        """Adds one line to metrics.jsonl."""
        try:
            with self.metrics.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
        except OSError as error:
            raise RunFailed(f"{self.metrics} could not be written: {error}") from error

    def read_metrics(self) -> list[dict]:
        """Returns the lines of metrics.jsonl; a last line that a kill left incomplete is ignored.

        Raises:
          BadInput: Another line is damaged.
        """
        if not os.path.lexists(self.metrics):
            return []
        *whole, unfinished = read_text(self.metrics).split("\n")
        with content_of(self.metrics):
            records = [json.loads(line) for line in whole]
            with contextlib.suppress(ValueError):
                records.append(json.loads(unfinished))
            if wrong := [record for record in records if type(record["step"]) is not int]:
                raise TypeError(f"`step` is {wrong[0]['step']!r}")
        return records

    def require_no_checkpointed_metrics(self, checkpoint_every_steps: int) -> None:
        """Checks that a run that starts at step 0 does not forget one whose checkpoints were lost.

        Args:
          checkpoint_every_steps: By the first line at this step or a later one, a checkpoint is due.

        Raises:
          RunFailed: There are lines that were written after a first checkpoint.
        """
        late = [record["step"] for record in self.read_metrics() if record["step"] >= checkpoint_every_steps]
        if len(late) > 1:
            raise RunFailed(
                f"{self.metrics} tells of {late[-1]} steps, but {self.checkpoints} holds no checkpoint to resume from. "
                f"Put the checkpoints back; or use another --workdir, or remove {self.metrics}, to start over."
            )

    def drop_metrics_after(self, step: int) -> None:
        """Forgets lines of steps that the restored checkpoint has not seen and that will be run again."""
        if self.metrics.exists():
            kept = [record for record in self.read_metrics() if record["step"] <= step]
            self.write(self.metrics, "".join(json.dumps(record) + "\n" for record in kept))


def _hash(text: str) -> str:
    same_ends = text.replace("\r\n", "\n").replace("\r", "\n")  # as reading a text file makes them
    return hashlib.sha256(same_ends.encode("utf-8")).hexdigest()


def config_difference(before: str, after: str) -> list[str]:
    """Returns the bindings in which two operative configurations differ, without the harmless ones, as lines to show."""
    old, new = bindings(before), bindings(after)
    old = {name: value for name, value in BEFORE.items() if name in new} | old
    return [
        f"  {name}: {old.get(name, '(not set)')} there, {new.get(name, '(not set)')} now"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name) and name not in HARMLESS_BINDINGS
    ]


def bindings(config: str) -> dict[str, str]:
    """Splits an operative configuration into names and values, as text; a value that takes several lines is joined."""
    found, name = {}, None
    for line in config.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if not line[0].isspace() and " = " in line:
            name, _, value = line.partition(" = ")
            found[name] = value.strip(" \\")
        elif name:
            found[name] = f"{found[name]} {line.strip()}".strip()
    return found


def operative_config() -> str:
    """Returns what gin's configurables were called with, defaults included."""
    return gin.operative_config_str()


def environment() -> dict:
    """Returns what a run depends on apart from its configuration: versions, devices, commit, command."""
    # An installed copy may lie in the repository of another project, which has a commit, too.
    tracked = _git("ls-files", __file__) is not None
    return {
        "command": [sys.executable, *sys.argv],
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "devices": [device.name for device in tf.config.list_logical_devices()],
        "commit": _git("rev-parse", "HEAD") if tracked else None,
        "uncommitted_changes": tracked and bool(_git("status", "--porcelain")),
    }


def _git(*arguments):
    if not shutil.which("git"):
        return None
    root = pathlib.Path(__file__).parent
    answer = subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or None
