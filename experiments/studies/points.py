"""Trains the study's points, measures what they have learned, and keeps it."""

import pathlib
import tempfile
import time

import numpy as np
import tensorflow as tf

import data
from experiments.dataset_checks.ranking import Ranking, write_csv
from experiments.evaluation.alignment import clip_indicators, compiled_indicators, separation
from experiments.evaluation.tasks.alignment import BATCH as ALIGNMENT_BATCH
from experiments.inference import retrieval
from experiments.inference.clip_scores import score_clips
from experiments.inference.linear_probe import linear_probe
from experiments.inference.split_embeddings import embed
from experiments.pretraining.clip_weights import read_tables
from experiments.running.command_line import RunFailed
from experiments.running.durations import duration
from experiments.running.run_directory import operative_config
from experiments.studies.config import CLEAN, Point, Study
from experiments.studies.data import open_set, sets_of, vocabulary_path
from experiments.studies.directory import StudyDirectory
from experiments.studies.record import Record, origin
from experiments.studies.training import ReusableRun
from experiments.training import quantities, step_columns

_EVALUATION_BATCH = 48
_RANKING_BATCH = 32  # the default of experiments.rank_clips
_LAST_STEPS = 20  # over which the losses at the end are averaged


def run_variant(
    study: Study,
    variant: str,
    strategy: tf.distribute.Strategy,
    data_dir: str,
    directory: StudyDirectory,
    record: Record | None = None,
) -> None:
    """Runs what is not finished of a variant's points.

    Args:
      study: The study.
      variant: A method, the oracle or an ablation.
      strategy: Where it runs.
      data_dir: Where the study's data sets are.
      directory: Of the runs.
      record: Each finished point is also added to it; `None` for no record.

    Raises:
      BadInput: The data are not prepared, or the variant's directory holds one of another configuration or is being written.
      RunFailed: A run is not finite.
    """
    with directory.variant(variant).only_writer("training"):
        _run_points(study, variant, strategy, data_dir, directory, record)


def _run_points(study, variant, strategy, data_dir, directory, record):
    points = study.points(variant)
    settings = study.pretraining(variant)
    vocabulary = pathlib.Path(vocabulary_path(study, data_dir))
    described = open_set(study, CLEAN, study.seeds[0], data_dir).describe()  # it is there whatever is finished
    directory.variant(variant).start(operative_config(), described, vocabulary, allow_config_change=False)
    tokenizer = data.WordPieceTokenizer(str(vocabulary), settings.clips.words)
    runs = ReusableRun(settings, strategy, tokenizer.vocabulary_size)
    evaluation, made = Evaluation(study, runs, tokenizer), origin()
    for number, point in enumerate(points, start=1):
        if directory.has_point(point):
            continue
        start = time.monotonic()
        try:
            result = run_point(study, runs, evaluation, point, data_dir) | {"origin": made}
        except RunFailed as error:
            raise RunFailed(f"{variant}, {point.name}: {error}") from error
        directory.write_point(point, result)
        if record is not None:
            record.append(result)
        print(f"\n[{number}/{len(points)}] {variant}, {point.name}: {duration(time.monotonic() - start)}", flush=True)


def run_point(study: Study, runs: ReusableRun, evaluation: "Evaluation", point: Point, data_dir: str) -> dict:
    """Trains a point and measures what it has learned.

    The probes are learned on the clean training clips of the same scenes, whatever the run was trained on: labels are
    those of the picture, so that a clip with another scene's sound has a wrong one.

    Args:
      study: The study.
      runs: The variant's.
      evaluation: Of `runs`' model.
      point: Which point.
      data_dir: Where the study's data sets are.

    Returns:
      The point's result, for JSON: `point`, `retrieval`, `linear_probe`, `training`, `watched` and `seconds`; the first
      two in the shape that `result.json` has them.
    """
    started = time.monotonic()
    noisy, clean = sets_of(study, point, data_dir)
    watched = []

    def after_step(step: int) -> None:
        if point.variant in study.watched and point.noise != CLEAN and step in study.watch_steps:
            watched.append({"step": step, **evaluation.indicators(noisy, per_clip=step == study.watch_steps[-1])})

    weights, dropped = None, {}
    if study.has_two_passes(point.variant):
        runs.restart(point.seed)
        runs.train(noisy, evaluation.tokenizer, lambda _: None)
        weights, dropped = evaluation.measured_weights(noisy)
    runs.restart(point.seed)
    only_aligned = study.is_oracle(point.variant)
    columns = runs.train(noisy, evaluation.tokenizer, after_step, only_aligned=only_aligned, pair_weights=weights)
    trained = time.monotonic()
    result = {"point": point._asdict(), **evaluation.figures(clean), "training": _training(columns), "watched": watched}
    result |= {"dropped": dropped} if dropped else {}
    return result | {"seconds": {"training": trained - started, "evaluation": time.monotonic() - trained}}


