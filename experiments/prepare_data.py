"""Prepares a data set: media files become records, vocabularies and a report.

Examples:
  python -m experiments.prepare_data --dataset=synthetic --data_dir=data_dir
  python -m experiments.prepare_data --dataset=folder --source_dir=videos --data_dir=data_dir
  python -m experiments.prepare_data --dataset=folder --source_dir=videos --labels=labels.csv --data_dir=data_dir
  python -m experiments.prepare_data --dataset=crema_d --source_dir=CREMA-D --data_dir=data_dir
  python -m experiments.prepare_data --dataset=howto100m --source_dir=HowTo100M --data_dir=data_dir --workers=16
  python -m experiments.prepare_data --dataset=howto100m --source_dir=gs://raw/howto100m --data_dir=gs://data \
      --beam_runner=DataflowRunner --beam_options='project=me,region=europe-west4,temp_location=gs://data/tmp'

The result is in <data_dir>/<dataset>/<config>/<version>/; prepare_report.json there counts what was
found, what is missing and which files were skipped, and why. A run that was stopped is started
again with the same command and goes on with what it had not finished; finished data are left alone. The
records are the same, byte for byte, whoever makes them: threads, --workers or a pipeline.

Exit codes: 0 done, 1 nothing usable or too many bad files, 2 bad input or configuration.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Callable
from typing import Any

from absl import flags

from experiments.running.command_line import BadInput, RunFailed, run

# The builders' names in `data`, which is imported late: --help need not wait for TensorFlow.
_BUILDERS = {
    "synthetic": "Synthetic",
    "imbalanced": "Imbalanced",
    "folder": "Folder",
    "crema_d": "CremaD",
    "kinetics_sounds": "KineticsSounds",
    "howto100m": "HowTo100M",
    "audioset": "AudioSet",
    "youtube8m": "YouTube8M",
    "youcook2": "YouCook2",
    "msrvtt": "MSRVTT",
    "ucf101": "UCF101",
    "hmdb51": "HMDB51",
    "kinetics400": "Kinetics400",
    "esc50": "ESC50",
}
_DATASET = flags.DEFINE_enum(
    "dataset",
    None,
    list(_BUILDERS),
    "synthetic: rendered narrated scenes. imbalanced: shapes in clutter with a sound that is learned "
    "sooner than the picture. folder: your own videos, with .vtt or .srt captions beside them. "
    "All others: as published; for the tree of files, the splits and the license see the builder's docstring "
    "in data/NAME.py.",
)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Where the prepared data go; made if missing.")
_OVERWRITE = flags.DEFINE_bool(
    "overwrite", False, "Replace data that were prepared before, with whatever parameters."
)
_WORKERS = flags.DEFINE_integer(
    "workers",
    0,
    "Processes on this machine, each with one part of the data at a time; 0: up to 16 threads of this one.",
    lower_bound=0,
)
_BEAM_RUNNER = flags.DEFINE_enum(
    "beam_runner",
    None,
    ["DirectRunner", "FlinkRunner", "SparkRunner", "DataflowRunner"],
    "Prepare with an Apache Beam pipeline (pip install 'vatt-harmonization[beam]'). Its workers must have this package "
    "and reach --source_dir and --data_dir.",
)
_BEAM_OPTIONS = flags.DEFINE_list("beam_options", [], "Options of the runner, such as region=europe-west4,max_num_workers=50.")
# Every flag below is a field of a data set's config; unset means that config's default.
_CONFIG_FLAGS = (
    flags.DEFINE_string(
        "source_dir",
        None,
        "The tree of files to read, or a .zip or .tar(.gz, .bz2, .xz) file of it, which is unpacked in --data_dir. "
        "synthetic: where to keep the mp4 and vtt files that are made "
        "(default: they are not kept).",
    ),
    flags.DEFINE_float(
        "frames_per_second", None, "Rate of the stored frames (default 10, imbalanced 5)."
    ),
    flags.DEFINE_integer(
        "image_size_px",
        None,
        "Height and width of what is made (default: synthetic 64, imbalanced 48). Of what is read, "
        "the shorter side is scaled down to it, never up (default 256).",
    ),
    flags.DEFINE_integer(
        "sample_rate_hz",
        None,
        "Rate of the stored sound (default 48000; synthetic, crema_d, kinetics_sounds 16000, imbalanced 8000).",
    ),
    flags.DEFINE_float(
        "clip_seconds",
        None,
        "Length of a clip that is made (default: synthetic 3.2, imbalanced 1.6), or cut out of a whole video (folder, "
        "howto100m, youtube8m; default 10). Clips that a data set lists are cut off after this (default: audioset, esc50, "
        "crema_d, kinetics400, kinetics_sounds 10; msrvtt 32, hmdb51 40, youcook2 60, ucf101 80, which is nearly all whole).",
    ),
    flags.DEFINE_float(
        "minimum_seconds",
        None,
        "folder, howto100m, youtube8m: what remains at the end of a video is a clip, too, if it is this long (default 2).",
    ),
    flags.DEFINE_integer(
        "max_captions", None, "folder, howto100m, youtube8m: captions of a clip at most, the nearest in time (default 16)."
    ),
    flags.DEFINE_float(
        "caption_reach_seconds",
        None,
        "folder, howto100m, youtube8m: captions further from a clip than this are not its own (default 10).",
    ),
    flags.DEFINE_integer(
        "train_clips", None, "synthetic, imbalanced: clips to train on (default 1600, 1500)."
    ),
    flags.DEFINE_integer(
        "validation_clips", None, "synthetic, imbalanced: more such clips (default 160, 300)."
    ),
    flags.DEFINE_integer(
        "test_clips", None, "synthetic: clean clips. imbalanced: more clips (default 240, 600)."
    ),
    flags.DEFINE_float(
        "text_noise", None, "synthetic: probability that a narration is of another scene (0.3)."
    ),
    flags.DEFINE_float(
        "audio_noise", None, "synthetic: probability that a sound is of another scene (0.3)."
    ),
    flags.DEFINE_float(
        "video_contrast", None, "imbalanced: of the shapes, a share of full scale; less is harder (0.4)."
    ),
    flags.DEFINE_integer(
        "video_clutter", None, "imbalanced: smaller shapes in the picture; more is harder (8)."
    ),
    flags.DEFINE_float(
        "video_hidden", None, "imbalanced: probability that the picture does not show the class (0.3)."
    ),
    flags.DEFINE_float(
        "audio_noise_db", None, "imbalanced: the loudest noise over the sound; more is harder (20)."
    ),
    flags.DEFINE_integer(
        "seed", None, "synthetic, imbalanced: of every random draw (default 0)."
    ),
    flags.DEFINE_string(
        "labels",
        None,
        "folder: CSV file with the classes of the files, in --source_dir or elsewhere. Columns: file (relative to "
        "--source_dir), labels (a name, or several with | between them) and, if wanted, split (train, validation or "
        "test). Files that it does not name are left out.",
    ),
    flags.DEFINE_float(
        "test_fraction",
        None,
        "folder: share of the files kept for evaluation, unless --labels names splits. crema_d: share of the speakers "
        "(default 0.1).",
    ),
    flags.DEFINE_float(
        "validation_fraction",
        None,
        "crema_d: share of the speakers, or with --split_csv_dir of train.csv (default 0.1). folder with --labels that "
        "name no validation split: share of the training files (default 0.1).",
    ),
    flags.DEFINE_string(
        "split_csv_dir",
        None,
        "crema_d: folder with train.csv and test.csv (rows like 1001_DFA_ANG_XX,ANG) to split by, "
        "instead of by speakers.",
    ),
    flags.DEFINE_string(
        "class_list",
        None,
        "kinetics_sounds: text file with the classes to take, one a line (default: the 31).",
    ),
    flags.DEFINE_string(
        "captions_file",
        None,
        "howto100m: JSON file with the captions, relative to --source_dir (default: raw_caption.json, or caption.json "
        "where that is not there).",
    ),
    flags.DEFINE_string(
        "list_file", None, "youtube8m: CSV file of the videos and their labels, relative to --source_dir (videos.csv)."
    ),
    flags.DEFINE_list("languages", None, "youtube8m: languages of the captions, the most wanted first (en)."),
    flags.DEFINE_bool("unbalanced", None, "audioset: whether to take the clips of the unbalanced list (true)."),
    flags.DEFINE_bool("sound_only", None, "audioset: whether to take sound alone, from whatever file has it (false)."),
    flags.DEFINE_float(
        "max_bad_fraction",
        None,
        "Fail with exit code 1 if more than this share of the files that are there cannot be decoded "
        "(default 0.5).",
    ),
)
# How much of a list the summary shows; prepare_report.json has all of it.
_SHOWN = 8


def main(_: list[str]) -> int:
    """Prepares what the flags say; prints a summary."""
    if not _DATASET.value or not _DATA_DIR.value:
        raise BadInput("--dataset and --data_dir are needed; see --help for an example.")
    builder_class = _builder(_DATASET.value)
    config_class = builder_class.config_class()

    from data import DataError, PreparationError, join_path, open_source, prepare

    given = _given(config_class)
    try:
        run_units = _runner()
        if "source_dir" in given:
            given["source_dir"] = open_source(given["source_dir"], join_path(_DATA_DIR.value, _DATASET.value))
        config = config_class(**given)
        prepared = prepare(
            builder_class, config, _DATA_DIR.value, overwrite=_OVERWRITE.value, run_units=run_units
        )
    except DataError as error:
        raise BadInput(str(error)) from error
    except (PreparationError, OSError) as error:
        raise RunFailed(str(error)) from error
    print(f"{'already prepared' if prepared.was_there else 'prepared'}: {prepared.directory}")
    print(_summary(prepared.report))
    return 0


def _builder(dataset: str) -> type:
    import data

    return getattr(data, _BUILDERS[dataset])


def _runner() -> Callable[..., None]:
    """Returns who makes the records."""
    from data import in_processes, in_this_process, on_beam

    if _BEAM_RUNNER.value and _WORKERS.value:
        raise BadInput("--workers is for this machine; --beam_runner has workers of its own, see --beam_options.")
    if _BEAM_OPTIONS.value and not _BEAM_RUNNER.value:
        raise BadInput("--beam_options goes with --beam_runner.")
    if _WORKERS.value:
        return in_processes(_WORKERS.value)
    if not _BEAM_RUNNER.value:
        return in_this_process
    try:
        return on_beam(_BEAM_RUNNER.value, [f"--{option.lstrip('-')}" for option in _BEAM_OPTIONS.value])
    except ImportError as error:
        raise BadInput(f"--beam_runner needs Apache Beam: pip install 'vatt-harmonization[beam]' ({error})") from error


def _given(config_class: type) -> dict[str, Any]:
    """Returns the flags that were set; refuses those that the data set does not have."""
    given = {flag.name: flag.value for flag in _CONFIG_FLAGS if flag.value is not None}
    known = {field.name for field in dataclasses.fields(config_class)}
    if unknown := sorted(given.keys() - known):
        names = ", ".join(f"--{name}" for name in unknown)
        raise BadInput(f"--dataset={_DATASET.value} has no {names}; see --help.")
    return given


def _summary(report: dict[str, Any]) -> str:
    """Returns the report without the parameters, one `name: value` a line, long lists cut short."""
    return "\n".join(
        f"  {name}: {value if isinstance(value, str) else json.dumps(_shorten(value), ensure_ascii=False)}"
        for name, value in report.items()
        if name not in ("dataset", "parameters")
    )


def _shorten(value: Any) -> Any:
    """Returns JSON values with at most `_SHOWN` members of a list or of a mapping."""
    if isinstance(value, dict):
        shown = {key: _shorten(part) for key, part in list(value.items())[:_SHOWN]}
        return shown | ({"...": f"{len(value) - _SHOWN} more"} if len(value) > _SHOWN else {})
    if isinstance(value, list) and len(value) > _SHOWN:
        return [*value[:_SHOWN], f"... {len(value) - _SHOWN} more"]
    return value


if __name__ == "__main__":
    # Preparing needs no GPU: it must not occupy one, nor say that there is none.
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    sys.exit(run(main))
