"""Compiles the training step for TPUs on a machine without one, and prices it part by part.

Example:
  python -m experiments.compile_for_tpu --gin_file=configs/paper/ht100m_both.gin --topology=v3:8x16 --clips_per_core=8 \\
      --variants=configured,plain --output_dir=runs/tpu

Needs `pip install vatt-harmonization[compile]`, but no TPU and no data. Takes any configuration of experiments.pretrain
and compiles the step that training runs, each variant by itself:

  configured   the step as the configuration has it
  plain        harmonizer 'sum', without a gate, in one backward pass
  after        harmonized after the gradients are summed over the replicas
  before       harmonized before, on each replica

Prints whether it fits into the memory, and the compiler's estimate of its time, by part and by modality; writes costs.json
and index.html into --output_dir. docs/tpu.md explains them. A large model takes minutes and several GiB of memory.

Topologies: a generation and its chips along each axis. v2, v3, v5e and v6e have two axes (v3:2x2 has 8 cores, v3:8x16
256), v4 and v5p three (v4:2x2x1).

To try a change on a large model, --blocks=2 compiles it with the first two blocks of each encoder alone, in a fraction of the
time. What a block costs is the difference to --blocks=3: the last block computes less than the others.

Exit codes: 0 done, 1 a step does not fit or does not compile, 2 bad input.
"""

from absl import flags

from experiments.running import command_line
from experiments.tpu_compiling.variants import VARIANTS

flags.DEFINE_multi_string("gin_file", [], "gin file to read; may be repeated, later ones override earlier ones.")
flags.DEFINE_multi_string("gin_bindings", [], "A gin binding such as 'VATT.dropout = 0.0'; overrides the files.")
flags.DEFINE_string("topology", "v3:2x2", "What to compile for.")
flags.DEFINE_integer(
    "clips_per_core", None, "Clips on each core; by default `pretrain.batch_size` over the cores.", lower_bound=1
)
flags.DEFINE_integer(
    "blocks", None, "Compile the model with so many blocks of each encoder alone; by default with all.", lower_bound=1
)
flags.DEFINE_list("variants", ["configured"], f"Which steps to compile, of {', '.join(VARIANTS)}.")
flags.DEFINE_integer(
    "batch_trials", 0, "Compile the first variant up to this many times more to find the most clips per core that fit; 0 only "
    "estimates it.", lower_bound=0
)  # fmt: skip
flags.DEFINE_string("output_dir", "runs/tpu", "Directory to write to.")


def main(_: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    with command_line.loading():  # late: --help need not wait for TensorFlow
        from experiments.tpu_compiling.program import run

    return run()


if __name__ == "__main__":
    command_line.run(main)
