"""Prepares a zoo of media files, in each of which it is known what is seen, heard and said when, and counts what came out.

Example:
  python -m experiments.benchmarks.media_zoo --seed=0 --files=390

Each file is a container with a codec of pictures and one of sound, an orientation, a layout of channels, a frame rate, a form
of captions, and an oddity or a fault; the seed decides which come together, and what comes least is drawn first. In it a
flash, a click, a color, four corners and two captions are planted. All are prepared in one folder, as
`prepare_data --dataset=folder` does it, and each is

  right      everything is as planted, and the report says nothing of the file
  noted      the report names the file and says what is the matter; what can be as planted is
  concealed  the file was damaged at random and is not as planted, and FFmpeg has neither reported an error nor marked a frame,
             which only an original would show: .asf and .wmv lose packets unseen, and PCM, ADPCM and lossless pictures in .avi
             have no check sums
  wrong      something is not as planted, or is noted falsely
  unnoted    the report should say something and does not

The table is Markdown. Files that are wrong or unnoted are listed after it, and the exit code is 1 if there are any. Frames may
not differ in number or place; a click may be off by 0.05 s (half a frame) and captions by 0.03 s. In .asf, .wmv, .mpg and .vob
files and those that have only times of decoding, the pictures may come up to two stored frames late.
"""

from absl import flags

from experiments.running import command_line

flags.DEFINE_integer("seed", 0, "What the files are drawn with.", lower_bound=0)
flags.DEFINE_integer("files", 390, "How many there are.", lower_bound=1)
flags.DEFINE_string("keep", None, "An empty directory for the files; they are removed if it is not given.")


def main(_: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    with command_line.loading():  # late: --help need not wait for TensorFlow
        from experiments.benchmarks.zoo import visit

    return visit.run(flags.FLAGS.seed, flags.FLAGS.files, flags.FLAGS.keep)


if __name__ == "__main__":
    command_line.run(main)
