"""Times the harmonized training step next to the plain one and the bound that the token counts set.

Example:
  python -m experiments.benchmarks.step --gin_file=configs/demo.gin
  python -m experiments.benchmarks.step --methods=all --against=../older_checkout
  python -m experiments.benchmarks.step --methods=sum,gr,nash_mtl --compiling --repeats=3

A plain step costs one forward and one backward pass, which is twice a forward pass: 3 units. Two gradients apart cost
1 + 2 (1 + v), v being the share of the forward pass that both objectives run through, the video's: only the video path
carries both gradients back. The shares are computed from the model's shapes. All steps take turns, those of an older
checkout too, each checkout's in a process of its own. All figures are medians of one run on one machine, by the clock and
of processor time, which other work on the machine disturbs less.

`--compiling` measures instead how long tracing the steps and compiling them with XLA takes, in processor time.
"""

from absl import flags

from experiments.running import command_line

flags.DEFINE_multi_string("gin_file", ["configs/demo.gin"], "gin files of the run to time.")
flags.DEFINE_multi_string("gin_bindings", [], "Bindings that override the files.")
flags.DEFINE_list("methods", ["configured"], "Methods to time, or all; `configured` is the configuration's own.")
flags.DEFINE_string("against", None, "Root of an older checkout whose steps take turns with this one's.")
flags.DEFINE_bool("compiling", False, "Measure how long the methods' steps take to be traced and compiled by XLA.")
flags.DEFINE_integer("repeats", 10, "How often each step is timed, alternating with the others.", lower_bound=1)


def main(_: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    with command_line.loading():  # late: --help need not wait for TensorFlow
        from experiments.benchmarks.step_timing import run

    return run()


if __name__ == "__main__":
    command_line.run(main)
