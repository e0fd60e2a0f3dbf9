"""Opens the model of a run directory."""

import dataclasses

import tensorflow as tf

import vatt
from experiments import config
from experiments.command_line import BadInput, bad_input
from experiments.run_directory import RunDirectory


@dataclasses.dataclass(frozen=True)
class TrainedModel:
    """A run's model with the weights of its newest checkpoint.

    Attributes:
      settings: The run's configuration.
      model: The model.
      tokenizer: Strings to token ids, with the run's own vocabulary; `None` where it has none.
      step: The checkpoint's global step.
    """

    settings: config.Pretrain
    model: vatt.VATT
    tokenizer: object
    step: int


def open_run(directory: RunDirectory, checkpoint: str | None = None) -> TrainedModel:
    """Opens a run, with the weights of its newest checkpoint.

    Args:
      directory: The run's.
      checkpoint: Another of its checkpoints, such as RUN/checkpoints/ckpt-600.

    Raises:
      BadInput: The directory holds no run, or no checkpoint, or one that does not fit its own model.
    """
    if not directory.config.exists():
        raise BadInput(
            f"{directory.path} should be the directory of a run, with config.gin and a checkpoint in checkpoints/. "
            "Found none. Make one with experiments.pretrain --workdir."
        )
    settings = config.parse([str(directory.config)], [])
    with bad_input():
        path = checkpoint or str(directory.path)
        model = vatt.load(path)
        tokenizer = None
        if directory.vocabulary.exists():
            tokenizer = config.TOKENIZERS[settings.tokenizer](str(directory.vocabulary), settings.clips.words)
        step = _step(vatt.find_checkpoint(path))
    vectors = model.arguments["vocabulary_size"]
    if tokenizer is not None and tokenizer.vocabulary_size > vectors:
        raise BadInput(
            f"{directory.vocabulary} should have at most the {vectors} words that the model has vectors for. "
            f"Found {tokenizer.vocabulary_size}."
        )
    return TrainedModel(settings, model, tokenizer, step)


def _step(checkpoint: str) -> int:
    key = "global_step/.ATTRIBUTES/VARIABLE_VALUE"
    reader = tf.train.load_checkpoint(checkpoint)
    if not reader.has_tensor(key):
        raise BadInput(f"{checkpoint} should hold the step it was written at, as checkpoints of runs do. Found none.")
    return int(reader.get_tensor(key))
