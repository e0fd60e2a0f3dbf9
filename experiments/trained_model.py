"""Opens the model of a run directory."""

import dataclasses

import tensorflow as tf

import vatt
from experiments import config
from experiments.command_line import BadInput, bad_input
from experiments.run_directory import RunDirectory
from vatt.keras import keras


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
    keras.mixed_precision.set_global_policy(settings.precision)
    with bad_input():
        path = checkpoint or str(directory.path)
        model = vatt.load(path)
        tokenizer = None
        if directory.vocabulary.exists():
            tokenizer = config.TOKENIZERS[settings.tokenizer](str(directory.vocabulary), settings.clips.words)
        step = tf.train.load_variable(vatt.find_checkpoint(path), "global_step/.ATTRIBUTES/VARIABLE_VALUE")
    return TrainedModel(settings, model, tokenizer, int(step))
