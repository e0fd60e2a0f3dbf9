"""Shared parts of the programs that train on labeled clips: the batches and the validations."""

import tensorflow as tf

import data
from experiments.running.command_line import RunFailed
from experiments.running.damaged_data import record_files
from experiments.running.run_directory import RunDirectory
from experiments.training.augmenting import chosen_place
from experiments.training.train_program import TrainProgram
from experiments.training.validated_progress import ValidatedProgress


class LabeledProgram(TrainProgram):
    """A training program on one labeled data set, whose validation split chooses the weights that are kept.

    Args:
      run: See `TrainProgram`.
      directory: Where the run is.
      prepared: The data set.
      description: Describes it.
      video: Whether batches hold video.
    """

    def __init__(
        self, run, directory: RunDirectory, prepared: data.PreparedDataset, description: dict, video: bool = True
    ):
        super().__init__(run, directory, {prepared.name: description})
        self.prepared, self.video = prepared, video

    def batches(self, start_step: int) -> tf.distribute.DistributedDataset:
        """See `TrainProgram.batches`."""
        config = self.run.config
        place = chosen_place(config.augment_on, self.run.strategy, [self.prepared], config.clips)
        return data.distributed_train_batches(
            self.run.strategy, self.prepared, config.clips, batch_size=config.batch_size, seed=config.seed,
            start_step=start_step, shuffle_window=config.shuffle_window, augmentation=config.augmentation, augment_on=place,
            video=self.video,
        )  # fmt: skip

    def record_files(self) -> list[str]:
        """See `TrainProgram.record_files`."""
        return record_files(self.prepared)

    def restored(self, progress: ValidatedProgress) -> None:
        """See `TrainProgram.restored`."""
        progress.resume()


def validation_at(directory: RunDirectory, place: str, number: int) -> dict:
    """Returns the figures of a validation, as metrics.jsonl has them.

    Args:
      directory: The run's.
      place: "step" or "epoch".
      number: Of the step or epoch.

    Raises:
      RunFailed: There are none: lines of metrics.jsonl are lost.
    """
    for record in reversed(directory.read_metrics()):
        if "validation" in record and record.get(place) == number:
            return record["validation"]
    raise RunFailed(
        f"{directory.metrics} should have the validation at {place} {number}, which has the best weights. It was lost; put an "
        "undamaged copy there, or use another --workdir to start over."
    )
