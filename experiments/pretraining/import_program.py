"""The work of `experiments.import_checkpoint`: a published checkpoint becomes a run directory."""

import json
import os
import pathlib
import shutil

import tensorflow as tf
from absl import flags

import vatt
from data import WordTokenizer
from experiments.pretraining import config
from experiments.pretraining.assembly import make_model
from experiments.running.command_line import BadInput, RunFailed, bad_input
from experiments.running.run_directory import RunDirectory, operative_config

FLAGS = flags.FLAGS


def run() -> int:
    """Runs the command line; returns the exit code."""
    if not FLAGS.source or not FLAGS.model or not FLAGS.workdir:
        raise BadInput("--source, --model and --workdir are needed; see --help for an example.")
    directory = RunDirectory(FLAGS.workdir)
    if directory.config.exists():
        raise BadInput(f"{directory.path} already holds a run. Use another --workdir.")
    if os.path.realpath(os.path.dirname(FLAGS.source)) == os.path.realpath(directory.checkpoints):
        raise BadInput(
            f"{FLAGS.source} would be overwritten: {directory.checkpoints} is where the imported checkpoint goes. Use another "
            "--workdir."
        )
    settings = config.parse([], [*release_bindings(FLAGS.model), *FLAGS.gin_bindings])
    with bad_input():
        step, words = vatt.release_facts(FLAGS.source)
        if FLAGS.vocabulary:
            check_vocabulary(FLAGS.vocabulary, words, settings.clips.words)
        model = make_model(settings, words or 1)
        model.create_variables()
        matched = vatt.import_release(FLAGS.source, model)
    with directory.only_writer("training"):
        write_run(directory, model, step, matched)
    print(
        f"{len(matched)} variables, {model.count_params():,} numbers, step {step}: all matched, listed in import_report.json."
    )
    if "text" in model.modalities and not FLAGS.vocabulary:
        print("Note: without --vocabulary the imported model takes token ids but not sentences.")
    print(f"Done: {directory.path}. In Python: vatt.load({str(directory.path)!r})")
    return 0


def release_bindings(model: str) -> list[str]:
    """Returns the gin bindings of a published model; its clips are those of the published pre-training."""
    return [
        "pretrain.model = @VATT",
        f"VATT.preset = {model!r}",
        "VATT.release_compatible = True",
        "pretrain.clips = @ClipSpec()",
        "pretrain.tokenizer = 'words'",
        "pretrain.loss = 'asymmetric_nce'",
    ]


def check_vocabulary(path: str, words: int | None, caption_words: int) -> None:
    """Checks that a vocabulary can be that of the checkpoint.

    Raises:
      BadInput: The checkpoint has no words, or fewer than the file.
      data.DataError: The file is no vocabulary.
    """
    size = WordTokenizer(path, caption_words).vocabulary_size
    if words is None or size > words:
        raise BadInput(
            f"--vocabulary should name at most as many words as the checkpoint has vectors for, {words or 0}. "
            f"Found {size} in {path}."
        )


def write_run(directory: RunDirectory, model: vatt.VATT, step: int, matched: dict) -> None:
    """Writes the run directory; config.gin comes last, so that a half-written one is no run."""
    _write_checkpoint(directory.checkpoints, model, step)
    if FLAGS.vocabulary:
        with tf.io.gfile.GFile(FLAGS.vocabulary) as file:
            directory.write_vocabulary(file.read())
    report = {"source": FLAGS.source, "step": step, "parameters": model.count_params(), "matched": matched}
    directory.write(directory.path / "import_report.json", json.dumps(report, indent=2) + "\n")
    directory.write_model(model.get_config())
    directory.write(directory.config, operative_config())


def _write_checkpoint(folder: pathlib.Path, model: vatt.VATT, step: int) -> None:
    """Writes the only checkpoint, in place of what an import that was killed has left."""
    unfinished = folder / f"ckpt-{step}_temp"
    shutil.rmtree(unfinished, ignore_errors=True)
    state = tf.train.Checkpoint(model=model, global_step=tf.Variable(step, dtype=tf.int64))
    try:
        tf.train.CheckpointManager(state, str(folder), max_to_keep=1).save(checkpoint_number=step)
    except (tf.errors.OpError, OSError) as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        reason = str(getattr(error, "message", error)).splitlines()[0]
        raise RunFailed(f"the checkpoint could not be written to {folder}: {reason}") from error
