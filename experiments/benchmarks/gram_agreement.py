"""Compares the decisions of the cheaper Gram matrices with those of the exact one, over the steps of a run on synthetic clips.

Trains as the configuration says, on its prepared data, with the plain sum, and asks in every step what each Gram matrix
says of the two gradients: the sign of their cosine, whether the curriculum's gate opens, and how far GR's update by it is
from the exact one (`update_error`, with the plain sum's for comparison).

Example:
  python -m experiments.benchmarks.gram_agreement --gin_file=configs/demo.gin --data_dir=runs/data --steps=300
"""

from absl import flags

from experiments.running import command_line

flags.DEFINE_multi_string("gin_file", ["configs/demo.gin"], "gin files of the run.")
flags.DEFINE_multi_string("gin_bindings", [], "Bindings that override the files.")
flags.DEFINE_string("data_dir", None, "Where the prepared data sets are.")
flags.DEFINE_integer("steps", 300, "Steps to train.", lower_bound=1)
flags.DEFINE_float("gamma", 0.0, "The gate's threshold on the cosine.")


def main(_: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    with command_line.loading():  # late: --help need not wait for TensorFlow
        from experiments.benchmarks.gram_comparison import run

    return run()


if __name__ == "__main__":
    command_line.run(main)
