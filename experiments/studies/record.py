"""The results of a study that are kept with its page, so that it resumes where the runs' directories are missing."""

import contextlib
import datetime
import fcntl
import json
import os
import pathlib
import platform
from collections.abc import Mapping, Sequence

from experiments.running.command_line import BadInput, RunFailed
from experiments.running.own_files import content_of, read_json_object, read_text
from experiments.running.run_directory import RunDirectory, config_difference, environment, operative_config
from experiments.studies.config import Point, Study
from experiments.studies.data import data_settings
from experiments.studies.directory import StudyDirectory
from experiments.studies.stored_point import checked_cost, checked_point


def settings_of(study: Study, variant: str) -> dict:
    """Returns what decides a variant's results, apart from the point, for `settings.json`.

    Raises:
      BadInput: The variant cannot be configured.
    """
    study.pretraining(variant)
    trained = {"only_aligned": study.is_oracle(variant)} | ({"two_pass": True} if study.has_two_passes(variant) else {})
    return {"config": operative_config(), "data": data_settings(study) | trained}


def origin() -> dict[str, str]:
    """Returns when, where and with which version a result is made."""
    found = environment()
    commit = f"{found['commit'] or 'unknown'}{' with uncommitted changes' if found['uncommitted_changes'] else ''}"
    return {"date": datetime.date.today().isoformat(), "processor": processor(), "commit": commit}


def processor() -> str:
    """Returns name and number of this machine's processors."""
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{os.cpu_count()} x {names[0] if names else platform.machine()}"


class Record:
    """A line per finished point in results.jsonl, the variants' settings in settings.json, the steps' times in cost.json.

    Args:
      path: Where they are; made when the first of them is written.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = pathlib.Path(path)
        self.results = self.path / "results.jsonl"
        self.settings = self.path / "settings.json"
        self.cost = self.path / "cost.json"

    def read(self) -> list[dict]:
        """Returns the results by point, the last one of each; a last line that a kill left incomplete is ignored.

        Raises:
          BadInput: Another line is damaged.
        """
        if not self.results.exists():
            return []
        *whole, unfinished = read_text(self.results).split("\n")
        with content_of(self.results):
            results = [checked_point(json.loads(line)) for line in whole]
            with contextlib.suppress(ValueError):
                results.append(checked_point(json.loads(unfinished)))
            return list({Point(**result["point"]): result for result in results}.values())

    def read_cost(self) -> dict[str, float] | None:
        """Returns the times of the steps by name; `None` if they have not been measured.

        Raises:
          BadInput: The file is damaged.
        """
        if not self.cost.exists():
            return None
        found = read_json_object(self.cost)
        with content_of(self.cost):
            return checked_cost(found)

    def append(self, result: dict) -> None:
        """Adds a finished point, whole or not at all; several processes may do so at once."""
        line = (json.dumps(result) + "\n").encode("utf-8")
        try:
            file = os.open(self.results, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                _append_whole(file, line)
            finally:
                os.close(file)
        except OSError as error:
            raise RunFailed(f"{self.results} could not be written: {error}") from error

    def keep(self, results: Sequence[dict]) -> None:
        """Writes results in their order, then those of other points that were there before."""
        new = {Point(**result["point"]): result for result in results}
        others = [result for result in self.read() if Point(**result["point"]) not in new]
        lines = [json.dumps(result) + "\n" for result in (*results, *others)]
        RunDirectory(self.path).write(self.results, "".join(lines))

    def keep_cost(self, directory: StudyDirectory) -> None:
        """Copies the times of the steps, if they have been measured."""
        if directory.cost.exists():
            RunDirectory(self.path).write(self.cost, read_text(directory.cost))

    def start(self, study: Study, settings: Mapping[str, dict], directory: StudyDirectory) -> int:
        """Takes over the points and times that the study's directory lacks, and writes down the settings.

        Args:
          study: The study.
          settings: What `settings_of` returns, by variant.
          directory: Of the runs.

        Returns:
          How many points have been taken over.

        Raises:
          BadInput: Points here were made with other settings than the study's.
        """
        before = self.checked_settings(settings)
        wanted = {point for variant in study.variants for point in study.points(variant)}
        missing = {Point(**result["point"]): result for result in self.read()}
        missing = {point: each for point, each in missing.items() if point in wanted and not directory.has_point(point)}
        if unknown := sorted({point.variant for point in missing} - before.keys()):
            raise BadInput(
                f"{self.results} holds points of {', '.join(unknown)}, but {self.settings} does not say how they were made. "
                "Use another --output_dir."
            )
        for point, result in missing.items():
            directory.write_point(point, result)
        if self.cost.exists() and not directory.cost.exists():
            RunDirectory(directory.cost.parent).write(directory.cost, read_text(self.cost))
        self.keep([])  # without a line that a kill left incomplete
        RunDirectory(self.path).write(self.settings, json.dumps({**before, **settings}, indent=1) + "\n")
        return len(missing)

    def checked_settings(self, settings: Mapping[str, dict]) -> dict[str, dict]:
        """Returns the settings of the points here by variant; raises `BadInput` if they differ from `settings`."""
        before = read_json_object(self.settings) if self.settings.exists() else {}
        for variant in settings.keys() & before.keys():
            with content_of(self.settings):
                lines = _difference(before[variant], settings[variant])
            if lines:
                raise BadInput(
                    f"{self.results} holds points of {variant} with other settings:\n" + "\n".join(lines) + "\n"
                    "Use another --output_dir, or the settings of those points."
                )
        return before


def _append_whole(file: int, line: bytes) -> None:
    with contextlib.suppress(OSError):  # a file system without locks
        fcntl.flock(file, fcntl.LOCK_EX)
    end = os.fstat(file).st_size
    if os.write(file, line) < len(line):
        os.ftruncate(file, end)
        raise OSError("no space is left")


def _difference(before: dict, now: dict) -> list[str]:
    lines = config_difference(before["config"], now["config"])
    names = [name for name in now["data"] if before["data"][name] != now["data"][name]]
    return lines + [f"  {name}: {before['data'][name]} there, {now['data'][name]} now" for name in names]
