"""Ranks the clips of a prepared data set by how well a trained model finds that text, audio and video match.

Example:
  python -m experiments.rank_clips --workdir=runs/demo --dataset=synthetic --split=train --data_dir=runs/data \\
      --output=runs/demo/ranking

For cleaning a collection of videos. Writes into --output

  clips.csv   every clip, least trustworthy first: rank, scores, clip_id, source, start_seconds, captions
  clips.html  a self-contained page: the worst and the best clips with frames, audio and captions, and a table of the
              worst and the best that sorts by any column

The scores, each lower where a clip is thought misaligned:

  video_text_similarity, video_audio_similarity   cosines of the embeddings, the text's being the mean of its captions'
  summed_similarity                               their sum, the default of --by
  feature_gradient_cosine                         cosine of the gradients of the clip's own two losses with respect to its
                                                  pooled video feature; the negatives are the other clips of its batch of
                                                  --batch_size, in the order of the records, which was drawn at random

A clip without text or without audio has only the scores that do not need it, and has a rank only if --by is one of them:
--by=video_audio_similarity ranks clips without text, --by=video_text_similarity clips without audio. Every record is read
twice; memory grows by a few dozen bytes per clip.

Exit codes: 0 done, 1 a record is damaged, the checkpoint is broken or the result cannot be written, 2 bad input.
"""

from absl import flags

from experiments.inference.score_names import SCORES
from experiments.running import command_line

flags.DEFINE_string("workdir", "", "A run directory (its newest checkpoint) or RUN/checkpoints/ckpt-STEP.")
flags.DEFINE_string("dataset", "", "The data set; default: the first one the run was trained on.")
flags.DEFINE_string("split", "train", "Its split.")
flags.DEFINE_string("data_dir", "", "Directory of the data sets that experiments.prepare_data wrote.")
flags.DEFINE_string("output", "", "Directory to write to.")
flags.DEFINE_enum("by", "summed_similarity", list(SCORES), "The score to rank by.")
flags.DEFINE_integer("batch_size", 32, "Clips per batch.", lower_bound=2)
flags.DEFINE_integer("clips", 12, "Clips to show at each end.", lower_bound=0)
flags.DEFINE_integer("rows", 1000, "Rows of the page's table from each end.", lower_bound=1)


def main(_: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    with command_line.loading():  # late: --help need not wait for TensorFlow
        from experiments.dataset_checks.rank_program import run

    return run()


if __name__ == "__main__":
    command_line.run(main)
