"""Classification of the run's own data by the names of the classes, without training."""

import functools
from collections.abc import Callable, Mapping

from experiments.evaluation.own_data import OwnData
from experiments.evaluation.rows import top_rows
from experiments.evaluation.settings import Settings
from experiments.evaluation.task import Metric, Row, Task
from experiments.inference.zero_shot import class_embeddings, zero_shot_figures

_TITLES = {"video": "video", "audio": "audio (no loss trained it)"}


class ZeroShot(Task):
    """The clips of `test` and the prompts of `Settings`, compared in the video-text space; one middle window per clip."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """See the base class."""
        return tuple(Metric(self.title, title, (self.name, modality, "top1")) for modality, title in _TITLES.items())

    def open(self, settings: Settings) -> Callable[[], dict | None]:
        """See the base class."""
        return functools.partial(self._evaluate, settings, settings.own_data)

    def _evaluate(self, settings: Settings, own: OwnData) -> dict | None:
        if not own.prepared.class_names:
            own.notes.append(f"{self.name} is skipped: the data set {own.prepared.name} has no classes.")
            return None
        if not own.has_splits(self.name, "test"):
            return None
        test = own.embedded_test()
        labeled = test.facts["label"] >= 0
        members = {"video": labeled, "audio": labeled & test.facts["has_audio"]}
        if not labeled.any():
            own.notes.append(f"{self.name} is skipped: no clip in the split test has one class.")
            return None
        classes = class_embeddings(settings.embedder, own.run.tokenizer, own.prepared.class_names, settings.prompts)
        found = {
            name: zero_shot_figures(test.video_text[name][chosen], classes, test.facts["label"][chosen])
            for name, chosen in members.items()
            if chosen.any()
        }
        return {**found, "prompts": list(settings.prompts)}

    def rows(self, found: Mapping | None) -> list[Row]:
        """See the base class."""
        if found is None:
            return []
        group = f"{self.title}, {len(found['prompts'])} prompts"
        parts = [(title, found[modality]) for modality, title in _TITLES.items() if modality in found]
        return [
            row
            for title, part in parts
            for row in top_rows(group, part, part["chance"], f"{title}, {part['items']} clips, ")
        ]


ZERO_SHOT = ZeroShot("zero_shot", "zero-shot classification by class names")
