"""Clips per second of the input pipeline, next to the bound and a plain TFDS pipeline.

Example:
  python -m experiments.benchmarks.input

A data set is made first: clips of 40 frames of 256 x 341 pixels, noise whose amplitude falls with frequency as that of
photographs does (f^-1.2 after a video codec has smoothed it; 128 +- 50 in brightness, less in color), and sound. Then, in
turn, in one process, each way makes clips of 32 x 224 x 224 pixels:

  bound         decodes the JPEG bytes of 32 frames, whole, and does nothing else
  crops         decodes of these frames the crops that the pipeline uses, and does nothing else
  plain chroma  the same without smoothing colors, which JPEG stores at half the size, between pixels
  fast DCT      the same with the inverse transform that is named the fastest
  device        `data.train_batches` as in pre-training, with sound and text, the frames left for the step to finish
                (augment_on="device")
  host          the same with frames cropped, resized, flipped and colored (augment_on="host")
  no jitter     the same without the change of colors
  as_dataset    what TFDS gives (every frame decoded), then a random crop, a resize, a flip and `tf.image`'s color changes

A core's clips per second are those per second of processor time, which other programs on the machine disturb little. The
ratio is the median of those of the turns. What a clip's video weighs on its way to the device is shown as well, and the
signal-to-noise ratio (PSNR) of decoding in the cheaper ways, to that of the default.

With --storing, JPEGs of other qualities, color resolutions and sizes are compared instead: what a clip weighs in the
records, how true its frames are to what was stored, and how fast they are decoded.
"""

from absl import flags

from experiments.running import command_line

flags.DEFINE_integer("threads", 1, "Threads of TensorFlow.", lower_bound=1)
flags.DEFINE_integer("repeats", 7, "Rounds; the medians are reported.", lower_bound=1)
flags.DEFINE_integer("clips", 8, "Clips that each variant reads per round.", lower_bound=1)
flags.DEFINE_bool("storing", False, "Compare ways to store frames.")


def main(_: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    with command_line.loading():  # late: --help need not wait for TensorFlow
        from experiments.benchmarks import input_timing, stored_frames

    return stored_frames.run() if flags.FLAGS.storing else input_timing.run()


if __name__ == "__main__":
    command_line.run(main)
