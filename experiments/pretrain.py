"""Pre-trains VATT with harmonized gradients.

Example:
  python -m experiments.pretrain --gin_file=configs/demo.gin --data_dir=data_dir --workdir=runs/demo

Running the same command again resumes from the newest checkpoint, exactly where the run stopped.
"""

from absl import flags

from experiments.running import command_line
from experiments.running.strategy_names import STRATEGIES

flags.DEFINE_multi_string("gin_file", [], "gin file to read; may be repeated, later ones override earlier ones.")
flags.DEFINE_multi_string("gin_bindings", [], "A gin binding such as 'pretrain.steps = 100'; overrides the files.")
flags.DEFINE_string("data_dir", "", "Directory of the data sets that experiments.prepare_data wrote.")
flags.DEFINE_string("workdir", "", "Directory of this run; created if missing, resumed if it holds a run.")
flags.DEFINE_enum("strategy", "one_device", STRATEGIES, "How the run is distributed.")
flags.DEFINE_string("tpu", "", "Name of the TPU for --strategy=tpu; 'local' on a TPU VM.")
flags.DEFINE_integer(
    "cpu_replicas", 1, "Split the CPU into this many devices, to try --strategy=mirrored.", lower_bound=1
)
flags.DEFINE_string(
    "data_service", "", "grpc://host:port of a data service, whose workers decode (see experiments.serve_data); the batches "
    "are the same, bit for bit."
)  # fmt: skip
flags.DEFINE_boolean("dry_run", False, "Build everything, run one batch of noise and print a summary; train nothing.")
flags.DEFINE_boolean("allow_config_change", False, "Resume a run even though its configuration has changed.")
flags.DEFINE_string(
    "resume_from", "", "Checkpoint of this run to resume from, such as ckpt-600; by default the newest."
)


def main(_: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    with command_line.loading():  # late: --help need not wait for TensorFlow
        from experiments.pretraining.program import run

    return run()


if __name__ == "__main__":
    command_line.run(main)
