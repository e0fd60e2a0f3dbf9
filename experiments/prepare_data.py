"""Prepares a data set: media files become records, vocabularies and a report.

Examples:
  python -m experiments.prepare_data --dataset=synthetic --data_dir=data_dir
  python -m experiments.prepare_data --dataset=folder --source_dir=videos --data_dir=data_dir

The result is in <data_dir>/<dataset>/default/<version>/; prepare_report.json there counts what was
found, what is missing and which files were skipped, and why. A run that was stopped is started
again with the same command; finished data are left alone.

Exit codes: 0 done, 1 nothing usable or too many bad files, 2 bad input or configuration.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from typing import Any

from absl import flags, logging

from experiments.command_line import BadInput, RunFailed, run

_DATASET = flags.DEFINE_enum(
    "dataset",
    None,
    ["synthetic", "folder"],
    "synthetic: rendered narrated scenes. folder: your own videos, with .vtt or .srt captions "
    "beside them.",
)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Where the prepared data go; made if missing.")
_OVERWRITE = flags.DEFINE_bool(
    "overwrite", False, "Replace data that were prepared before, with whatever parameters."
)
# Every flag below is a field of a data set's config; unset means that config's default.
_CONFIG_FLAGS = (
    flags.DEFINE_string(
        "source_dir",
        None,
        "folder: the tree of videos to read. synthetic: where to keep the mp4 and vtt files that "
        "are made (default: they are not kept).",
    ),
    flags.DEFINE_float("frames_per_second", None, "Rate of the stored frames (default 10)."),
    flags.DEFINE_integer(
        "image_size_px",
        None,
        "synthetic: height and width (default 64). folder: the shorter side is scaled down to it, "
        "never up (default 256).",
    ),
    flags.DEFINE_integer(
        "sample_rate_hz", None, "Rate of the stored sound (default: synthetic 16000, folder 48000)."
    ),
    flags.DEFINE_float(
        "clip_seconds", None, "Length of a clip (default: synthetic 3.2, folder 10)."
    ),
    flags.DEFINE_integer("train_clips", None, "synthetic: clips to train on (default 1600)."),
    flags.DEFINE_integer("validation_clips", None, "synthetic: more noisy clips (default 160)."),
    flags.DEFINE_integer("test_clips", None, "synthetic: clean clips (default 240)."),
    flags.DEFINE_float(
        "text_noise", None, "synthetic: probability that a narration is of another scene (0.3)."
    ),
    flags.DEFINE_float(
        "audio_noise", None, "synthetic: probability that a sound is of another scene (0.3)."
    ),
    flags.DEFINE_integer("seed", None, "synthetic: of every random draw (default 0)."),
    flags.DEFINE_float(
        "test_fraction", None, "folder: share of the files kept for evaluation (default 0.1)."
    ),
    flags.DEFINE_float(
        "max_bad_fraction",
        None,
        "folder: fail with exit code 1 if more than this share of the files cannot be decoded "
        "(default 0.5).",
    ),
)


def main(_: list[str]) -> int:
    """Prepares what the flags say; prints a summary."""
    if not _DATASET.value or not _DATA_DIR.value:
        raise BadInput("--dataset and --data_dir are needed; see --help for an example.")
    logging.set_verbosity(logging.ERROR)  # TFDS warns of its own deprecated calls.
    builder_class, config_class = _builder(_DATASET.value)

    from data.errors import DataError, PreparationError
    from data.preparation import prepare

    try:
        config = config_class(**_given(config_class))
        prepared = prepare(builder_class, config, _DATA_DIR.value, overwrite=_OVERWRITE.value)
    except DataError as error:
        raise BadInput(str(error)) from error
    except (PreparationError, OSError) as error:
        raise RunFailed(str(error)) from error
    print(f"{'already prepared' if prepared.was_there else 'prepared'}: {prepared.directory}")
    print(_summary(prepared.report))
    return 0


def _builder(dataset: str) -> tuple[type, type]:
    # Imported late: TensorFlow takes seconds, which --help need not wait for.
    if dataset == "synthetic":
        from data.synthetic import Synthetic, SyntheticConfig

        return Synthetic, SyntheticConfig
    from data.folder import Folder, FolderConfig

    return Folder, FolderConfig


def _given(config_class: type) -> dict[str, Any]:
    """Returns the flags that were set; refuses those that the data set does not have."""
    given = {flag.name: flag.value for flag in _CONFIG_FLAGS if flag.value is not None}
    known = {field.name for field in dataclasses.fields(config_class)}
    if unknown := sorted(given.keys() - known):
        names = ", ".join(f"--{name}" for name in unknown)
        raise BadInput(f"--dataset={_DATASET.value} has no {names}; see --help.")
    return given


def _summary(report: dict[str, Any]) -> str:
    """Returns the report without the parameters, one `name: value` a line."""
    return "\n".join(
        f"  {name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in report.items()
        if name not in ("dataset", "parameters")
    )


if __name__ == "__main__":
    # Preparing needs no GPU: it must not occupy one, nor say that there is none.
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    sys.exit(run(main))
