"""What the tasks of an evaluation are given: the run, where the data sets are, and what the flags say."""

import dataclasses
import functools
import math
from collections.abc import Sequence

import data
from experiments.evaluation.own_data import OwnData
from experiments.inference.file_embeddings import Embedder
from experiments.inference.prompts import PROMPTS, fill_prompts
from experiments.inference.trained_model import TrainedModel
from experiments.running.command_line import BadInput, bad_input


@dataclasses.dataclass(frozen=True)
class Settings:
    """What all tasks are given.

    Attributes:
      run: The run that is evaluated.
      data_dir: Where `experiments.prepare_data` has put the data sets.
      dataset: The data set of the tasks on the run's own data; `None` for the first one that it was trained on.
      batch_size: Clips, or windows of clips, per batch.
      frames_per_second: Rate of the frames of a window; `None` for that of the run's own clips. VATT trains at 10 and
        evaluates at 12.5: 32 frames, every second one at 25.
      epochs: Of the low-rank classifier.
      finetuned: The fine-tuning whose Kinetics-400 figures are this run's, as a run directory or a checkpoint.
      prompts: Sentences with a `{}` for the name of a class, for zero-shot classification.
      notes: Sentences on skipped tasks and the reasons; tasks add to them.
    """

    run: TrainedModel
    data_dir: str
    dataset: str | None = None
    batch_size: int = 32
    frames_per_second: float | None = None
    epochs: int = 1000
    finetuned: str | None = None
    prompts: Sequence[str] = PROMPTS
    notes: list[str] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        """Raises `BadInput` where a prompt has no place for a name, or a rate is none."""
        rate = self.frames_per_second
        if rate is not None and not 0 < rate < math.inf:
            raise BadInput(f"--frames_per_second should be above 0. Found {rate}.")
        fill_prompts([], self.prompts)

    @property
    def own_dataset(self) -> str:
        """Name of the data set of the tasks on the run's own data."""
        return self.dataset or self.run.settings.datasets[0]

    @functools.cached_property
    def own_data(self) -> OwnData:
        """That data set, embedded once for all tasks.

        Raises:
          BadInput: There is none; the message has the command that prepares it.
        """
        return OwnData(self.run, self.own_dataset, self.data_dir, self.batch_size, self.notes)

    @functools.cached_property
    def embedder(self) -> Embedder:
        """Runs the towers of the run's model, the same for all tasks, as each is traced."""
        return Embedder(self.run.model)

    def require(self, task: str, *modalities: str) -> None:
        """Raises `BadInput` unless the run's model has these modalities, for a task that needs them."""
        missing = [modality for modality in modalities if modality not in self.embedder.modalities]
        if missing:
            raise BadInput(
                f"{task} needs a model with {' and '.join(modalities)}. That of {self.run.checkpoint} has no "
                f"{' and no '.join(missing)}; remove {task} from --tasks."
            )

    def open(self, name: str, splits: Sequence[str]) -> data.PreparedDataset:
        """Opens a data set that has clips in all of these splits.

        Raises:
          BadInput: There is none; the message has the command that prepares it.
        """
        with bad_input():
            prepared = data.open_dataset(name, self.data_dir)
            for split in splits:
                prepared.require_split(split)
        return prepared

    def video_clips(self, **changes: int) -> data.ClipSpec:
        """Returns the run's clips at the rate asked for, with other changes."""
        if self.frames_per_second is not None:
            changes["frames_per_second"] = self.frames_per_second
        with bad_input():
            return dataclasses.replace(self.run.settings.clips, **changes)
