"""The evaluation of a run: which task needs which split, and what is kept of it."""

import json
from collections.abc import Sequence

import numpy as np

import data
from experiments import retrieval
from experiments.alignment import clip_indicators, separation
from experiments.command_line import BadInput, bad_input
from experiments.embeddings import Embeddings, embed
from experiments.evaluation_arrays import write_arrays
from experiments.linear_probe import linear_probe
from experiments.run_directory import RunDirectory
from experiments.trained_model import TrainedModel, open_run
from experiments.training_history import harmonization_summary

TASKS = ("retrieval", "linear_probe", "alignment")
# The exact gradient of one clip costs two backward passes over its batch: few clips, small batches.
ALIGNMENT_CLIPS, ALIGNMENT_BATCH = 128, 8
_NO_RETRIEVAL = dict.fromkeys(("r1", "r5", "r10", "median_rank", "gallery"))
_NO_PROBE = dict.fromkeys(("top1", "chance"))


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
            return _NO_RETRIEVAL
        test = self._embedded_test()
        has_text = test.facts["has_text"]
        if not has_text.any():
            self.notes.append("retrieval is left out: no clip of the split test has captions.")
            return _NO_RETRIEVAL
        found = retrieval.ranks(test.video_text["text"][has_text], test.video_text["video"][has_text])
        self.arrays["rank"] = np.zeros(len(has_text), np.int64)  # 0: not part of the gallery
        self.arrays["rank"][has_text] = found
        return retrieval.metrics(found, gallery=len(found))

    def linear_probe(self) -> dict[str, dict]:
        """Linear probes of video and sound, learned on `train`, tested on `test`; one middle window per clip."""
        results = dict.fromkeys(("video", "audio"), _NO_PROBE)
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
            results[modality] = probe or _NO_PROBE
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
    tasks: Sequence[str] = TASKS,
    batch_size: int = 32,
) -> tuple[dict, list[str]]:
    """Evaluates a run and writes `result.json` and `report/evaluation.npz` into its directory.

    Args:
      directory: The run's.
      data_dir: Where `experiments.prepare_data` has put the data sets.
      dataset: Name of the data set; the run's first by default.
      tasks: Some of `TASKS`.
      batch_size: Clips that are embedded at once.

    Returns:
      What `result.json` holds, with `None` for what was left out; and sentences that say what was, and why.

    Raises:
      BadInput: There is no such run, data set or task.
    """
    unknown = [task for task in tasks if task not in TASKS]
    if unknown or not tasks:
        raise BadInput(f"--tasks should be some of {','.join(TASKS)}. Found {','.join(unknown) or 'none'}.")
    run = open_run(str(directory.path))
    name = dataset or run.settings.datasets[0]
    with bad_input():
        prepared = data.open_dataset(name, data_dir)
    evaluation = Evaluation(run, prepared, batch_size)
    result = {
        "step": run.step,
        "dataset": name,
        **_figures(evaluation, tasks),
        "harmonization": harmonization_summary(directory.read_metrics()),
    }
    class_names = np.array(prepared.class_names, dtype=str)
    write_arrays(directory, {**evaluation.arrays, "dataset": np.array(name), "class_names": class_names})
    directory.write(directory.result, json.dumps(result, indent=2) + "\n")
    return result, evaluation.notes


def _figures(evaluation, tasks):
    found = {task: getattr(evaluation, task)() for task in TASKS if task in tasks}
    return {
        "retrieval": {"text_to_video": found.get("retrieval", _NO_RETRIEVAL)},
        "linear_probe": found.get("linear_probe", {"video": _NO_PROBE, "audio": _NO_PROBE}),
        "alignment": found.get("alignment"),
    }
