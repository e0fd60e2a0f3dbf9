"""Writes arrays to a file that appears whole or not at all."""

import pathlib
import zipfile
from collections.abc import Mapping

import numpy as np

from experiments.running.command_line import RunFailed
from experiments.running.whole_file import whole_file


def write_npz(path: pathlib.Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays of numbers, bools or strings, for `np.load(path, allow_pickle=False)`; makes the directory.

    Raises:
      RunFailed: The file cannot be written.
      ValueError: An array holds Python objects, which would need pickle.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as temporary:
            _write(temporary, arrays)
    except OSError as error:
        raise RunFailed(f"{path} could not be written: {error}") from error


def _write(path: pathlib.Path, arrays: Mapping[str, np.ndarray]) -> None:
    # What `np.savez_compressed` does; but that allows no array the name `file`.
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(values), allow_pickle=False)
