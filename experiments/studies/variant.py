"""Trains and measures the points of one of the study's methods or ablations; `experiments.study` starts it for each.

Example:
  python -m experiments.studies.variant --gin_file=configs/study/quick.gin --variant=gr \\
      --data_dir=runs/study_quick/data --study_dir=runs/study_quick

A finished point has a file in STUDY_DIR/VARIANT/points and is not run again.
"""

from absl import flags

from experiments.running import command_line
from experiments.running.command_line import BadInput

FLAGS = flags.FLAGS
flags.DEFINE_multi_string(
    "gin_file", [], "gin file that describes the study; may be repeated, later ones override earlier ones."
)
flags.DEFINE_multi_string("gin_bindings", [], "A gin binding such as 'study.seeds = (1, 2)'; overrides the files.")
flags.DEFINE_string("variant", "", "The method or ablation.")
flags.DEFINE_string("data_dir", "", "Where the study's data sets are.")
flags.DEFINE_string("study_dir", "", "Directory of the study.")
flags.DEFINE_string(
    "output_dir", "", "Directory of the page, to whose results.jsonl finished points are added; none if empty."
)
_REPLICAS_BEFORE = 2


def main(_) -> int:
    """Runs the command line; returns the exit code."""
    with command_line.loading():  # late: --help need not wait for TensorFlow
        import tensorflow as tf

        from experiments.running import strategies
        from experiments.studies import config as study_config
        from experiments.studies.directory import StudyDirectory
        from experiments.studies.points import run_variant
        from experiments.studies.record import Record

    study = study_config.parse(FLAGS.gin_file, FLAGS.gin_bindings)
    if FLAGS.variant not in study.variants:
        raise BadInput(f"--variant should be one of {', '.join(study.variants)}. Found {FLAGS.variant!r}.")
    if not FLAGS.data_dir or not FLAGS.study_dir:
        raise BadInput("--data_dir and --study_dir are needed.")
    name = "one_device"
    if study.pretraining(FLAGS.variant).all_reduce == "before":  # with one replica there would be no difference
        strategies.split_cpu(_REPLICAS_BEFORE)
        name = "mirrored"
    tf.config.experimental.enable_op_determinism()
    strategy, directory = strategies.create_strategy(name), StudyDirectory(FLAGS.study_dir)
    record = Record(FLAGS.output_dir) if FLAGS.output_dir else None
    run_variant(study, FLAGS.variant, strategy, FLAGS.data_dir, directory, record)
    return 0


if __name__ == "__main__":
    command_line.run(main)
