"""The data that a run was trained on, as the tasks on them share it: splits that are embedded once, and arrays for the report."""

import numpy as np
import tensorflow as tf

import data
from experiments.inference.split_embeddings import Embeddings, embed
from experiments.inference.trained_model import TrainedModel
from experiments.running.command_line import BadInput, bad_input
from experiments.running.damaged_data import damage_named, record_files


class OwnData:
    """A prepared data set and what the run's model makes of it.

    Args:
      run: The run's model.
      name: Name of the data set.
      data_dir: Where `experiments.prepare_data` has put it.
      batch_size: Clips per batch.
      notes: Takes sentences on skipped tasks and the reasons.

    Attributes:
      prepared: The data set.
      arrays: What the report draws: the data set's name, its classes, facts and embeddings of the test split; tasks add theirs.

    Raises:
      BadInput: There is no such data set; the message has the command that prepares it. Or the run has no vocabulary.
    """

    def __init__(self, run: TrainedModel, name: str, data_dir: str, batch_size: int, notes: list[str]):
        if run.tokenizer is None:
            raise BadInput(
                f"the run of {run.checkpoint} should have vocabulary.txt, to read the captions of its own data. Found none."
            )
        self.run, self.batch_size, self.notes = run, batch_size, notes
        with bad_input():
            self.prepared = data.open_dataset(name, data_dir)
        self.arrays = {"dataset": np.array(name), "class_names": np.array(self.prepared.class_names, dtype=str)}
        self._test: Embeddings | None = None

    def has_splits(self, task: str, *splits: str) -> bool:
        """Tells whether the data set has clips in all of these splits; otherwise notes that `task` is skipped."""
        missing = [split for split in splits if not self.prepared.split_sizes.get(split)]
        if missing:
            lacking = " and ".join(missing)
            self.notes.append(f"{task} is skipped: {self.prepared.directory} has no clips in {lacking}.")
        return not missing

    def batches(self, split: str, batch_size: int) -> tf.data.Dataset:
        """Returns the clips of a split, in the run's own shape.

        Raises:
          BadInput: The records cannot give such clips.
        """
        with bad_input():
            return data.eval_batches(
                self.prepared, split, self.run.settings.clips, self.run.tokenizer, batch_size=batch_size
            )

    def embed(self, split: str, *modalities: str) -> Embeddings:
        """Embeds some modalities of a split."""
        size = self.prepared.split_sizes[split]
        with damage_named(lambda: record_files(self.prepared, split)):
            return embed(self.run.model, self.batches(split, self.batch_size), size, modalities, title=split)

    def embedded_test(self) -> Embeddings:
        """Embeds the split `test` when it is first asked for, and keeps it for the report."""
        if self._test is None:
            test = self._test = self.embed("test", "video", "audio", "text")
            spaces = {"video_audio": test.video_audio, "video_text": test.video_text}
            self.arrays |= dict(test.facts)
            self.arrays |= {f"{space}_{name}": pair[name] for space, pair in spaces.items() for name in pair}
        return self._test
