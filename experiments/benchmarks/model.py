"""Time and peak memory of VATT's forward pass and training step, by size and resolution, next to the arithmetic.

Example:
  python -m experiments.benchmarks.model --preset=ut_base --preset=ut_medium --clip=32x224 --clip=32x320

One clip with its sound (3.2 s at 48 kHz) and one caption at a time. "forward" is inference, every token kept. "step" is
training: DropToken at 50 %, the gradient of the summed losses, and SGD; "recomputed" the same with `recompute=True`. The
operations (GFLOP, two per multiply-add) are computed from the shapes: a step counts three forward passes, a recomputed one
four. "share" is the speed relative to the best of plain matrix products, measured in the same process. Memory is what TensorFlow
holds beyond the weights at the worst moment.
"""

from absl import flags

from experiments.running import command_line

flags.DEFINE_multi_string("preset", ["ut_small", "ut_base", "ut_medium"], "Models; see vatt.PRESETS.")
flags.DEFINE_multi_string("clip", ["32x224"], "Frames x pixels.")
flags.DEFINE_integer("repeats", 3, "Timed calls; the median is reported.", lower_bound=1)
flags.DEFINE_enum("worker", None, ["time", "memory"], "Internal: measure in this process.")


def main(_: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    with command_line.loading():  # late: --help need not wait for TensorFlow
        from experiments.benchmarks.model_timing import run

    return run()


if __name__ == "__main__":
    command_line.run(main)
