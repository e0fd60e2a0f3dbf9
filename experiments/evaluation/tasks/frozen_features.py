"""Frozen features and linear classifiers, over all official splits, and zero-shot: UCF101, HMDB51, ESC-50."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from experiments.classifiers.constant_answer import constant_answer
from experiments.evaluation.feature_classifiers import LowRankClassifier, svm_scores
from experiments.evaluation.rows import top_rows
from experiments.evaluation.settings import Settings
from experiments.evaluation.task import DownstreamTask, Row
from experiments.evaluation.windows import WINDOWS, Walk
from experiments.finetuning.scores import single_label_scores
from experiments.inference.zero_shot import SPACES, class_embeddings, near_text, zero_shot_figures
from experiments.running.command_line import BadInput, RunFailed

_SEED = 1  # the published code's
_FIGURES = ("top1", "top5")
CLASSIFIERS = {"low_rank": "low-rank classifier", "svm": "linear SVM"}


@dataclasses.dataclass(frozen=True)
class FrozenFeatures(DownstreamTask):
    """A task on a set with several official splits.

    Attributes:
      modality: "video" or "audio".
      splits: How many official splits there are: `train1`, `test1` and so on.
    """

    modality: str
    splits: int
    figures = {"T1": "top1", "T5": "top5"}

    def open(self, settings: Settings) -> "Classification":
        """See the base class."""
        return Classification(self, settings)

    def rows(self, found: Mapping) -> list[Row]:
        """See the base class."""
        counts = f"mean of {len(found['svm']['splits'])} splits, {found['items']} test clips in all"
        group = f"{self.title}, linear classifiers on frozen features, {counts}"
        lines = [
            row
            for key, name in CLASSIFIERS.items()
            for row in top_rows(group, found[key], found["chance"], prefix=f"{name}, ")
        ]
        zero_shot = found.get("zero_shot")  # older results have none
        return lines + self._zero_shot_rows(zero_shot) if zero_shot else lines

    def _zero_shot_rows(self, found):
        untrained = "" if self.modality == "video" else ", which no loss trained"
        group = f"{self.title}, zero-shot by {len(found['prompts'])} prompts{untrained}, {found['items']} test clips"
        return top_rows(group, found, found["chance"])


class Classification:
    """A task of frozen features that is ready to run; see `__call__`.

    A classifier learns from the middle window of a clip, not augmented, and is tested on `WINDOWS` windows, whose scores
    are averaged: the probabilities of the one, the signed distances of the other (the published code). Every clip passes
    through the model once for each of both uses, whatever number of splits uses it so.

    Args:
      task: The task.
      settings: What all tasks are given.

    Raises:
      BadInput: The data set is not there, has not all splits, or does not fit the run.
    """

    def __init__(self, task: FrozenFeatures, settings: Settings):
        settings.require(task.name, task.modality)
        self.name, self.modality, self.settings = task.name, task.modality, settings
        self.pairs = [(f"train{number}", f"test{number}") for number in range(1, task.splits + 1)]
        trained, tested = zip(*self.pairs, strict=True)
        prepared = settings.open(task.name, trained + tested)
        self.class_names, self.classes = prepared.class_names, len(prepared.class_names)
        self.has_text = settings.run.tokenizer is not None and "text" in settings.embedder.modalities
        if self.classes < 2:
            raise BadInput(f"{prepared.directory} should have classes. Its metadata.json names {self.classes}.")
        # Without frames, the length of the sound in a window depends on the run's own rate.
        self.clips = settings.video_clips() if task.modality == "video" else settings.run.settings.clips
        self.train = Walk(settings, prepared, trained, task.modality, self.clips, windows=1)
        self.test = Walk(settings, prepared, tested, task.modality, self.clips, windows=WINDOWS)

    def __call__(self) -> dict:
        """Embeds the clips, trains and tests both classifiers on every split.

        Returns:
          `low_rank` and `svm`, each with `top1` and `top5`, the plain means over the splits, and `splits`: the figures of
          each, over its `items` test clips, learned from `train_clips`. `zero_shot`: what `zero_shot_figures` says of all test
          clips; `None` without text. At the top those of `low_rank`, which the published code runs, over `items` test clips in
          all; and `chance`, the means of what the best constant answer to each split gets, over as many.
        """
        features, place = f"features_{self.modality}", SPACES[self.modality]
        learned, learned_facts = self.train.embed(f"{self.name}, train", features)
        tested, tested_facts = self.test.embed(f"{self.name}, test", features, *([place] if self.has_text else []))
        zero_shot = self._zero_shot(tested[place], tested_facts["label"]) if self.has_text else None
        found, chances = self._by_split(
            learned[features], learned_facts["label"], tested[features], tested_facts["label"]
        )
        results = {name: {**_means(splits.values()), "splits": splits} for name, splits in found.items()}
        first, items = results["low_rank"], sum(chance["items"] for chance in chances)
        return {
            **{figure: first[figure] for figure in _FIGURES},
            "items": items,
            "chance": {**_means(chances), "items": items},
            **results,
            "zero_shot": zero_shot,
            "windows": WINDOWS,
            "epochs": self.settings.epochs,
            "clip_seconds": self.clips.clip_seconds,
        }

    def _by_split(self, learned, learned_labels, tested, tested_labels):
        """Returns the figures by classifier and split, and what the best constant answer to each split gets."""
        low_rank = LowRankClassifier(learned.shape[-1], self.classes, _SEED)
        found, chances = {name: {} for name in CLASSIFIERS}, []
        for train, test in self.pairs:
            rows, others = self.train.rows[train], self.test.rows[test]
            labels, answers = learned_labels[rows], tested_labels[others]
            for name, scores in self._scores(low_rank, learned[rows, 0], labels, tested[others], test).items():
                figures = single_label_scores(scores, answers)
                counts = {"items": len(answers), "train_clips": len(labels)}
                found[name][test] = {figure: figures[figure] for figure in _FIGURES} | counts
            chances.append(constant_answer(answers))
        return found, chances

    def _zero_shot(self, windows, labels):
        """Classifies all test clips by the names of the classes, the embeddings of a clip's windows averaged."""
        settings = self.settings
        classes = class_embeddings(settings.embedder, settings.run.tokenizer, self.class_names, settings.prompts)
        clips = near_text(settings.run.model, self.modality, windows).mean(axis=1)
        tested = np.unique(np.concatenate([self.test.rows[test] for _, test in self.pairs]))
        return {**zero_shot_figures(clips[tested], classes, labels[tested]), "prompts": list(settings.prompts)}

    def _scores(self, low_rank, features, labels, tested, title):
        """Returns the scores of the test clips by each classifier, float [clips, classes], averaged over the windows."""
        if len(np.unique(labels)) < 2:
            raise RunFailed(f"{self.name} should have training clips of several classes. Found one class for {title}.")
        low_rank.fit(features, labels, self.settings.epochs, f"{self.name}, {title}, low-rank classifier")
        windows = tested.reshape(-1, tested.shape[-1])
        scores = {
            "low_rank": low_rank.scores(windows),
            "svm": svm_scores(features, labels, windows, self.classes, seed=_SEED),
        }
        return {name: found.reshape(*tested.shape[:2], -1).mean(axis=1) for name, found in scores.items()}


def _means(figures):
    return {name: float(np.mean([figure[name] for figure in figures])) for name in _FIGURES}


UCF101 = FrozenFeatures("ucf101", "UCF101", "video", 3, published=1)
HMDB51 = FrozenFeatures("hmdb51", "HMDB51", "video", 3, published=2)
ESC50 = FrozenFeatures("esc50", "ESC-50", "audio", 5, published=6)
