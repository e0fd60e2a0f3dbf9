"""Clips per second of the input pipeline, next to the bound and a plain TFDS pipeline.

Example:
  python -m experiments.benchmarks.input

A data set is made first: clips of 40 frames of 256 x 341 pixels, noise whose amplitude falls with frequency as that of
photographs does (f^-1.2 after a video codec has smoothed it; 128 +- 50 in brightness, less in color), and sound. Then, in
turn, in one process, each way makes clips of 32 x 224 x 224 pixels:

  bound       decodes the JPEG bytes of 32 frames, whole, and does nothing else
  crops       decodes of these frames the crops that the pipeline uses, and does nothing else
  pipeline    `data.train_batches` as in pre-training: parsed, cropped, resized, flipped, colors changed, with sound and text
  no jitter   the same without the change of colors
  as_dataset  what TFDS gives (every frame decoded), then a random crop, a resize, a flip and `tf.image`'s color changes

A core's clips per second are those per second of processor time, which other programs on the machine disturb little. The
ratio is the median of those of the turns.
"""

from absl import flags

from experiments.running import command_line

flags.DEFINE_integer("threads", 1, "Threads of TensorFlow.", lower_bound=1)
flags.DEFINE_integer("repeats", 7, "Rounds; the medians are reported.", lower_bound=1)
flags.DEFINE_integer("clips", 8, "Clips that each variant reads per round.", lower_bound=1)


def main(_: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    from experiments.benchmarks.input_timing import run  # late: --help need not wait for TensorFlow

    return run()


if __name__ == "__main__":
    command_line.run(main)
