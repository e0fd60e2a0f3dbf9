"""Opens the model of a run directory."""

import dataclasses

import tensorflow as tf

import vatt
from experiments import config
from experiments.assembly import build_model
from experiments.command_line import BadInput, bad_input
from experiments.run_directory import RunDirectory


@dataclasses.dataclass(frozen=True)
class TrainedModel:
    """A run's model with the weights of its newest checkpoint.

    Attributes:
      settings: The run's configuration.
      model: The model.
      tokenizer: Strings to token ids, with the run's own vocabulary.
      step: The checkpoint's global step.
    """

    settings: config.Pretrain
    model: vatt.VATT
    tokenizer: object
    step: int


def open_run(directory: RunDirectory) -> TrainedModel:
    """Builds the model of a run and restores its newest checkpoint.

    Raises:
      BadInput: The directory holds no run, or no checkpoint, or one that does not fit its own configuration.
    """
    checkpoint = tf.train.latest_checkpoint(str(directory.checkpoints))
    if not directory.config.exists() or checkpoint is None:
        raise BadInput(
            f"{directory.path} should be the directory of a run, with config.gin and a checkpoint in checkpoints/. "
            "Found none. Make one with experiments.pretrain --workdir."
        )
    settings = config.parse([str(directory.config)], [])
    with bad_input():
        tokenizer = config.TOKENIZERS[settings.tokenizer](str(directory.vocabulary), settings.clips.words)
    model = build_model(settings, tokenizer.vocabulary_size)
    step = tf.Variable(0, dtype=tf.int64)
    try:
        status = tf.train.Checkpoint(model=model, global_step=step).restore(checkpoint)
        status.assert_existing_objects_matched().expect_partial()
    except (AssertionError, ValueError, IndexError, tf.errors.OpError) as error:  # IndexError: the file ends early
        raise BadInput(f"{checkpoint} does not fit {directory.config}: {str(error).splitlines()[0]}") from error
    return TrainedModel(settings, model, tokenizer, int(step))
