"""The file that `experiments.embed` writes: told from other files, and read back for a search."""

import pathlib
import zipfile

import numpy as np

from experiments.running.command_line import BadInput
from experiments.running.own_files import content_of, read_npz

_KINDS = {"U": "text", "f": "numbers with a fraction", "b": "bools"}
_SEARCHED = {
    "file": ("U", ("clips",)),
    "start_seconds": ("f", ("clips",)),
    "end_seconds": ("f", ("clips",)),
    "has_video": ("b", ("clips",)),
    "video_text_video": ("f", ("clips", "dim")),
    "checkpoint": ("U", ()),
    "checkpoint_fingerprint": ("U", ()),
}
"""What a search needs, and of each the kind of its dtype and the names of its axes."""


def is_features_file(path: pathlib.Path) -> bool:
    """Tells by the names in it whether the program wrote a file; reads no array, of which there may be gigabytes."""
    with content_of(path), zipfile.ZipFile(path) as archive:
        return {"checkpoint.npy", "checkpoint_fingerprint.npy"} <= set(archive.namelist())


def read_features(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Returns the arrays of a file that has all that a search needs.

    Raises:
      BadInput: It cannot be read, lacks an array, or one is not what the program writes: of another kind or shape, not finite.
    """
    try:
        arrays = read_npz(path)
        if missing := sorted(_SEARCHED.keys() - arrays.keys()):
            raise BadInput(f"{path} lacks {missing}, which an output with videos has.")
        with content_of(path):
            _require_layout(arrays)
    except BadInput as error:
        raise BadInput(f"--features should be an --output of this program. {error}") from error
    return arrays


def require_width(path: pathlib.Path, arrays: dict[str, np.ndarray], width: int) -> None:
    """Raises `BadInput` unless the videos' embeddings have as many numbers as those of the model's sentences."""
    found = arrays["video_text_video"].shape[1]
    with content_of(path):
        if found != width:
            raise ValueError(f"`video_text_video` has {found} numbers a clip, the model of `checkpoint` makes {width}")


def _require_layout(arrays):
    sizes = {}
    for name, (kind, axes) in _SEARCHED.items():
        values = arrays[name]
        expected = [sizes.get(axis, axis) for axis in axes]
        if values.dtype.kind != kind or values.ndim != len(axes):
            raise ValueError(f"`{name}` should be {_KINDS[kind]} {expected}, found {values.dtype} {list(values.shape)}")
        for axis, size in zip(axes, values.shape, strict=True):
            if sizes.setdefault(axis, size) != size:
                raise ValueError(f"`{name}` should have the shape {expected}, found {list(values.shape)}")
        if kind == "f" and not np.isfinite(values).all():
            raise ValueError(f"`{name}` has numbers that are not finite")
