"""Pre-trains, evaluates and reports on every point of a grid: methods, mixes, seeds, any bindings.

Example:
  python -m experiments.sweep --gin_file=configs/sweeps/demo.gin --data_dir=runs/data --sweep_dir=runs/methods --jobs=2

Each point has a run directory in --sweep_dir, called by what is particular to it, such as `method=gr,seed=1`. The same
command again goes on: a finished point is not run again, one that was interrupted goes on from its newest checkpoint. A
point that fails is reported and does not stop the others. SIGTERM and Ctrl-C let the programs that run save a
checkpoint, then end.

--print_commands prints a line of shell per point instead, for a cluster's scheduler. When all have run,
`python -m experiments.report --sweep=DIR` makes sweep.csv, table.md and report/index.html, which this program does, too.

With --jobs=N on a machine with several GPUs, name them: CUDA_VISIBLE_DEVICES=0,1,2,3 gives each job its share.
"""

from absl import flags

from experiments.running import command_line

flags.DEFINE_multi_string(
    "gin_file", [], "gin file that describes the sweep; may be given several times, later ones win."
)
flags.DEFINE_multi_string(
    "gin_bindings", [], "A gin binding such as \"sweep.bindings = ('STEPS = 60',)\"; wins over files."
)
flags.DEFINE_string("data_dir", "", "Where experiments.prepare_data has put the data sets.")
flags.DEFINE_string("sweep_dir", "", "Directory of the sweep; made if need be, gone on with if it holds one.")
flags.DEFINE_integer("jobs", 1, "Points at a time; the cores are shared out among them.", lower_bound=1)
flags.DEFINE_boolean("print_commands", False, "Run nothing, print each point's commands, one line per point.")
flags.DEFINE_boolean("dry_run", False, "Run `experiments.pretrain --dry_run` for each point; nothing is written.")


def main(_: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    from experiments.sweeps.program import run  # late: --help need not wait for TensorFlow

    return run()


if __name__ == "__main__":
    command_line.run(main)
