"""Opens a trained model."""

import contextlib
import json
import math
import os
from collections.abc import Iterator

import tensorflow as tf

from vatt.model import VATT
from vatt.trained.checkpoint_list import (
    LIST_FILE,
    CheckpointListError,
    newest_checkpoint,
    readable_checkpoint,
    require_no_pipe,
)

CONFIG_FILE = "model.json"
"""What a run directory calls the constructor's arguments of its model, as `VATT.get_config` gives them."""


class LoadError(ValueError):
    """There is no such model, or its checkpoint does not fit."""


def load(path: str | os.PathLike, modalities: tuple[str, ...] | None = None, **overrides) -> VATT:
    """Builds the model of a run and restores its weights.

    Args:
      path: A run directory, whose newest checkpoint is taken; a directory with checkpoints; or one checkpoint, without the
        ending: RUN/checkpoints/ckpt-600.
      modalities: Only these towers; with fewer than two there is no head.
      **overrides: Arguments of `VATT` in place of the run's own, such as `drop_token_rate=0.0`; or `precision`, the Keras
        policy, such as "mixed_bfloat16", by default that of the run.

    Returns:
      The model; its weights are all restored.

    Raises:
      LoadError: There is no run, no checkpoint, or one that does not fit the run's model.
    """
    path = _absolute(path)
    checkpoint = find_checkpoint(path)
    try:
        with readable_checkpoint(checkpoint) as readable:
            with _no_larger_than(readable):
                model = _build(run_directory(path), modalities, overrides)
            status = tf.train.Checkpoint(model=model).read(readable)
            # Partial first: where nothing matches, TensorFlow would print a warning for every variable.
            status.expect_partial().assert_existing_objects_matched()
    except LoadError:
        raise
    except (AssertionError, ValueError, IndexError, tf.errors.OpError) as error:  # IndexError: the file ends early
        raise LoadError(f"{checkpoint} does not fit {_config_path(path)}: {str(error).splitlines()[0]}") from error
    return model


def find_checkpoint(path: str) -> str:
    """Returns the checkpoint that `path`, as in `load`, stands for.

    Raises:
      LoadError: There is none, or a directory does not say which of its checkpoints is the newest.
    """
    path = _absolute(path)
    if tf.io.gfile.exists(f"{path}.index"):
        return path
    found = next(filter(None, map(_newest, (os.path.join(path, "checkpoints"), path))), None)
    if found is not None:
        if tf.io.gfile.exists(f"{found}.index"):
            return found
        raise LoadError(
            f"{found}.index should exist, as {LIST_FILE!r} next to it names that checkpoint. Found no file."
        )
    raise LoadError(
        f"{path} should be a run directory, or a checkpoint such as RUN/checkpoints/ckpt-600. Found no checkpoint there."
    )


def run_directory(path: str) -> str:
    """Returns the run directory that `path`, as in `load`, lies in.

    Raises:
      LoadError: There is none, or one without a description of its model.
    """
    return os.path.dirname(_config_path(_absolute(path)))


def _absolute(path):
    """Returns an absolute path, whose parents can be searched; one on Cloud Storage has a scheme and is absolute already."""
    path = os.fspath(path).rstrip("/").removesuffix(".index")
    return path if "://" in path else os.path.abspath(path)


def _newest(directory):
    try:
        return newest_checkpoint(directory)
    except CheckpointListError as error:
        raise LoadError(f"{error} Name one of them: {os.path.join(directory, 'ckpt-NUMBER')}.") from error


def _config_path(path):
    nearest = [path, os.path.dirname(path), os.path.dirname(os.path.dirname(path))]
    for directory in nearest:
        if tf.io.gfile.exists(found := os.path.join(directory, CONFIG_FILE)):
            return found
    raise LoadError(
        f"{path} should lie in a run directory, which has a file {CONFIG_FILE}. Found none. Runs of experiments.classify "
        "have none and cannot be loaded. One of the first version gets it when its command is run again, which resumes it."
    )


@contextlib.contextmanager
def _no_larger_than(checkpoint: str) -> Iterator[None]:
    """Refuses to create more numbers than a checkpoint has, before they take memory: a description may ask for any size."""
    shapes = tf.train.load_checkpoint(checkpoint).get_variable_to_shape_map().values()
    stored, created = sum(map(math.prod, shapes)), 0

    def create(next_creator, **options):
        nonlocal created
        shape = tuple(options.get("shape") or ())
        created += math.prod(shape) if shape else 0  # Keras makes scalars that our checkpoints do not hold
        if created > stored:
            raise ValueError("too many numbers")
        return next_creator(**options)

    try:
        with tf.variable_creator_scope(create):
            yield
    except ValueError as error:
        if created > stored:
            raise ValueError(f"it has {stored:,} numbers, and the model needs more.") from error
        raise


def _build(directory, modalities, overrides):
    config_path = os.path.join(directory, CONFIG_FILE)
    try:
        require_no_pipe(config_path)
        with tf.io.gfile.GFile(config_path) as file:
            config = json.load(file)
        model = VATT.from_config(config)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError, tf.errors.OpError) as error:
        raise LoadError(f"{config_path} describes no model of this version: {error}") from error
    overrides |= {} if modalities is None else {"modalities": tuple(modalities)}
    if overrides:
        try:
            model = VATT.from_config(config | overrides)
        except (ValueError, TypeError) as error:
            raise LoadError(f"The model of {config_path} cannot be made with {overrides}: {error}") from error
    model.create_variables()
    return model
