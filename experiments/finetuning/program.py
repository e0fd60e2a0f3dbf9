"""Fine-tuning, from the command line's flags to the test's figures."""

import json

import tensorflow as tf
from absl import flags

import data
from experiments.finetuning import config as finetune_config
from experiments.finetuning.config import Finetune
from experiments.finetuning.progress import FinetuneProgress, figures
from experiments.finetuning.run import FinetuneRun, build_run
from experiments.finetuning.scores import Evaluator
from experiments.running import strategies
from experiments.running.checkpoints import RunCheckpoints
from experiments.running.command_line import BadInput, RunFailed, bad_input
from experiments.running.damaged_data import damage_named, record_files
from experiments.running.progress import printer
from experiments.running.run_directory import RunDirectory, operative_config
from experiments.running.stop_signal import StopSignal
from experiments.running.training_loop import make_controller, train

FLAGS = flags.FLAGS


def run() -> int:
    """Runs the command line; returns the exit code."""
    directory = RunDirectory(FLAGS.workdir)
    earlier = directory.earlier_defaults("finetune") if FLAGS.workdir else []
    config = finetune_config.parse(FLAGS.gin_file, FLAGS.gin_bindings, FLAGS.checkpoint, earlier)
    if not FLAGS.data_dir or not FLAGS.workdir:
        raise BadInput("--data_dir and --workdir are needed; see --help for an example.")
    if FLAGS.cpu_replicas > 1:
        strategies.split_cpu(FLAGS.cpu_replicas)
    tf.config.experimental.enable_op_determinism()
    strategy = strategies.create_strategy(FLAGS.strategy)
    with bad_input():
        prepared = data.open_labeled(config.dataset, FLAGS.data_dir, multi_label=True)
    return finetune(config, strategy, prepared, directory, FLAGS.allow_config_change)


def finetune(
    config: Finetune,
    strategy: tf.distribute.Strategy,
    prepared: data.PreparedDataset,
    directory: RunDirectory,
    allow_config_change: bool = False,
) -> int:
    """Trains, from the newest checkpoint of `directory` if there is one, and tests; returns the exit code."""
    show = printer()
    if config.checkpoint is None:
        show("No --checkpoint: training FROM SCRATCH, on random weights.")
    run = build_run(config, strategy, len(prepared.class_names), prepared.multi_label, _source(config, directory))
    description = {prepared.name: {**prepared.describe(), "class_names": list(prepared.class_names)}}
    directory.check(operative_config(), description, allow_config_change)
    checkpoints = RunCheckpoints(
        run.state, directory.checkpoints, run.trainer.global_step, config.checkpoint_every_steps, config.keep_checkpoints
    )
    best = RunCheckpoints(run.best_state, directory.best, run.best_step, every_steps=1, keep=1)
    progress = FinetuneProgress(directory, run, StopSignal(), show, make_evaluator(run, prepared), best)
    controller = make_controller(run, progress, checkpoints, progress.to_border)
    step = int(run.trainer.global_step.numpy())
    with bad_input():
        run.trainer.train_dataset = data.distributed_train_batches(
            strategy, prepared, config.clips, batch_size=config.batch_size, seed=config.seed, start_step=step,
            shuffle_window=config.shuffle_window, augmentation=config.augmentation, video=config.modality == "video",
        )  # fmt: skip
    # Nothing was written so far: a start that is refused leaves nothing behind.
    directory.start(operative_config(), description, None, allow_config_change)
    directory.write_model(run.model.backbone.get_config())
    directory.drop_metrics_after(step)
    progress.announce(step)
    with damage_named(lambda: record_files(prepared)):
        if not train(controller, progress):
            return 0
        result = write_result(run, directory, make_evaluator(run, prepared, test_views=True), best)
    progress.show(_summary(result))
    return 0


def _source(config: Finetune, directory: RunDirectory) -> str | None:
    """Returns where the model comes from: this run if it has a checkpoint, so that the first one may be gone."""
    if directory.model.exists() and tf.train.latest_checkpoint(str(directory.checkpoints)):
        return str(directory.path)
    return config.checkpoint


def make_evaluator(run: FinetuneRun, prepared: data.PreparedDataset, test_views: bool = False) -> Evaluator:
    """Returns what scores the run's model, on one view per clip or on those of the test."""
    config = run.config
    video = config.modality == "video"
    views = dict(windows=config.test_windows, crops=config.test_crops if video else 1) if test_views else {}

    def batches(split: str) -> tf.data.Dataset:
        return data.eval_batches(
            prepared, split, config.clips, batch_size=config.evaluation_batch_size, video=video, **views
        )

    return Evaluator(run.model, config.clip_shape, config.entry, run.multi_label, batches)


def write_result(run: FinetuneRun, directory: RunDirectory, evaluator: Evaluator, best: RunCheckpoints) -> dict:
    """Tests the last weights and the best ones, which the model has afterwards; writes and returns result.json.

    Raises:
      RunFailed: Nothing of the validation split could be scored, so there are no best weights.
    """
    config, best_step = run.config, int(run.best_step.numpy())
    if not best_step:
        raise RunFailed("no class of the split 'validation' has clips with and without it, so nothing chooses the weights.")
    last = evaluator("test")
    best.restore_or_initialize()
    validations = {record["step"]: record["validation"] for record in directory.read_metrics() if "validation" in record}
    result = {
        **{name: getattr(config, name) for name in ("modality", "dataset", "checkpoint", "frozen", "seed", "steps")},
        "classes": run.classes,
        "multi_label": run.multi_label,
        "chance": evaluator.chance["test"],
        "views": config.test_windows * (config.test_crops if config.modality == "video" else 1),
        "best_step": best_step,
        "validation": validations[best_step],
        "test": {"best": evaluator("test"), "last": last},
        "seconds_spent": float(run.seconds_spent.numpy()),
    }
    directory.write(directory.result, json.dumps(result, indent=2) + "\n")
    return result


def _summary(result: dict) -> str:
    best, last = (figures(result["test"][name], result["chance"]) for name in ("best", "last"))
    return (
        f"Done: {result['steps']} steps, {result['seconds_spent']:.0f} s. {result['views']} views per test clip.\n"
        f"test, step {result['best_step']}, the best on validation: {best}\n"
        f"test, step {result['steps']}, the last: {last}"
    )
