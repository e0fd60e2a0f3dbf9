"""Opens the model of a run."""

import dataclasses
import hashlib
import os
import pathlib

import tensorflow as tf

import vatt
from experiments.pretraining import config
from experiments.running import gin_config
from experiments.running.command_line import BadInput, bad_input
from experiments.running.run_directory import RunDirectory


@dataclasses.dataclass(frozen=True)
class TrainedModel:
    """A run's model with the weights of one checkpoint.

    Attributes:
      settings: The run's configuration.
      model: The model.
      tokenizer: Strings to token ids, with the run's own vocabulary; `None` where it has none.
      step: The checkpoint's global step.
      checkpoint: The checkpoint, absolute, without the ending.
    """

    settings: config.Pretrain
    model: vatt.VATT
    tokenizer: object
    step: int
    checkpoint: str


def open_run(path: str) -> TrainedModel:
    """Opens a checkpoint of a pre-training run: a run directory stands for its newest one, RUN/checkpoints/ckpt-600 for that one.

    Raises:
      BadInput: There is no run, one of another program, no checkpoint, or one that does not fit its own model.
    """
    if os.path.isdir(path) and not RunDirectory(path).config.exists():
        raise BadInput(
            f"{path} should be the directory of a run, with config.gin and a checkpoint in checkpoints/. "
            "Found none. Make one with experiments.pretrain --workdir."
        )
    with bad_input():
        checkpoint = vatt.find_checkpoint(path)
        _require_pretraining(checkpoint)  # first: a classifier's run has nothing to load
        directory = RunDirectory(vatt.run_directory(path))
    settings = config.parse_run(directory.config)
    with bad_input():
        tokenizer = None
        if os.path.lexists(directory.vocabulary):
            directory.require_vocabulary(directory.vocabulary)
            tokenizer = config.TOKENIZERS[settings.tokenizer](str(directory.vocabulary), settings.clips.words)
        model = vatt.load(checkpoint)  # last: it takes longest
    vectors = model.options.vocabulary_size
    if tokenizer is not None and tokenizer.vocabulary_size > vectors:
        raise BadInput(
            f"{directory.vocabulary} should have at most the {vectors} words that the model has vectors for. "
            f"Found {tokenizer.vocabulary_size}."
        )
    return TrainedModel(settings, model, tokenizer, _step(checkpoint), checkpoint)


def fingerprint(checkpoint: str) -> str:
    """Returns a hash of a checkpoint's content, wherever it lies: of the checksums of all that it holds."""
    with tf.io.gfile.GFile(f"{checkpoint}.index", "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()[:16]


def _require_pretraining(checkpoint):
    for folder in list(pathlib.Path(checkpoint).parents)[:2]:
        gin_config.require_run_of("pretrain", RunDirectory(folder).config)


def _step(checkpoint: str) -> int:
    key = "global_step/.ATTRIBUTES/VARIABLE_VALUE"
    with vatt.readable_checkpoint(checkpoint) as readable:
        reader = tf.train.load_checkpoint(readable)
        if not reader.has_tensor(key):
            raise BadInput(
                f"{checkpoint} should hold the step it was written at, as checkpoints of runs do. Found none."
            )
        return int(reader.get_tensor(key))
