"""The work of `experiments.rank_clips`: scores every clip, writes the table and the page."""

import os
import pathlib

import numpy as np
import tqdm
from absl import flags

import data
import vatt
from data import StoredClip
from experiments.dataset_checks.contact_sheet import make_card
from experiments.dataset_checks.ranking import Ranking, is_ranking, write_csv
from experiments.dataset_checks.ranking_page import build_page
from experiments.inference.clip_scores import score_clips
from experiments.inference.trained_model import TrainedModel, open_run
from experiments.running.command_line import BadInput, RunFailed, bad_input
from experiments.running.damaged_data import damage_named, record_files
from experiments.running.own_files import require_new_or_own
from experiments.running.plain_text import for_terminal
from experiments.running.run_directory import RunDirectory

FLAGS = flags.FLAGS


def run() -> int:
    """Runs the command line; returns the exit code."""
    if not (FLAGS.workdir and FLAGS.data_dir and FLAGS.output):
        raise BadInput("--workdir, --data_dir and --output are needed; see --help for an example.")
    output = pathlib.Path(FLAGS.output)
    require_new_or_own(output / "clips.csv", "--output", is_ranking)
    run = open_run(FLAGS.workdir)
    _check_model(run)
    with bad_input():
        prepared = data.open_dataset(FLAGS.dataset or run.settings.datasets[0], FLAGS.data_dir)
        prepared.require_split(FLAGS.split)
        _make(output)
        ranking = Ranking(_scores(run, prepared), FLAGS.by)
        _write(output, run, prepared, ranking)
    for row in ranking.worst(5):
        clip_id = for_terminal(str(ranking.scores["clip_id"][row]))
        print(f"{ranking.rank(row):6d}  {ranking.scores[FLAGS.by][row]:+.3f}  {clip_id}")
    print(f"{ranking.ranked:,} of {len(ranking.order):,} clips ranked by {FLAGS.by}, worst first.")
    if note := ranking.why_unranked():
        print(note)
    print(f"Table: {output / 'clips.csv'}\nPage: {output / 'clips.html'}")
    return 0


def _make(output: pathlib.Path) -> None:
    """Finds out now, not after hours of work, whether there is a place for the output."""
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(
            f"--output should be a directory that can be created. {output} cannot: {error.strerror}."
        ) from error
    if not os.access(output, os.W_OK):
        raise BadInput(f"--output should be a directory that can be written to. {output} cannot.")


def _check_model(run: TrainedModel) -> None:
    if run.model.head is None or set(run.model.modalities) != set(vatt.MODALITIES) or run.tokenizer is None:
        raise BadInput(
            f"{run.checkpoint} should have towers for {', '.join(vatt.MODALITIES)}, a head and a vocabulary, as runs of "
            f"experiments.pretrain have. Found towers for {', '.join(run.model.modalities)}."
        )


def _scores(run: TrainedModel, prepared: data.PreparedDataset) -> dict[str, np.ndarray]:
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
        """Keeps what the page will show of this clip and returns its table row."""
        cells = ranking.cells(row, clip)
        if row in listed:
            lines[row] = cells
        if row in worst or row in best:
            cards[row] = make_card(clip, FLAGS.split, prepared, _notes(ranking, row))
        return cells

    passing = tqdm.tqdm(data.read_split(prepared, FLAGS.split), total=len(ranking.order), desc="table", unit=" clips")
    try:
        write_csv(output / "clips.csv", (visit(row, clip) for row, clip in enumerate(passing)), ranking.order)
    except OSError as error:
        raise RunFailed(f"{output / 'clips.csv'} could not be written: {error}") from error
    page = build_page(
        f"Clips of {prepared.name}, {FLAGS.split}",
        f"Scored by {run.checkpoint}, step {run.step:,}. {prepared.directory}",
        ranking,
        {
            f"The {len(rows)} {end} clips": [cards[row] for row in rows]
            for end, rows in (("worst", worst), ("best", best))
        },
        [lines[row] for row in ranking.order if row in lines],
    )
    RunDirectory(output).write(output / "clips.html", page)


def _notes(ranking: Ranking, row: int) -> list[str]:
    short = {"video_text_similarity": "text", "video_audio_similarity": "sound", "feature_gradient_cosine": "gradients"}
    values = {title: ranking.scores[name][row] for name, title in short.items()}
    return [
        f"rank {ranking.rank(row)}",
        *(f"{title} {value:+.2f}" for title, value in values.items() if np.isfinite(value)),
    ]
