"""The work of `experiments.benchmarks.gram_agreement`."""

import json
from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from absl import flags

import data
import harmonization
import vatt
from experiments.pretraining import config
from experiments.pretraining.assembly import Run, build_run
from experiments.pretraining.step import GRAMS
from experiments.running.command_line import BadInput, bad_input
from experiments.training.step_trainer import step_seed

FLAGS = flags.FLAGS


def agreement(cosines: Mapping[str, np.ndarray], gamma: float) -> dict[str, dict[str, float]]:
    """Returns how each Gram matrix compares with the exact one.

    Args:
      cosines: Names of Gram matrices, among them "exact", to the cosines of the steps, `[steps]`; NaN where undefined.
      gamma: The gate's threshold.

    Returns:
      Per other matrix: `correlation`, the shares of steps with the `same_sign` and the `same_gate`, and `conflict_rate`.
    """
    exact, found = cosines["exact"], {}
    for name, other in cosines.items():
        both = ~np.isnan(exact) & ~np.isnan(other)
        one, two = exact[both], other[both]
        found[name] = {
            "steps": int(both.sum()),
            "correlation": float(np.corrcoef(one, two)[0, 1]),
            "same_sign": float(np.mean((one < 0) == (two < 0))),
            "same_gate": float(np.mean((one > gamma) == (two > gamma))),
            "conflict_rate": float(np.mean(two < 0)),
        }
    return found


def update_errors(gram: np.ndarray, weights: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Returns how far off an update is that is weighed by other weights than the exact ones.

    The sign of a small cosine decides little: there GR's weights are close to 1 on either side of zero. This counts what
    becomes of a decision.

    Args:
      gram: The exact Gram matrix of each step, `[steps, 2, 2]`.
      weights: Names of Gram matrices, among them "exact", to the weights chosen by them, `[steps, 2]`.

    Returns:
      The length of the difference of the two updates over that of the exact one, the mean over the steps that have one, by
      name; "sum" is the plain sum.
    """

    def lengths(factors):
        return np.sqrt(np.maximum(np.einsum("si,sij,sj->s", factors, gram, factors), 0.0))

    exact = weights["exact"]
    moved = lengths(exact) > 0
    return {
        name: float(np.mean(lengths(other - exact)[moved] / lengths(exact)[moved]))
        for name, other in {**weights, "sum": np.ones_like(exact)}.items()
    }


def run() -> int:
    """Trains and prints the comparison, as a table and as a line of JSON."""
    if not FLAGS.data_dir:
        raise BadInput("--data_dir is needed; see --help for an example.")
    settings = config.parse(FLAGS.gin_file, [*FLAGS.gin_bindings, "pretrain.harmonizer = 'sum'"])
    with bad_input():
        prepared = [data.open_dataset(name, FLAGS.data_dir) for name in settings.datasets]
        path = {"wordpiece": "wordpiece_vocabulary_path", "words": "word_vocabulary_path"}[settings.tokenizer]
        tokenizer = config.TOKENIZERS[settings.tokenizer](str(getattr(prepared[0], path)), settings.clips.words)
    strategy = tf.distribute.get_strategy()
    trained = build_run(settings, strategy, tokenizer.vocabulary_size)
    batches = iter(
        data.distributed_train_batches(
            strategy, prepared, settings.clips, tokenizer, start_step=0, augmentation=settings.augmentation,
            batch_size=settings.batch_size, seed=settings.seed, shuffle_window=settings.shuffle_window,
            weights=settings.dataset_weights,
        )
    )  # fmt: skip
    step, rows = comparing_step(trained), []
    for _ in range(FLAGS.steps):
        rows.append(tf.nest.map_structure(lambda value: value.numpy(), step(next(batches))))
    of_steps = tf.nest.map_structure(lambda *values: np.stack(values), *rows)
    found = agreement(of_steps["cosine"], FLAGS.gamma)
    for name, error in update_errors(of_steps["gram"], of_steps["weights"]).items():
        found.setdefault(name, {})["update_error"] = error
    for name, values in found.items():
        print(f"{name:<12}" + "  ".join(f"{key} {value:.4g}" for key, value in values.items()))
    print(json.dumps(found))
    return 0


def comparing_step(trained: Run):
    """Returns a step of the plain sum that also says what every Gram matrix makes of the two gradients.

    The step returns, by the names of the Gram matrices, `cosine` [] (or NaN) and GR's `weights` [2], and `gram` [2, 2], the
    exact one.
    """
    trainer, realignment = trained.trainer, harmonization.GradientRealignment()

    def harmonized(clips, gram):
        """What training does with a Gram matrix, up to the update and the report."""
        with tf.GradientTape(persistent=True) as tape:
            with trainer.cut(tape, gram) as cut:
                embeddings = trained.model(clips, training=True, seed=step_seed(trainer.seed, trainer.global_step))
            losses = list(vatt.losses(embeddings, clips, **trainer.loss_options).values())
        return harmonization.harmonize_losses(
            tape, losses, trainer.weights, trainer.harmonizer, values=losses, cut=cut
        )  # fmt: skip

    @tf.function(autograph=False)
    def step(clips):
        before = trainer.copy_statistics()
        cosines, weights = {}, {}
        for gram in reversed(GRAMS):  # the exact one last: it leaves its update, and the batch statistics count once
            for variable, value in zip(trainer.statistics, before, strict=True):
                variable.assign(value)
            update, report = harmonized(clips, gram)
            cosines[gram] = tf.where(report["defined"], report["cosine"], float("nan"))
            weights[gram] = realignment.weights(report["gram"])
        trainer.optimizer.apply_gradients(zip(update, trainer.weights, strict=True))
        trainer.global_step.assign_add(1)
        return {"cosine": cosines, "weights": weights, "gram": report["gram"]}

    return step
