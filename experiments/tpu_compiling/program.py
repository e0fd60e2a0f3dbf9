"""The work of `experiments.compile_for_tpu`: from a configuration to the page."""

import dataclasses
import functools
import gc
import json
import os
import pathlib
import time

import tensorflow as tf
from absl import flags

import data
import vatt
from experiments.pretraining import config
from experiments.pretraining.assembly import Run, build_run, check_passes, make_model, random_batch, unfinished_batch
from experiments.pretraining.dry_run import VOCABULARY_SIZE
from experiments.running import compiler_log
from experiments.running.command_line import BadInput, bad_input
from experiments.running.run_directory import operative_config
from experiments.tpu_compiling import environment, tables
from experiments.tpu_compiling.batch_search import search_most_clips
from experiments.tpu_compiling.compiling import check_compiler, compile_program, shown_progress
from experiments.tpu_compiling.costs import price
from experiments.tpu_compiling.generations import Topology, parse_topology
from experiments.tpu_compiling.lowering import Lowered, lower
from experiments.tpu_compiling.memory import estimated_most_clips, memory_of, refused
from experiments.tpu_compiling.mlir_text import MatrixProduct
from experiments.tpu_compiling.optimized import parse_program
from experiments.tpu_compiling.page import build_page
from experiments.tpu_compiling.result import Compiled, Result
from experiments.tpu_compiling.variants import VARIANTS, configure
from vatt.keras import keras

FLAGS = flags.FLAGS


def run() -> int:
    """Runs the command line; returns the exit code."""
    with bad_input():
        topology = parse_topology(FLAGS.topology)
        versions = environment.installed_versions()
    settings = _settings()
    configuration = operative_config()
    names, clips = _variants(), _clips(settings, topology)
    _check_passes(settings, topology, clips)
    folder = _output_directory()
    check_compiler(topology)
    compiler_log.apply_log_level()
    variants = {name: compile_variant(settings, name, topology, clips) for name in names}
    again = functools.partial(compile_variant, settings, names[0], topology)
    trials = search_most_clips(again, variants[names[0]], FLAGS.batch_trials)
    result = Result(topology.name, topology.devices, versions, configuration, FLAGS.blocks, variants, trials)
    _write(result, folder)
    return 0 if result.fits else 1


def compile_variant(settings: config.Pretrain, name: str, topology: Topology, clips: int) -> Compiled:
    """Builds, lowers and compiles one variant of the step.

    Args:
      settings: What was asked for.
      name: One of `VARIANTS`.
      topology: Where it is to run.
      clips: On each device.

    Raises:
      BadInput: The configuration makes no step, or the compiler cannot be used.
      RunFailed: The compiler gives up.
    """
    started = time.monotonic()
    with shown_progress(f"{name}, {clips} clips: building and lowering the step", _show):
        with bad_input():
            variant = configure(dataclasses.replace(settings, batch_size=clips * topology.devices), name)
        built = build_run(variant, tf.distribute.get_strategy(), VOCABULARY_SIZE)
        _check_replicas(built, topology)
        specs = _clip_specs(variant, clips)
        trainer = built.trainer
        trainer.finish_clips = functools.partial(data.finish_clips, image_size=variant.clips.image_size, products=True)
        step = functools.partial(trainer.replica_step, measure=trainer.measures_every_step)
        with vatt.traced_for_tpu():
            lowered = lower(step, specs, topology.devices)
        seconds = time.monotonic() - started
        weight_bytes = sum(4 * each.shape.num_elements() for each in trainer.weights)
        del built, trainer, step
        keras.backend.clear_session()
        gc.collect()  # a large model's variables would stay while the compiler, too, needs memory
    with shown_progress(f"{name}, {clips} clips: compiling for {topology.name}", _show):
        answer, text = compile_program(lowered, topology)
    clip_bytes = sum(spec.dtype.size * spec.shape.num_elements() for spec in specs.values()) / clips
    growth = (clip_bytes, weight_bytes, settings.clips_per_pass)
    return _compiled(answer, text, lowered, topology, clips, seconds, growth)


