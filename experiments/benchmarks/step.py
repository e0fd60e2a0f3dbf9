"""Times the harmonized training step next to the plain one and the bound that the token counts set.

Example:
  python -m experiments.benchmarks.step --gin_file=configs/demo.gin
  python -m experiments.benchmarks.step --methods=all --against=../older_checkout

A plain step costs one forward and one backward pass, which is twice a forward pass: 3 units. Two gradients apart cost
1 + 2 (1 + v), v being the share of the forward pass that both objectives run through, the video's: only the video path
carries both gradients back. The shares are computed from the model's shapes. All steps take turns, those of an older
checkout too, each checkout's in a process of its own. All figures are medians of one run on one machine, by the clock and
of processor time, which other work on the machine disturbs less.
"""

from absl import flags

from experiments.running import command_line

flags.DEFINE_multi_string("gin_file", ["configs/demo.gin"], "gin files of the run to time.")
flags.DEFINE_multi_string("gin_bindings", [], "Bindings that override the files.")
flags.DEFINE_list("methods", ["configured"], "Methods to time, or all; `configured` is the configuration's own.")
flags.DEFINE_string("against", None, "Root of an older checkout whose steps take turns with this one's.")
flags.DEFINE_integer("repeats", 10, "How often each step is timed, alternating with the others.", lower_bound=1)


def main(_: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    from experiments.benchmarks.step_timing import run  # late: --help need not wait for TensorFlow

    return run()


if __name__ == "__main__":
    command_line.run(main)
