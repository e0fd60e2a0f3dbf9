"""Makes the report on a run: one HTML file that holds everything it shows.

Example:
  python -m experiments.report --workdir=runs/demo --data_dir=runs/data

Writes report/index.html into the run's directory and prints its path. Run experiments.evaluate before.
"""

from absl import flags, logging

from experiments import command_line
from experiments.command_line import BadInput, bad_input
from experiments.report_page import build_page
from experiments.run_directory import RunDirectory

FLAGS = flags.FLAGS
flags.DEFINE_string("workdir", "", "Directory of the run.")
flags.DEFINE_string("data_dir", "", "Where the prepared data sets are; for the frames of the retrieval examples.")


def main(_) -> int:
    """Runs the command line; returns the exit code."""
    if not FLAGS.workdir:
        raise BadInput("--workdir is needed; see --help for an example.")
    logging.set_verbosity(logging.ERROR)  # TFDS warns of its own deprecated calls
    directory = RunDirectory(FLAGS.workdir)
    if not directory.config.exists():
        raise BadInput(
            f"{directory.path} should be the directory of a run, with config.gin in it. Found none. "
            "Make one with experiments.pretrain --workdir."
        )
    with bad_input():
        page = build_page(directory, FLAGS.data_dir or None)
    directory.write(directory.report / "index.html", page)
    print(f"Report: {directory.report / 'index.html'}")
    return 0


if __name__ == "__main__":
    command_line.run(main)
