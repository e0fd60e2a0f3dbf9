"""Ranks the clips of a prepared data set by how well text, sound and picture fit, as a trained model sees it.

Example:
  python -m experiments.rank_clips --workdir=runs/demo --dataset=synthetic --split=train --data_dir=runs/data \\
      --output=runs/demo/ranking

For whoever cleans a collection of videos. Writes into --output

  clips.csv   every clip, the least trustworthy first: rank, scores, clip_id, source, start_seconds, captions
  clips.html  one page that holds all it shows: the worst and the best clips with frames, sound and captions, and a table
              of the worst and the best that sorts by any column

The scores, each lower where a clip is thought misaligned:

  video_text_similarity, video_audio_similarity   cosines of the embeddings, the text's being the mean of its captions'
  summed_similarity                               their sum, the default of --by
  feature_gradient_cosine                         cosine of the gradients of the clip's own two losses with respect to its
                                                  pooled video feature; the negatives are the other clips of its batch of
                                                  --batch_size, in the order of the records, which was drawn at random

A clip without text or without sound has only the scores that do not need it, and has a rank only if --by is one of them:
--by=video_audio_similarity ranks clips without text, --by=video_text_similarity clips without sound. Every record is read
twice; memory grows by some dozens of bytes a clip.

Exit codes: 0 done, 1 a record is damaged, the checkpoint is broken or the result cannot be written, 2 bad input.
"""

import os
import pathlib

import numpy as np
import tqdm
from absl import flags

import data
import vatt
from data.records.stored_clips import StoredClip
from experiments.dataset_checks.contact_sheet import make_card
from experiments.dataset_checks.ranking import Ranking, clips_of, write_csv
from experiments.dataset_checks.ranking_page import build_page
from experiments.inference.clip_scores import SCORES, score_clips
from experiments.inference.trained_model import TrainedModel, open_run
from experiments.running import command_line
from experiments.running.command_line import BadInput, RunFailed, bad_input
from experiments.running.damaged_data import damage_named, record_files
from experiments.running.run_directory import RunDirectory

FLAGS = flags.FLAGS
flags.DEFINE_string("workdir", "", "A run directory (its newest checkpoint) or RUN/checkpoints/ckpt-STEP.")
flags.DEFINE_string("dataset", "", "The data set; the first one the run was trained on by default.")
flags.DEFINE_string("split", "train", "Its split.")
flags.DEFINE_string("data_dir", "", "Where experiments.prepare_data has put the data sets.")
flags.DEFINE_string("output", "", "Directory to write to.")
flags.DEFINE_enum("by", "summed_similarity", list(SCORES), "The score that decides.")
flags.DEFINE_integer("batch_size", 32, "Clips that are scored at once.", lower_bound=2)
flags.DEFINE_integer("clips", 12, "Clips to show at each end.", lower_bound=0)
flags.DEFINE_integer("rows", 1000, "Lines of the page's table from each end.", lower_bound=1)


def main(_) -> int:
    """Runs the command line; returns the exit code."""
    if not (FLAGS.workdir and FLAGS.data_dir and FLAGS.output):
        raise BadInput("--workdir, --data_dir and --output are needed; see --help for an example.")
    output = _made(pathlib.Path(FLAGS.output))
    run = open_run(FLAGS.workdir)
    _check_model(run)
    with bad_input():
        prepared = data.open_dataset(FLAGS.dataset or run.settings.datasets[0], FLAGS.data_dir)
        ranking = Ranking(_scores(run, prepared), FLAGS.by)
        _write(output, run, prepared, ranking)
    for row in ranking.worst(5):
        print(f"{ranking.rank(row):6d}  {ranking.scores[FLAGS.by][row]:+.3f}  {ranking.scores['clip_id'][row]}")
    print(f"{ranking.ranked:,} of {len(ranking.order):,} clips ranked by {FLAGS.by}, the worst first.")
    if note := ranking.why_unranked():
        print(note)
    print(f"Table: {output / 'clips.csv'}\nPage: {output / 'clips.html'}")
    return 0


def _made(output: pathlib.Path) -> pathlib.Path:
    """Finds out now, not after hours of work, whether there is a place for the output."""
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"--output should be a directory that can be made. {output} cannot: {error.strerror}.") from error
    if not os.access(output, os.W_OK):
        raise BadInput(f"--output should be a directory that can be written to. {output} cannot.")
    return output


def _check_model(run: TrainedModel) -> None:
    if run.model.head is None or set(run.model.modalities) != set(vatt.MODALITIES) or run.tokenizer is None:
        raise BadInput(
            f"{run.checkpoint} should have towers for {', '.join(vatt.MODALITIES)}, a head and a vocabulary, as runs of "
            f"experiments.pretrain have. Found towers for {', '.join(run.model.modalities)}."
        )


def _scores(run: TrainedModel, prepared: data.PreparedDataset) -> dict[str, np.ndarray]:
    prepared.require_split(FLAGS.split)
    total = prepared.split_sizes[FLAGS.split]
    batch_size = min(FLAGS.batch_size, total)
    batches = data.eval_batches(prepared, FLAGS.split, run.settings.clips, run.tokenizer, batch_size=batch_size)
    options = dict(temperature=run.settings.temperature, form=run.settings.loss)
    with damage_named(lambda: record_files(prepared, FLAGS.split)):
        return score_clips(run.model, batches, batch_size, total, options)


def _write(output: pathlib.Path, run: TrainedModel, prepared: data.PreparedDataset, ranking: Ranking) -> None:
    worst, best = ranking.worst(FLAGS.clips), ranking.best(FLAGS.clips)
    listed = {*ranking.worst(FLAGS.rows), *ranking.best(FLAGS.rows), *ranking.unranked(FLAGS.rows)}
    cards, lines = {}, {}

    def visit(row: int, clip: StoredClip) -> list[str]:
        """Takes of a clip that passes by what the page shows of it; returns its line of the table."""
        cells = ranking.cells(row, clip)
        if row in listed:
            lines[row] = cells
        if row in worst or row in best:
            cards[row] = make_card(clip, FLAGS.split, prepared, _notes(ranking, row))
        return cells

    passing = tqdm.tqdm(clips_of(prepared, FLAGS.split), total=len(ranking.order), desc="table", unit=" clips")
    try:
        write_csv(output / "clips.csv", (visit(row, clip) for row, clip in enumerate(passing)), ranking.order)
    except OSError as error:
        raise RunFailed(f"{output / 'clips.csv'} could not be written: {error}") from error
    page = build_page(
        f"Clips of {prepared.name}, {FLAGS.split}",
        f"Scored by {run.checkpoint}, step {run.step:,}. {prepared.directory}",
        ranking,
        {f"The {len(rows)} {end} clips": [cards[row] for row in rows] for end, rows in (("worst", worst), ("best", best))},
        [lines[row] for row in ranking.order if row in lines],
    )
    RunDirectory(output).write(output / "clips.html", page)


def _notes(ranking: Ranking, row: int) -> list[str]:
    short = {"video_text_similarity": "text", "video_audio_similarity": "sound", "feature_gradient_cosine": "gradients"}
    values = {title: ranking.scores[name][row] for name, title in short.items()}
    return [f"rank {ranking.rank(row)}", *(f"{title} {value:+.2f}" for title, value in values.items() if np.isfinite(value))]


if __name__ == "__main__":
    command_line.run(main)
