"""Prepares a data set: media files become records, vocabularies and a report.

Examples:
  python -m experiments.prepare_data --dataset=folder --help
  python -m experiments.prepare_data --dataset=synthetic --data_dir=data_dir
  python -m experiments.prepare_data --dataset=folder --source_dir=videos --data_dir=data_dir
  python -m experiments.prepare_data --dataset=folder --source_dir=videos --labels=labels.csv --data_dir=data_dir
  python -m experiments.prepare_data --dataset=crema_d --source_dir=CREMA-D --data_dir=data_dir
  python -m experiments.prepare_data --dataset=howto100m --source_dir=HowTo100M --data_dir=data_dir --workers=16
  python -m experiments.prepare_data --dataset=howto100m --source_dir=gs://raw/howto100m --data_dir=gs://data \\
      --beam_runner=DataflowRunner --beam_options='project=me,region=europe-west4,temp_location=gs://data/tmp'

Each data set has further flags, such as --source_dir; --dataset=NAME --help shows them.

The result is in <data_dir>/<dataset>/<config>/<version>/; prepare_report.json there counts what was
found and what is missing, and names the skipped files with the reasons. To resume a run that was stopped,
run the same command again: it makes the missing parts and keeps finished data. The records are the same,
byte for byte, whether threads, --workers or a pipeline make them.

Exit codes: 0 done, 1 nothing usable or too many bad files, 2 bad input or configuration.
"""

import difflib
import os
from collections.abc import Sequence

from absl import flags

from experiments.running.command_line import BadInput, loading, run

# The modules of `data.sets`, which are imported late: --help need not wait for TensorFlow.
DATASETS = {
    "synthetic": "rendered scenes with audio and narration, some of them mismatched on purpose.",
    "imbalanced": "rendered shapes in clutter, with audio that is learned faster than the video.",
    "folder": "your own videos, with captions (.vtt, .srt) next to them and labels from a CSV file.",
    "tuxpaint": "the stamps of Tux Paint, pictures with their names, spoken and written.",
    "crema_d": "CREMA-D, actors who speak in six emotions.",
    "kinetics_sounds": "Kinetics-Sounds, the classes of Kinetics that can be seen and heard.",
    "howto100m": "HowTo100M, narrated instructional videos.",
    "audioset": "AudioSet, clips of 10 s in 527 classes of sounds.",
    "youtube8m": "YouTube-8M, videos with several topics each, and automatic captions.",
    "youcook2": "YouCook2, the steps of recipes, each with a sentence.",
    "msrvtt": "MSR-VTT, clips with 20 captions each.",
    "ucf101": "UCF101, 101 human actions.",
    "hmdb51": "HMDB51, 51 human actions.",
    "kinetics400": "Kinetics-400, 400 human actions.",
    "esc50": "ESC-50, 50 classes of sounds, without video.",
}
flags.DEFINE_enum(
    "dataset",
    None,
    list(DATASETS),
    "What to prepare; its flags: --dataset=NAME --help. Source tree, splits and license: data/sets/NAME.py.\n"
    + "\n".join(f"{name}: {meaning}" for name, meaning in DATASETS.items()),
)
flags.DEFINE_string("data_dir", None, "Directory of the prepared data; created if missing.")
flags.DEFINE_bool("overwrite", False, "Replace data prepared earlier, whatever their parameters.")
flags.DEFINE_integer(
    "workers",
    0,
    "Processes on this machine, each working on one part of the data; 0: up to 16 threads of this process.",
    lower_bound=0,
)
flags.DEFINE_enum(
    "beam_runner",
    None,
    ["DirectRunner", "FlinkRunner", "SparkRunner", "DataflowRunner"],
    "Prepare with an Apache Beam pipeline (pip install 'vatt-harmonization[beam]'). Its workers must have this package "
    "and reach --source_dir and --data_dir.",
)
flags.DEFINE_list("beam_options", [], "Options of the runner, such as region=europe-west4,max_num_workers=50.")


def parse(arguments: Sequence[str]) -> list[str]:
    """Defines the flags of the data set that `--dataset` names, then parses all flags.

    Args:
      arguments: The command line, the program's name first.

    Returns:
      The arguments that are no flags.

    Raises:
      BadInput: The data set has no such flag.
      flags.Error: A flag's value is wrong.
    """
    if (dataset := _chosen(arguments)) in DATASETS:
        with loading():
            from data import dataset_builder
            from experiments.preparing import dataset_flags

        dataset_flags.define_flags(dataset_builder(dataset).config_class())
        flags.adopt_module_key_flags(dataset_flags)  # shows them in --help
    try:
        return flags.FLAGS(arguments)
    except flags.UnrecognizedFlagError as error:
        nearest = difflib.get_close_matches(error.flagname, flags.FLAGS, n=1)
        hint = f" (did you mean --{nearest[0]}?)" if nearest else ""
        owner = f"--dataset={dataset}" if dataset else "without --dataset, this program"
        raise BadInput(f"{owner} has no --{error.flagname}{hint}; see --help.") from error


def _chosen(arguments: Sequence[str]) -> str | None:
    """Returns the value of `--dataset`, whatever the other flags are."""
    alone = flags.FlagValues()
    flags.DEFINE_string("dataset", None, "", flag_values=alone)
    alone.set_gnu_getopt()
    alone(arguments, known_only=True)
    return alone.dataset


def main(_: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    if not flags.FLAGS.dataset or not flags.FLAGS.data_dir:
        raise BadInput("--dataset and --data_dir are needed; see --help for an example.")

    with loading():  # late: --help need not wait for TensorFlow
        from experiments.preparing.program import run

    return run()


if __name__ == "__main__":
    # Preparing needs no GPU: it must not occupy one, nor say that there is none.
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    run(main, parse=parse)
