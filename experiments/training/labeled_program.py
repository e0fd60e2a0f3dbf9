"""Shared parts of the programs that train on labeled clips: the batches and the validations."""

import tensorflow as tf

import data
from experiments.running.command_line import BadInput, RunFailed, bad_input
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


def require_clips(prepared: data.PreparedDataset, sound: bool) -> None:
    """Checks that there are clips to train on, to choose the best weights by, and to test; reads no more than it must.

    Args:
      prepared: The data set.
      sound: Whether only clips with sound count.

    Raises:
      BadInput: There is none in one of the splits.
    """
    with bad_input():
        for split in ("train", "validation", "test"):
            prepared.require_split(split)
            if not _has_clip(prepared, split, sound):
                raise BadInput(
                    f"{prepared.directory} should have labeled clips{' with sound' if sound else ''} in the split {split!r}. "
                    "Found none. Prepare a data set that has some."
                )


def _has_clip(prepared, split, sound):
    try:
        return any(clip.labels and (clip.audio.size or not sound) for clip in data.read_split(prepared, split))
    except data.DataError:
        return True  # a damaged file is named where it is read


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