def _compiled(answer, text, lowered: Lowered, topology, clips, seconds, growth):
    costs = None
    if text:
        products = [MatrixProduct(*fields) for fields in answer["matrix_products"]]
        costs = price(parse_program(text), products, answer["flops"], answer["bytes_accessed"], topology)
        memory = memory_of(answer["memory"], topology.memory_bytes)
    else:
        memory = refused(answer["needed_bytes"], answer["available_bytes"], topology.memory_bytes)
    return Compiled(
        clips, memory, costs, estimated_most_clips(memory, clips, *growth), lowered.nodes,
        answer.get("generators"), answer.get("device_generators"), seconds, answer.get("compile_seconds"),
    )  # fmt: skip


def _settings() -> config.Pretrain:
    settings = config.parse(FLAGS.gin_file, FLAGS.gin_bindings)
    if FLAGS.blocks is None:
        return settings
    encoders = make_model(settings, VOCABULARY_SIZE).encoders.values()
    fewest = min(len(encoder.blocks) for encoder in encoders if hasattr(encoder, "blocks"))
    if FLAGS.blocks > fewest:
        raise BadInput(f"--blocks should be at most {fewest}, which the model's encoders have. Found {FLAGS.blocks}.")
    return config.parse(FLAGS.gin_file, [*FLAGS.gin_bindings, f"VATT.layers = {FLAGS.blocks}"])


def _check_replicas(run: Run, topology: Topology) -> None:
    if run.config.all_reduce == "before" and topology.devices > 1 and run.trainer.harmonizer.variables:
        raise BadInput(
            "`pretrain.all_reduce = 'before'` should be used with a method without state, since each replica would keep a state. "
            f"Found {type(run.trainer.harmonizer).__name__}."
        )


def _check_passes(settings: config.Pretrain, topology: Topology, clips: int) -> None:
    check_passes(dataclasses.replace(settings, batch_size=clips * topology.devices), topology.devices)
    if FLAGS.batch_trials and settings.clips_per_pass is not None:
        raise BadInput(
            "--batch_trials should be 0 with `pretrain.clips_per_pass`, since the clips of a pass decide whether the step fits. "
            f"Found {FLAGS.batch_trials}."
        )


def _clip_specs(settings, clips) -> dict[str, tf.TensorSpec]:
    make = random_batch if settings.augment_on == "host" else unfinished_batch  # a TPU's default is "device"
    batch = tf.function(lambda: make(settings.clips, clips, VOCABULARY_SIZE), autograph=False)
    return batch.get_concrete_function().structured_outputs


def _variants():
    unknown = [name for name in FLAGS.variants if name not in VARIANTS]
    if unknown or not FLAGS.variants:
        raise BadInput(f"--variants should be some of {', '.join(VARIANTS)}. Found {', '.join(unknown) or 'none'}.")
    return list(dict.fromkeys(FLAGS.variants))


def _clips(settings, topology):
    clips, rest = divmod(settings.batch_size, topology.devices)
    if FLAGS.clips_per_core is None and (rest or not clips):
        raise BadInput(
            f"`pretrain.batch_size` should be a multiple of the {topology.devices} cores of {topology.name}. Found "
            f"{settings.batch_size}. Or say how many each gets: --clips_per_core=8."
        )
    return FLAGS.clips_per_core or clips


def _output_directory():
    folder = pathlib.Path(FLAGS.output_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"--output_dir should be a directory that can be written to. Found {folder}: {error}") from error
    if not os.access(folder, os.W_OK):
        raise BadInput(f"--output_dir should be a directory that can be written to. Found {folder}.")
    return folder


def _write(result: Result, folder: pathlib.Path) -> None:
    (folder / "costs.json").write_text(json.dumps(result.as_json(), indent=1), encoding="utf-8")
    (folder / "index.html").write_text(build_page(result), encoding="utf-8")
    for rows in (tables.summary(result), tables.by_part(result, 0), tables.by_part(result, 1)):
        print("\n" + tables.as_text(rows))
    print("\nNot in the estimate:\n" + tables.as_text(tables.unpriced(result.variants)))
    for trial in result.trials:
        print(f"{trial.clips} clips per core: {'fits' if trial.fits else 'does not fit'}")
    print(f"\nPage: {folder / 'index.html'}")


def _show(line):
    print(line, flush=True)