def _training(columns):
    """Summaries of the run; the losses at its end."""
    columns = step_columns.with_undefined(columns)
    # The time of a step is not among those that are kept.
    whole, last = (
        step_columns.over_loop({name: values[start:] for name, values in columns.items()}, step_seconds=1.0)
        for start in (0, -_LAST_STEPS)
    )
    kept = {quantity.name for quantity in quantities.RUN_QUANTITIES}
    means = {name: value for name, value in whole.items() if name in kept}
    losses = {name: value for name, value in last.items() if name.startswith("loss_")}
    return means | losses | {"steps": len(columns["cosine"])}


class Evaluation:
    """Measures the model of a run, as it is at the moment.

    Args:
      study: The study.
      runs: Holds the model.
      tokenizer: Strings to token ids.
    """

    def __init__(self, study: Study, runs: ReusableRun, tokenizer: data.WordPieceTokenizer):
        self.study, self.settings, self.tokenizer, self.model = study, runs.settings, tokenizer, runs.run.model
        self.loss_options = dict(temperature=runs.settings.temperature, form=runs.settings.loss)
        self._compute = compiled_indicators(self.model, self.loss_options)

    def figures(self, clean: data.PreparedDataset) -> dict:
        """Returns the figures of retrieval and linear probes, in the shape that `result.json` has them."""
        test = self._embed(clean, "test", ("video", "audio", "text"))
        train = self._embed(clean, "train", ("video", "audio"))
        found = retrieval.ranks(test.video_text["text"], test.video_text["video"])
        probes = {
            name: linear_probe(train.features[name], train.facts["label"], test.features[name], test.facts["label"])
            for name in ("video", "audio")
        }
        return {"retrieval": {"text_to_video": retrieval.metrics(found, len(found))}, "linear_probe": probes}

    def measured_weights(self, noisy: data.PreparedDataset) -> tuple[data.PairWeights, dict]:
        """Returns what `pretrain.clip_weights` makes of the table of experiments.rank_clips, by its defaults.

        And of `text` and `audio`, how many pairs of the set are `false`, and how many are `dropped` and `dropped_false`.
        """
        total, aligned = noisy.split_sizes["train"], []

        def passing():
            for batch in self._batches(noisy, "train", min(_RANKING_BATCH, total)):
                aligned.append({name: batch[f"{name}_aligned"].numpy() for name in ("text", "audio")})
                yield batch

        scores = score_clips(self.model, passing(), min(_RANKING_BATCH, total), total, self.loss_options)
        weights = self._weights_by(scores, noisy)
        return weights, {name: _dropped(scores, weights, aligned, name) for name in ("text", "audio")}

    def _weights_by(self, scores, noisy):
        ranking = Ranking(scores, "summed_similarity")
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "clips.csv"
            lines = (ranking.cells(row, clip) for row, clip in enumerate(data.read_split(noisy, "train")))
            write_csv(path, lines, ranking.order)
            (table,) = read_tables(str(path), [noisy.name]).values()
        return table.weights

    def indicators(self, noisy: data.PreparedDataset, per_clip: bool) -> dict:
        """Returns how well misaligned clips are told apart; under `values` also each clip's indicators, if asked for."""
        total = self.study.watched_clips
        batches = self._batches(noisy, "validation", ALIGNMENT_BATCH).unbatch().take(total).batch(ALIGNMENT_BATCH)
        clips = clip_indicators(self.model, batches, total, self.loss_options, self._compute)
        kept = {name: values.astype(float).round(3).tolist() for name, values in clips.items() if name != "clip_id"}
        return separation(clips) | ({"values": kept} if per_clip else {})

    def _embed(self, prepared, split, modalities):
        batches = self._batches(prepared, split, _EVALUATION_BATCH)
        return embed(self.model, batches, prepared.split_sizes[split], modalities, split)

    def _batches(self, prepared, split, batch_size):
        return data.eval_batches(prepared, split, self.settings.clips, self.tokenizer, batch_size=batch_size)


def _dropped(scores, weights, aligned, name):
    """Counts the false pairs of a set, in all and among those that weigh nothing."""
    false = dict(zip(scores["clip_id"], np.concatenate([batch[name] for batch in aligned]) == 0, strict=True))
    dropped = [false[clip] for clip, weight in zip(weights.clip_ids, getattr(weights, name), strict=True) if not weight]
    counts = {"pairs": len(false), "false": sum(false.values()), "dropped": len(dropped), "dropped_false": sum(dropped)}
    return {key: int(count) for key, count in counts.items()}
