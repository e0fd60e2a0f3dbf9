"""How well misaligned clips of the run's own data are told apart."""

import functools
from collections.abc import Callable

from experiments.evaluation.alignment import INDICATORS, clip_indicators, separation
from experiments.evaluation.own_data import OwnData
from experiments.evaluation.rows import number
from experiments.evaluation.settings import Settings
from experiments.evaluation.task import Metric, Row, Task
from experiments.running.damaged_data import damage_named, record_files

# The exact gradient of one clip costs two backward passes over its batch: few clips, small batches.
CLIPS, BATCH = 128, 8
_CHANCE = 0.5  # of the area under any ROC curve
_COMPARED = {"gradient cosine": "encoder_gradient_cosine", "similarity": "summed_similarity"}


class Alignment(Task):
    """The indicators of `experiments.evaluation.alignment` on the first `CLIPS` of the split `validation`.

    The records of a split are shuffled when they are written, so the first ones are a random sample.
    """

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """See the base class."""
        return tuple(
            Metric(self.title, name, (self.name, "auc", indicator, "misaligned"), percent=False, digits=3)
            for name, indicator in _COMPARED.items()
        )

    def open(self, settings: Settings) -> Callable[[], dict | None]:
        """See the base class."""
        return functools.partial(self._evaluate, settings.own_data)

    def _evaluate(self, own: OwnData) -> dict | None:
        if not own.has_splits(self.name, "validation"):
            return None
        clips = _clips(own)
        result = separation(clips)
        if not result["clips"]["aligned"] or not result["clips"]["misaligned"]:
            own.notes.append(
                "alignment is skipped: the split validation has no clips marked as aligned and misaligned."
            )
            return None
        own.arrays |= {f"alignment_{name}": values for name, values in clips.items()}
        return result

    def rows(self, found: dict | None) -> list[Row]:
        """See the base class."""
        if found is None:
            return []
        clips, chance = found["clips"], number(_CHANCE, ".3f")
        group = f"telling {clips['misaligned']} misaligned from {clips['aligned']} aligned clips, AUC"
        areas = {title: found["auc"][name]["misaligned"] for name, title in INDICATORS.items()}
        return [Row(group, title, number(area, ".3f"), chance) for title, area in areas.items()]


def _clips(own):
    total = min(CLIPS, own.prepared.split_sizes["validation"])
    batches = own.batches("validation", BATCH).take(-(-total // BATCH))
    settings = own.run.settings
    options = dict(temperature=settings.temperature, form=settings.loss)
    with damage_named(lambda: record_files(own.prepared, "validation")):
        return clip_indicators(own.run.model, batches, total, options)


ALIGNMENT = Alignment("alignment", "AUC of misaligned clips:")
