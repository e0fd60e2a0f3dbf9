"""Writes the report on a run or a sweep: one self-contained HTML file.

Examples:
  python -m experiments.report --workdir=runs/demo --data_dir=runs/data
  python -m experiments.report --workdir=runs/demo --ranking=runs/demo/ranking/clips.csv
  python -m experiments.report --sweep=runs/methods

Writes report/index.html into the run's directory, and next to it a model card: MODEL_CARD.md to publish with the
weights, model_card.json for programs. Prints their paths. Run experiments.evaluate first. Into the directory
of a sweep it also writes sweep.csv, a line per point, and table.md, which it prints.
"""

import json

from absl import flags

from experiments.running import command_line
from experiments.running.command_line import BadInput, bad_input

FLAGS = flags.FLAGS
flags.DEFINE_string("workdir", "", "Directory of the run.")
flags.DEFINE_string("sweep", "", "Directory of a sweep, instead of a run's.")
flags.DEFINE_string(
    "ranking", "", "clips.csv that experiments.rank_clips wrote of the training clips; for the model card."
)
flags.DEFINE_string("data_dir", "", "Where the prepared data sets are; for the frames of the retrieval examples.")


def main(_) -> int:
    """Runs the command line; returns the exit code."""
    with command_line.loading():  # late: --help need not wait for TensorFlow
        from experiments.reports.model_card import as_markdown, model_card
        from experiments.reports.page import build_page
        from experiments.running.run_directory import RunDirectory
        from experiments.sweeps.directory import SweepDirectory
        from experiments.sweeps.report import write_sweep_report

    if bool(FLAGS.workdir) == bool(FLAGS.sweep):
        raise BadInput("either --workdir or --sweep is needed; see --help for examples.")
    if FLAGS.sweep:
        print(write_sweep_report(SweepDirectory(FLAGS.sweep)))
        return 0
    directory = RunDirectory(FLAGS.workdir)
    if not directory.config.exists():
        raise BadInput(
            f"{directory.path} should be the directory of a run, with config.gin in it. Found none. "
            "Make one with experiments.pretrain --workdir."
        )
    directory.require_place_for_report()
    with bad_input():
        page = build_page(directory, FLAGS.data_dir or None)
    card = model_card(directory, FLAGS.ranking or None)
    directory.write(directory.report / "index.html", page)
    directory.write(directory.report / "model_card.json", json.dumps(card, indent=2) + "\n")
    directory.write(directory.report / "MODEL_CARD.md", as_markdown(card))
    print(f"Report: {directory.report / 'index.html'}\nModel card: {directory.report / 'MODEL_CARD.md'}")
    return 0


if __name__ == "__main__":
    command_line.run(main)
