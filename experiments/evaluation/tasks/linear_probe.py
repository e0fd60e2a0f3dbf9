"""Linear probes of video and audio on the run's own data."""

import functools
from collections.abc import Callable

import numpy as np

from experiments.evaluation.own_data import OwnData
from experiments.evaluation.rows import percent
from experiments.evaluation.settings import Settings
from experiments.evaluation.task import Metric, Row, Task
from experiments.inference.linear_probe import linear_probe
from experiments.inference.split_embeddings import Embeddings

_MODALITIES = ("video", "audio")
_NOTHING = dict.fromkeys(("top1", "chance"))


class LinearProbe(Task):
    """Linear classifiers of frozen features, learned on `train`, tested on `test`; one middle window per clip."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """See the base class."""
        return tuple(Metric(self.title, modality, (self.name, modality, "top1")) for modality in _MODALITIES)

    @property
    def nothing(self) -> dict:
        """See the base class."""
        return dict.fromkeys(_MODALITIES, _NOTHING)

    def open(self, settings: Settings) -> Callable[[], dict]:
        """See the base class."""
        return functools.partial(self._evaluate, settings.own_data)

    def _evaluate(self, own: OwnData) -> dict:
        if not own.prepared.class_names:
            own.notes.append(f"linear_probe is skipped: the data set {own.prepared.name} has no classes.")
            return self.nothing
        if not own.has_splits(self.name, "train", "test"):
            return self.nothing
        train, test = own.embed("train", *_MODALITIES), own.embedded_test()
        return {name: self._probe(own, train, test, name) for name in _MODALITIES}

    def _probe(self, own, train, test, modality):
        learned, tested = _labels(train, modality), _labels(test, modality)
        probe = linear_probe(train.features[modality], learned, test.features[modality], tested)
        if probe is None:
            own.notes.append(f"linear_probe of {modality} is skipped: too few clips with {modality} have a class.")
        return probe or _NOTHING

    def rows(self, found: dict) -> list[Row]:
        """See the base class."""
        group = f"{self.title} on frozen features, top-1"
        return [
            Row(group, f"{modality}{_of_clips(probe)}", percent(probe["top1"]), percent(probe["chance"]))
            for modality, probe in found.items()
        ]


def _labels(split: Embeddings, modality: str) -> np.ndarray:
    """Labels of a split; -1 also where the clip has no sound and sound is asked for."""
    present = split.facts["has_audio"] if modality == "audio" else True
    return np.where(present, split.facts["label"], -1)


def _of_clips(probe):
    return f", {probe['test_clips']} clips" if "test_clips" in probe else ""


LINEAR_PROBE = LinearProbe("linear_probe", "linear probe")
