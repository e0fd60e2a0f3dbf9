"""Embeds your own videos, audio files and sentences with a trained model, and searches the videos by sentences.

Examples:
  python -m experiments.embed --checkpoint=runs/demo --inputs='clips/*.mp4' --texts=queries.txt --output=features.npz
  python -m experiments.embed --features=features.npz --search='a red square falling' --top=5

Reads whatever FFmpeg reads: mp4, webm, mkv, avi, mov, flv, or audio alone (wav, flac, mp3, ogg, m4a). Files that cannot be
used are named and skipped. The output has one row per clip:

  file, start_seconds, end_seconds         the clip's file and its place in it
  has_video, has_audio                     whether the clip has it; the rows below are zeros if not
  features_video, features_audio           pooled features, for classifiers of your own
  video_audio_video, video_audio_audio     embeddings in the video-audio space: compare them by cosine
  video_text_video                         embedding in the video-text space

one row per line of --texts that is not blank: text, features_text, video_text_text (same space as video_text_video), and
once: checkpoint, checkpoint_step, checkpoint_fingerprint. Modalities that the model lacks have no rows.

A search warns first if the order of its results means little: the model is hardly trained, or all videos fit equally well.

Exit codes: 0 done, 1 nothing could be embedded or another failure, 2 bad input.
"""

from absl import flags

from experiments.running import command_line

flags.DEFINE_string(
    "checkpoint",
    "",
    "A run directory (its newest checkpoint) or RUN/checkpoints/ckpt-STEP; default: that of --features.",
)
flags.DEFINE_multi_string(
    "inputs",
    [],
    "Files, or patterns such as 'clips/**/*.mp4'; may be given several times, or listed at the end without a flag.",
)
flags.DEFINE_string("texts", "", "A UTF-8 file with one sentence per line.")
flags.DEFINE_string("output", "", "The file to write; its content is described above.")
flags.DEFINE_string("features", "", "An earlier --output to search in; needs no --inputs.")
flags.DEFINE_string(
    "windows", "1", "Clips per file: 1 (its middle), more (evenly spaced), or 'all' (one after the other)."
)
flags.DEFINE_integer("batch_size", 16, "Clips per batch.", lower_bound=1)
flags.DEFINE_multi_string("search", [], "A sentence; prints the clips that match it best. May be repeated.")
flags.DEFINE_integer("top", 10, "How many clips a search prints.", lower_bound=1)


def main(arguments: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    with command_line.loading():  # late: --help need not wait for TensorFlow
        from experiments.inference.embed_program import run

    return run(arguments)


if __name__ == "__main__":
    command_line.run(main, takes_arguments=True)
