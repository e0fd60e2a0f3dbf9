"""Pre-trains, evaluates and reports on every point of a grid: methods, mixes, seeds, any bindings.

Example:
  python -m experiments.sweep --gin_file=configs/sweeps/demo.gin --data_dir=runs/data --sweep_dir=runs/methods --jobs=2

Each point has a run directory in --sweep_dir, named after its bindings, such as `method=gr,seed=1`. Running the same
command again resumes: finished points are not repeated, interrupted ones resume from their newest checkpoints. A point
that fails is reported and does not stop the others. SIGTERM and Ctrl-C let the running programs save a
checkpoint, then end.

--print_commands prints one shell line per point instead, for a cluster's scheduler. When all have run,
`python -m experiments.report --sweep=DIR` writes sweep.csv, table.md and report/index.html, as this program does.

With --jobs=N on a machine with several GPUs, name them: CUDA_VISIBLE_DEVICES=0,1,2,3 gives each job its share.
"""

from absl import flags

from experiments.running import command_line

flags.DEFINE_multi_string(
    "gin_file", [], "gin file that describes the sweep; may be repeated, later ones override earlier ones."
)
flags.DEFINE_multi_string(
    "gin_bindings", [], "A gin binding such as \"sweep.bindings = ('STEPS = 60',)\"; overrides the files."
)
flags.DEFINE_string("data_dir", "", "Directory of the data sets that experiments.prepare_data wrote.")
flags.DEFINE_string("sweep_dir", "", "Directory of the sweep; created if missing, resumed if it holds one.")
flags.DEFINE_integer("jobs", 1, "Points at a time; they share the cores.", lower_bound=1)
flags.DEFINE_boolean("print_commands", False, "Run nothing; print each point's commands, one line per point.")
flags.DEFINE_boolean("dry_run", False, "Run `experiments.pretrain --dry_run` for each point; nothing is written.")


def main(_: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    with command_line.loading():  # late: --help need not wait for TensorFlow
        from experiments.sweeps.program import run

    return run()


if __name__ == "__main__":
    command_line.run(main)
