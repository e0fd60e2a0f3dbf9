"""Times the training step of each of the study's methods; `experiments.study` starts it when nothing else runs.

Example:
  python -m experiments.studies.cost --gin_file=configs/study/quick.gin --study_dir=runs/study_quick

The steps take turns on one batch of noise, so that a busy machine is unfair to none.
"""

from absl import flags

from experiments.running import command_line

flags.DEFINE_multi_string(
    "gin_file", [], "gin file that describes the study; may be repeated, later ones override earlier ones."
)
flags.DEFINE_multi_string("gin_bindings", [], "A gin binding such as 'study.cost_repeats = 5'; overrides the files.")
flags.DEFINE_string("study_dir", "", "Directory of the study.")


def main(_: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    with command_line.loading():  # late: --help need not wait for TensorFlow
        from experiments.studies.step_cost import run

    return run()


if __name__ == "__main__":
    command_line.run(main)
