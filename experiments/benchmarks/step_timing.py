"""The work of `experiments.benchmarks.step`."""

import tensorflow as tf
from absl import flags

from experiments.benchmarks.flops import training_flops
from experiments.benchmarks.measure import median_seconds
from experiments.benchmarks.plain_step import plain_step
from experiments.pretraining import config
from experiments.pretraining.assembly import build_run, random_batch

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
    run = build_run(settings, tf.distribute.get_strategy(), VOCABULARY_SIZE)
    batch = random_batch(settings.clips, settings.batch_size, VOCABULARY_SIZE)
    plain = plain_step(run)

    def harmonized() -> None:
        run.trainer.log.clear()
        run.trainer.train_on_batch(batch, tf.constant(0.0))

    seconds = median_seconds({"plain": lambda: plain(batch), "harmonized": harmonized}, FLAGS.repeats)
    flops = training_flops(run.model, settings.clips.candidates)
    ratio, least = seconds["harmonized"] / seconds["plain"], bound(flops)
    shares = ", ".join(f"{name} {value / sum(flops.values()):.3f}" for name, value in flops.items())
    print(f"shares of the forward pass  {shares}")
    print(
        f"plain step                  {seconds['plain']:.4f} s  (median of {FLAGS.repeats}, batch {settings.batch_size})"
    )
    print(f"harmonized step             {seconds['harmonized']:.4f} s")
    print(f"ratio                       {ratio:.3f}")
    print(f"bound                       {least:.3f}  1 + 2 (1 + v) over 3")
    print(f"ratio / bound               {ratio / least:.3f}")
