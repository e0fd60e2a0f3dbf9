"""The evaluation of a run: on the data it was trained on, which task needs which split; and on downstream sets."""

from collections.abc import Sequence

import numpy as np

import data
from experiments.evaluation.alignment import clip_indicators, separation
from experiments.evaluation.finetuned import KINETICS, missing_finetuning
from experiments.evaluation.result import NO_PROBE, NO_RETRIEVAL, Found, add_to_result
from experiments.evaluation.task_names import DOWNSTREAM_TASKS, OWN_TASKS
from experiments.evaluation.tasks import open_tasks
from experiments.evaluation.windows import Settings
from experiments.inference import retrieval
from experiments.inference.linear_probe import linear_probe
from experiments.inference.split_embeddings import Embeddings, embed
from experiments.inference.trained_model import TrainedModel, open_run
from experiments.running.command_line import BadInput, bad_input
from experiments.running.damaged_data import damage_named, record_files
from experiments.running.run_directory import RunDirectory

# The exact gradient of one clip costs two backward passes over its batch: few clips, small batches.
ALIGNMENT_CLIPS, ALIGNMENT_BATCH = 128, 8


class Evaluation:
    """Evaluates a run's newest checkpoint on a prepared data set.

    Args:
      run: The run's model.
      prepared: The data set.
      batch_size: Clips that are embedded at once.

    Attributes:
      notes: Sentences on what was left out, and why.
      arrays: What the report draws: facts and embeddings of the test split, ranks, indicators per clip.
    """

    def __init__(self, run: TrainedModel, prepared: data.PreparedDataset, batch_size: int):
        self.run, self.prepared, self.batch_size = run, prepared, batch_size
        self.notes: list[str] = []
        self.arrays: dict[str, np.ndarray] = {}
        self._test: Embeddings | None = None

    def retrieval(self) -> dict:
        """Text to video retrieval: all clips of `test` that have text, each asked for by its `caption_query`."""
        if not self._has_splits("retrieval", "test"):
            return NO_RETRIEVAL
        test = self._embedded_test()
        has_text = test.facts["has_text"]
        if not has_text.any():
            self.notes.append("retrieval is left out: no clip of the split test has captions.")
            return NO_RETRIEVAL
        found = retrieval.ranks(test.video_text["text"][has_text], test.video_text["video"][has_text])
        self.arrays["rank"] = np.zeros(len(has_text), np.int64)  # 0: not part of the gallery
        self.arrays["rank"][has_text] = found
        return retrieval.metrics(found, gallery=len(found))

    def linear_probe(self) -> dict[str, dict]:
        """Linear probes of video and sound, learned on `train`, tested on `test`; one middle window per clip."""
        results = dict.fromkeys(("video", "audio"), NO_PROBE)
        if not self.prepared.class_names:
            self.notes.append(f"linear_probe is left out: the data set {self.prepared.name} has no classes.")
            return results
        if not self._has_splits("linear_probe", "train", "test"):
            return results
        train, test = self._embed("train", ("video", "audio")), self._embedded_test()
        for modality in results:
            learned, tested = _labels(train, modality), _labels(test, modality)
            probe = linear_probe(train.features[modality], learned, test.features[modality], tested)
            if probe is None:
                self.notes.append(f"linear_probe of {modality} is left out: too few clips with it have a class.")
            results[modality] = probe or NO_PROBE
        return results

    def alignment(self) -> dict | None:
        """How well misaligned clips are told apart, on the first `ALIGNMENT_CLIPS` of the split `validation`.

        The records of a split are shuffled when they are written, so the first ones are a random sample.
        """
        if not self._has_splits("alignment", "validation"):
            return None
        total = min(ALIGNMENT_CLIPS, self.prepared.split_sizes["validation"])
        batches = self._batches("validation", ALIGNMENT_BATCH).take(-(-total // ALIGNMENT_BATCH))
        settings = self.run.settings
        options = dict(temperature=settings.temperature, form=settings.loss)
        with damage_named(lambda: record_files(self.prepared, "validation")):
            clips = clip_indicators(self.run.model, batches, total, options)
        result = separation(clips)
        if not result["clips"]["aligned"] or not result["clips"]["misaligned"]:
            self.notes.append("alignment is left out: validation has no clips known to be aligned and misaligned.")
            return None
        self.arrays |= {f"alignment_{name}": values for name, values in clips.items()}
        return result

    def _has_splits(self, task, *splits):
        missing = [split for split in splits if not self.prepared.split_sizes.get(split)]
        if missing:
            lacking = " and ".join(missing)
            self.notes.append(f"{task} is left out: {self.prepared.directory} has no clips in {lacking}.")
        return not missing

    def _batches(self, split, batch_size):
        with bad_input():
            return data.eval_batches(
                self.prepared, split, self.run.settings.clips, self.run.tokenizer, batch_size=batch_size
            )

    def _embed(self, split, modalities):
        size = self.prepared.split_sizes[split]
        with damage_named(lambda: record_files(self.prepared, split)):
            return embed(self.run.model, self._batches(split, self.batch_size), size, modalities, title=split)

    def _embedded_test(self):
        if self._test is None:
            test = self._test = self._embed("test", ("video", "audio", "text"))
            spaces = {"video_audio": test.video_audio, "video_text": test.video_text}
            self.arrays |= dict(test.facts)
            self.arrays |= {f"{space}_{name}": pair[name] for space, pair in spaces.items() for name in pair}
        return self._test


def _labels(split, modality):
    """Labels of a split; -1 also where the clip has no sound and sound is asked for."""
    present = split.facts["has_audio"] if modality == "audio" else True
    return np.where(present, split.facts["label"], -1)


def evaluate(
    directory: RunDirectory,
    data_dir: str,
    dataset: str | None = None,
    tasks: Sequence[str] = OWN_TASKS,
    batch_size: int = 32,
    **downstream: object,
) -> tuple[dict, list[str]]:
    """Evaluates a run and writes `result.json` and `report/evaluation.npz` into its directory, after each downstream task.

    What earlier evaluations of the same checkpoint have found stays in both, but for what is evaluated again; another
    checkpoint starts anew, and so do `OWN_TASKS` on another data set.

    Args:
      directory: The run's.
      data_dir: Where `experiments.prepare_data` has put the data sets.
      dataset: Name of the data set of `OWN_TASKS`; the run's first by default.
      tasks: Some of `OWN_TASKS` and `DOWNSTREAM_TASKS`.
      batch_size: Clips, or windows of clips, that are embedded at once.
      **downstream: `frames_per_second`, `epochs` and `finetuned` of `experiments.evaluation.windows.Settings`.

    Returns:
      What `result.json` holds, with `None` for what was left out; and sentences that say what was, and why.

    Raises:
      BadInput: There is no such run, data set or task; nothing has been evaluated then.
    """
    _check_tasks(tasks)
    run = open_run(str(directory.path))
    name = dataset or run.settings.datasets[0]
    own = [task for task in OWN_TASKS if task in tasks]
    with bad_input():
        evaluation = Evaluation(run, data.open_dataset(name, data_dir), batch_size) if own else None
    others = open_tasks([task for task in DOWNSTREAM_TASKS if task in tasks], Settings(run, data_dir, batch_size, **downstream))
    notes = evaluation.notes if own else []
    if KINETICS in others and others[KINETICS] is None:
        notes.append(missing_finetuning(str(directory.path), data_dir))
    if own:
        result = add_to_result(directory, run, Found(name, *_own_figures(evaluation, name, own), downstream={}))
    for task, evaluate_task in others.items():  # one after the other is kept: each may take hours
        figures = evaluate_task and evaluate_task()
        result = add_to_result(directory, run, Found(name, figures={}, arrays={}, downstream={task: figures}))
    return result, notes


def _check_tasks(tasks):
    known = (*OWN_TASKS, *DOWNSTREAM_TASKS)
    unknown = [task for task in tasks if task not in known]
    if unknown or not tasks:
        raise BadInput(f"--tasks should be some of {','.join(known)}. Found {','.join(unknown) or 'none'}.")


def _own_figures(evaluation, name, tasks):
    """Evaluates `OWN_TASKS`; returns their figures, and the arrays with what they are of."""
    figures = {task: getattr(evaluation, task)() for task in tasks}
    if "retrieval" in figures:
        figures["retrieval"] = {"text_to_video": figures["retrieval"]}
    class_names = np.array(evaluation.prepared.class_names, dtype=str)
    return figures, {**evaluation.arrays, "dataset": np.array(name), "class_names": class_names}
