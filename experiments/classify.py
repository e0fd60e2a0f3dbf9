"""Trains an audio-video classifier on labeled clips, with harmonized gradients or a control, and tests it.

Example:
  python -m experiments.classify --gin_file=configs/classify/imbalanced.gin --gin_file=configs/classify/methods/mmpareto.gin
      --data_dir=runs/data --workdir=runs/mmpareto

The validation split chooses the epoch; result.json holds the test split's figures for that epoch and for the last one.
Running the same command again resumes from the newest checkpoint, exactly where the run stopped.
"""

from absl import flags

from experiments.running import command_line

flags.DEFINE_multi_string("gin_file", [], "gin file to read; may be repeated, later ones override earlier ones.")
flags.DEFINE_multi_string("gin_bindings", [], "A gin binding such as 'classify.epochs = 10'; overrides the files.")
flags.DEFINE_string("data_dir", "", "Directory of the data sets that experiments.prepare_data wrote.")
flags.DEFINE_string("workdir", "", "Directory of this run; created if missing, resumed if it holds a run.")
flags.DEFINE_enum("strategy", "one_device", ("one_device", "mirrored"), "How the run is distributed.")
flags.DEFINE_integer(
    "cpu_replicas", 1, "Split the CPU into this many devices, to try --strategy=mirrored.", lower_bound=1
)
flags.DEFINE_boolean("allow_config_change", False, "Resume a run even though its configuration has changed.")
flags.DEFINE_string(
    "resume_from", "", "Checkpoint of this run to resume from, such as ckpt-600; by default the newest."
)


def main(_: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    with command_line.loading():  # late: --help need not wait for TensorFlow
        from experiments.classifiers.program import run

    return run()


if __name__ == "__main__":
    command_line.run(main)
