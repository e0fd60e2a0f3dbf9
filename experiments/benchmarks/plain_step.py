"""The step of plain VATT, with which the harmonized step is compared."""

from collections.abc import Callable

import tensorflow as tf

import vatt
from experiments.pretraining.assembly import Run


def plain_step(run: Run) -> Callable[[dict[str, tf.Tensor]], None]:
    """Returns the step of plain VATT: one gradient of the summed loss."""
    trainer = run.trainer

    @tf.function(autograph=False, jit_compile=run.config.jit_compile or None)
    def step(clips: dict[str, tf.Tensor]) -> None:
        with tf.GradientTape() as tape:
            embeddings = run.model(clips, training=True, seed=tf.constant([0, 0]))
            losses = vatt.losses(embeddings, clips, **trainer.loss_options)
            total = tf.add_n(list(losses.values()))
        gradients = tape.gradient(total, trainer.weights)
        trainer.optimizer.apply_gradients(zip(gradients, trainer.weights, strict=True))

    return step
