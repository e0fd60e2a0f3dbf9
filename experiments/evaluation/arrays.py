"""The arrays that an evaluation leaves for the report: `report/evaluation.npz` in the run's directory."""

import numpy as np

from experiments.running.npz_file import write_npz
from experiments.running.run_directory import RunDirectory

_NAME = "evaluation.npz"


def write_arrays(directory: RunDirectory, arrays: dict[str, np.ndarray]) -> None:
    """Writes arrays of numbers, bools or strings; the file appears whole or not at all.

    Raises:
      RunFailed: The file cannot be written.
    """
    write_npz(directory.report / _NAME, arrays)


def read_arrays(directory: RunDirectory) -> dict[str, np.ndarray]:
    """Returns what `write_arrays` wrote; empty if the run was never evaluated."""
    path = directory.report / _NAME
    if not path.exists():
        return {}
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)
