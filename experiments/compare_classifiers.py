"""Runs experiments.classify for several methods and seeds, and puts their test figures side by side.

Example:
  python -m experiments.compare_classifiers --gin_file=configs/classify/imbalanced.gin --seeds=0,1,2,3,4
      --data_dir=runs/data --outdir=runs/imbalanced

Each run has a directory <outdir>/<method>/<seed>; finished runs are not repeated, interrupted ones resume. What would mix
runs of different configurations or data in <outdir> is refused. SIGTERM and Ctrl-C let the runs save a checkpoint. Writes
runs.csv (a line per run), table.md (a line per method) and differences.md (each method minus its control, with intervals)
into <outdir>, of all runs that are finished there, and prints both tables.
"""

from absl import flags

from experiments.running import command_line

flags.DEFINE_multi_string("gin_file", [], "gin file for all runs; may be repeated.")
flags.DEFINE_multi_string("gin_bindings", [], "A gin binding for all runs.")
flags.DEFINE_list("methods", None, "Methods; default: all. The file of each in configs/classify/methods is read.")
flags.DEFINE_list("seeds", ["0", "1", "2", "3", "4"], "Seeds of the runs.")
flags.DEFINE_string("data_dir", "", "Directory of the data sets that experiments.prepare_data wrote.")
flags.DEFINE_string("outdir", "", "Directory of the comparison.")
flags.DEFINE_integer("jobs", 1, "Runs at a time; they share the cores.", lower_bound=1)


def main(_: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    with command_line.loading():  # late: --help need not wait for TensorFlow
        from experiments.sweeps.classifier_comparison import run

    return run()


if __name__ == "__main__":
    command_line.run(main)
