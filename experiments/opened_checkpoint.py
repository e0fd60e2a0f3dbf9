"""Opens one checkpoint of a run, named by its run directory or by its own path."""

import dataclasses
import hashlib
import os

import tensorflow as tf

import vatt
from experiments.command_line import bad_input
from experiments.run_directory import RunDirectory
from experiments.trained_model import TrainedModel, open_run


@dataclasses.dataclass(frozen=True)
class OpenedCheckpoint:
    """A model with the weights of one checkpoint.

    Attributes:
      run: The model, its tokenizer, and the settings of its run.
      path: The checkpoint, absolute, without the ending.
      fingerprint: Of the checkpoint's content, wherever it lies: a checksum of the checksums of all it holds.
    """

    run: TrainedModel
    path: str
    fingerprint: str


def open_checkpoint(path: str) -> OpenedCheckpoint:
    """Opens a checkpoint: a run directory stands for its newest one, `RUN/checkpoints/ckpt-600` for that one.

    Raises:
      BadInput: There is none, or it does not fit its run.
    """
    path = path.rstrip("/").removesuffix(".index")
    with bad_input():
        checkpoint = vatt.find_checkpoint(path)
        run = open_run(RunDirectory(vatt.run_directory(path)), checkpoint)
    with tf.io.gfile.GFile(f"{checkpoint}.index", "rb") as file:  # holds a checksum of every variable
        fingerprint = hashlib.sha256(file.read()).hexdigest()[:16]
    return OpenedCheckpoint(run, os.path.abspath(checkpoint), fingerprint)
