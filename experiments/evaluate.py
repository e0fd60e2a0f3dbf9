"""Evaluates a pre-training run, on the data it was trained on and on the paper's six downstream tasks.

Examples:
  python -m experiments.evaluate --workdir=runs/demo --data_dir=runs/data
  python -m experiments.evaluate --workdir=RUN --data_dir=DATA --frames_per_second=12.5
      --tasks=ucf101,hmdb51,esc50,kinetics400,youcook2,msrvtt

Without --tasks: retrieval between text, video and sound in six directions, linear probes, zero-shot classification by the
names of the classes and the detection of misaligned clips, on the run's own data.
The downstream tasks have the names of their data sets, which experiments.prepare_data prepares:

  ucf101, hmdb51, esc50   frozen features, a low-rank classifier and a linear SVM; the mean over all official splits; and
                          zero-shot, by the names of the classes, if the model has text
  kinetics400             a fine-tuning by experiments.finetune, in 4 x 3 views of each clip of the split validation
  youcook2, msrvtt        zero-shot retrieval by text and of text, 4 windows per clip: validation; test_1k_a, and all of test

Writes result.json and report/evaluation.npz into the run's directory, added to earlier evaluations of the same checkpoint,
and prints a table: each figure with the number of clips, its chance level and, where clips were ranked, a confidence interval.
"""

from absl import flags

from experiments.evaluation.tasks import DOWNSTREAM_TASKS, OWN_TASKS
from experiments.inference.prompts import PROMPTS
from experiments.running import command_line
from experiments.running.command_line import BadInput

FLAGS = flags.FLAGS
flags.DEFINE_string("workdir", "", "Directory of the run.")
flags.DEFINE_string("data_dir", "", "Directory of the data sets that experiments.prepare_data wrote.")
flags.DEFINE_string(
    "dataset", "", "Data set for the tasks on the run's own data; default: the first one it was trained on."
)
flags.DEFINE_list("tasks", list(OWN_TASKS), f"What to evaluate: some of {','.join((*OWN_TASKS, *DOWNSTREAM_TASKS))}.")
flags.DEFINE_integer("batch_size", 32, "Clips, or windows of clips, per batch.", lower_bound=1)
flags.DEFINE_float(
    "frames_per_second", None, "Frame rate in downstream tasks (not kinetics400), a divisor of the prepared sets' rate; default: "
    "that of the run. VATT evaluates at 12.5 (sets prepared with --frames_per_second=25 or 12.5)."
)  # fmt: skip
flags.DEFINE_integer("epochs", 1000, "Epochs of the low-rank classifier.", lower_bound=1)
flags.DEFINE_string(
    "finetuned", None, "For kinetics400: a run of experiments.finetune that started from this run; its best checkpoint, or the one "
    "given as RUN/checkpoints/ckpt-STEP. Default: WORKDIR/kinetics400."
)  # fmt: skip
flags.DEFINE_multi_string(
    "prompt", list(PROMPTS), "A sentence for zero-shot classification, with {} for the name of a class; may be given several times."
)  # fmt: skip


def main(_) -> int:
    """Runs the command line; returns the exit code."""
    with command_line.loading():  # late: --help need not wait for TensorFlow
        from experiments.evaluation.evaluate import evaluate
        from experiments.evaluation.table import format_table, rows
        from experiments.running.run_directory import RunDirectory

    if not FLAGS.workdir or not FLAGS.data_dir:
        raise BadInput("--workdir and --data_dir are needed; see --help for an example.")
    directory = RunDirectory(FLAGS.workdir)
    downstream = {name: FLAGS[name].value for name in ("frames_per_second", "epochs", "finetuned")}
    downstream["prompts"] = tuple(FLAGS.prompt)
    result, notes = evaluate(
        directory, FLAGS.data_dir, FLAGS.dataset or None, FLAGS.tasks, FLAGS.batch_size, **downstream
    )
    print(
        f"\n{directory.path}, step {result['step']}, evaluated on {', '.join([result['dataset'], *result['tasks']])}\n"
    )
    print(format_table(rows(result)))
    for note in notes:
        print(f"Note: {note}")
    print(f"\nResult: {directory.result}")
    return 0


if __name__ == "__main__":
    command_line.run(main)
