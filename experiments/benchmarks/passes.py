"""Measures gradient caching: a large batch in passes, next to the step of the clips of one pass.

Example:
  python -m experiments.benchmarks.passes --gin_file=configs/demo.gin --batch_size=512 --clips_per_pass=32

Two steps, that of the configured method and that of the plain sum in one backward pass. Printed is the time of the batch
over that of as many steps of one pass (one more forward pass makes 1.33 of a plain step), by the clock and by processor time,
which other programs disturb little, and how far memory rises during the step, over that for the clips of one pass alone, these
clips included. The batch itself is in memory before and does not count.
Times are medians of one run on one machine.
"""

from absl import flags

from experiments.running import command_line

flags.DEFINE_multi_string("gin_file", ["configs/demo.gin"], "gin files of the run to measure.")
flags.DEFINE_multi_string("gin_bindings", [], "Bindings that override the files.")
flags.DEFINE_integer("batch_size", 512, "Clips in the batch.", lower_bound=8)
flags.DEFINE_integer("clips_per_pass", 32, "Clips in a pass.", lower_bound=4)
flags.DEFINE_integer("repeats", 5, "How often each step is timed, alternating with the others.", lower_bound=1)
flags.DEFINE_enum("worker", None, ["time", "memory"], "Set by the benchmark itself: measure one quantity.")


def main(_: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    with command_line.loading():  # late: --help need not wait for TensorFlow
        from experiments.benchmarks.passes_timing import run

    return run()


if __name__ == "__main__":
    command_line.run(main)
