"""The arrays that an evaluation leaves for the report: `report/evaluation.npz` in the run's directory."""

import os

import numpy as np

from experiments.command_line import RunFailed
from experiments.run_directory import RunDirectory

_NAME = "evaluation.npz"


def write_arrays(directory: RunDirectory, arrays: dict[str, np.ndarray]) -> None:
    """Writes arrays of numbers, bools or strings; the file appears whole or not at all.

    Raises:
      RunFailed: The file cannot be written.
    """
    path = directory.report / _NAME
    temporary = directory.report / f".{os.getpid()}.{_NAME}"
    try:
        directory.report.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(temporary, allow_pickle=False, **arrays)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise RunFailed(f"{path} could not be written: {error}") from error


def read_arrays(directory: RunDirectory) -> dict[str, np.ndarray]:
    """Returns what `write_arrays` wrote; empty if the run was never evaluated."""
    path = directory.report / _NAME
    if not path.exists():
        return {}
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)
