"""The work of `experiments.benchmarks.step`."""

import dataclasses
import functools

import tensorflow as tf
from absl import flags

from experiments.benchmarks.flops import training_flops
from experiments.benchmarks.measure import median_seconds
from experiments.benchmarks.plain_step import plain_step
from experiments.pretraining import config
from experiments.pretraining.assembly import Run, build_run, random_batch
from experiments.pretraining.step import GRAMS

FLAGS = flags.FLAGS
VOCABULARY_SIZE = 1000


def bound(flops: dict[str, float]) -> float:
    """Returns the least ratio of the harmonized step's time to the plain step's; see the module.

    Args:
      flops: Of each modality's forward pass.
    """
    video_share = flops["video"] / sum(flops.values())
    return (1 + 2 * (1 + video_share)) / 3


def run() -> None:
    """Prints the table."""
    settings = config.parse(FLAGS.gin_file, FLAGS.gin_bindings)
    run = _build(settings)
    batch = random_batch(settings.clips, settings.batch_size, VOCABULARY_SIZE)
    plain = plain_step(run)
    variants = {name: _build(dataclasses.replace(settings, **options)) for name, options in _variants(settings).items()}
    calls = {"plain": lambda: plain(batch)} | {
        name: functools.partial(_step, each, batch) for name, each in {"harmonized": run, **variants}.items()
    }
    seconds = median_seconds(calls, FLAGS.repeats)
    flops = training_flops(run.model, settings.clips.candidates)
    ratio, least = seconds["harmonized"] / seconds["plain"], bound(flops)
    shares = ", ".join(f"{name} {value / sum(flops.values()):.3f}" for name, value in flops.items())
    print(f"shares of the forward pass  {shares}")
    print(
        f"plain step                  {seconds['plain']:.4f} s  (median of {FLAGS.repeats}, batch {settings.batch_size})"
    )
    print(f"harmonized step             {seconds['harmonized']:.4f} s")
    for name in variants:
        print(f"{name:<28}{seconds[name]:.4f} s  ratio {seconds[name] / seconds['plain']:.3f}")
    print(f"ratio                       {ratio:.3f}")
    print(f"bound                       {least:.3f}  1 + 2 (1 + v) over 3")
    print(f"ratio / bound               {ratio / least:.3f}")


def _variants(settings: config.Pretrain) -> dict[str, dict]:
    """What else is timed: cheaper Gram matrices, and a method without any, in steps that measure nothing."""
    found = {f"harmonized by {gram}": {"gram": gram} for gram in GRAMS if gram != settings.gram}
    return found | {"sum, not measured": {"harmonizer": "sum", "measure_gradients_every": 2**31}}


def _build(settings: config.Pretrain) -> Run:
    return build_run(settings, tf.distribute.get_strategy(), VOCABULARY_SIZE)


def _step(run: Run, batch: dict[str, tf.Tensor]) -> None:
    run.trainer.log.clear()
    run.trainer.train_on_batch(batch, tf.constant(0.0))
