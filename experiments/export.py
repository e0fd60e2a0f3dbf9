"""Writes a trained model as a SavedModel: signatures for video, audio and text, loadable without this project.

Example:
  python -m experiments.export --checkpoint=runs/demo --output=exported

Loading it needs TensorFlow and, for the text signature of a run with the wordpiece tokenizer, `import tensorflow_text`:

  model = tf.saved_model.load("exported")
  model.signatures["text"](text=tf.constant(["a red square falling"]))["video_text_text"]

The signatures take `video` float32 [batch, frames, height, width, 3] and `waveform` float32 [batch, samples], in [-1, 1], and
`text` strings [batch]; they return pooled features and the embeddings in both spaces. export.json in the directory gives the
shapes and rates; the vocabulary is in assets/.

Exit codes: 0 done, 1 a failure, 2 bad input.
"""

from absl import flags

from experiments.running import command_line
from experiments.running.command_line import BadInput

FLAGS = flags.FLAGS
flags.DEFINE_string("checkpoint", "", "A run directory (its newest checkpoint) or RUN/checkpoints/ckpt-STEP.")
flags.DEFINE_string("output", "", "The directory to write; must not exist yet.")


def main(_) -> int:
    """Runs the command line; returns the exit code."""
    with command_line.loading():  # late: --help need not wait for TensorFlow
        from experiments.inference.exported_model import DESCRIPTION_FILE, check_target, write_saved_model
        from experiments.inference.trained_model import open_run

    if not FLAGS.checkpoint or not FLAGS.output:
        raise BadInput("--checkpoint and --output are needed; see --help for an example.")
    target = check_target(FLAGS.output)
    description = write_saved_model(open_run(FLAGS.checkpoint), target)
    for modality, results in description["outputs"].items():
        print(f"{modality}: " + ", ".join(f"{name} [{result['dim']}]" for name, result in results.items()))
    if "text" not in description["outputs"]:
        print("Note: no text signature; the run has no text path or no vocabulary.")
    print(f"Output: {target} (see {DESCRIPTION_FILE} there)")
    return 0


if __name__ == "__main__":
    command_line.run(main)
