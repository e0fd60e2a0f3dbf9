r"""Time and peak memory of every method of harmonization, next to flatten-and-concatenate and the bound.

The gradients have the shapes of a Transformer's weights. The bound is what any update must do: read
every objective's gradient once, write one (their plain sum). A harmonized update cannot quite reach
it, since its weights depend on all numbers: the gradients are read once for the inner products and
once more for the update.

    python -m experiments.benchmarks.harmonize --parameters=10000000 --parameters=150000000 \
        --objectives=2 --objectives=8
    python -m experiments.benchmarks.harmonize --decisions --objectives=8
    python -m experiments.benchmarks.harmonize --topology=v3:2x2 --parameters=60000000 --objectives=2

`--decisions` times the methods' decisions, from the Gram matrix to the weights, under XLA: compiling, a call, and what each further
decision in the same call adds.
`--topology` compiles for a TPU and prints its compiler's estimates for the plain sum and for `--ways` (by default `gr`), alone and
followed by Adam. It needs `pip install vatt-harmonization[compile]`, but no TPU; see docs/tpu.md.
"""

from absl import flags

from experiments.running import command_line

flags.DEFINE_multi_integer(
    "parameters", [10_000_000, 150_000_000], "Sizes of the model, in weights.", lower_bound=10_000
)
flags.DEFINE_multi_integer("objectives", [2, 8], "How many objectives.", lower_bound=2)
flags.DEFINE_integer("repeats", 5, "Timed calls; the median is reported.", lower_bound=1)
flags.DEFINE_list("ways", None, "Only these rows of the table, and the bound.")
flags.DEFINE_bool("decisions", False, "Measure only the decisions, without gradients; `--parameters` does not matter.")
flags.DEFINE_string("topology", None, "A topology such as v3:2x2: compile for it, and report the compiler's estimates.")
flags.DEFINE_enum("worker", None, ["time", "memory"], "Internal: measure every variant in this process.")


def main(_: list[str]) -> None:
    """Runs the command line."""
    with command_line.loading():  # late: --help need not wait for TensorFlow
        from experiments.benchmarks.harmonize_timing import run

    run()


if __name__ == "__main__":
    command_line.run(main)
