"""Evaluates a pre-training run: text to video retrieval, linear probes, and how well misaligned clips are told apart.

Example:
  python -m experiments.evaluate --workdir=runs/demo --data_dir=runs/data

Writes result.json and report/evaluation.npz into the run's directory and prints a table, each figure beside its chance
level.
"""

from absl import flags, logging

from experiments import command_line
from experiments.command_line import BadInput
from experiments.evaluation import TASKS, evaluate
from experiments.result_table import format_table, rows
from experiments.run_directory import RunDirectory

FLAGS = flags.FLAGS
flags.DEFINE_string("workdir", "", "Directory of the run.")
flags.DEFINE_string("data_dir", "", "Where experiments.prepare_data has put the data sets.")
flags.DEFINE_string("dataset", "", "Data set to evaluate on; the first one the run was trained on by default.")
flags.DEFINE_list("tasks", list(TASKS), "What to evaluate.")
flags.DEFINE_integer("batch_size", 32, "Clips that are embedded at once.", lower_bound=1)


def main(_) -> int:
    """Runs the command line; returns the exit code."""
    if not FLAGS.workdir or not FLAGS.data_dir:
        raise BadInput("--workdir and --data_dir are needed; see --help for an example.")
    logging.set_verbosity(logging.ERROR)  # TFDS warns of its own deprecated calls
    directory = RunDirectory(FLAGS.workdir)
    result, notes = evaluate(directory, FLAGS.data_dir, FLAGS.dataset or None, FLAGS.tasks, FLAGS.batch_size)
    print(f"\n{directory.path}, step {result['step']}, evaluated on {result['dataset']}\n")
    print(format_table(rows(result)))
    for note in notes:
        print(f"Note: {note}")
    print(f"\nResult: {directory.result}")
    return 0


if __name__ == "__main__":
    command_line.run(main)
