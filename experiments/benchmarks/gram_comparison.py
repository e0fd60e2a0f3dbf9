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
from experiments.pretraining.step import CUTS, OBJECTIVES
from experiments.running.command_line import bad_input
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


def run() -> int:
    """Trains and prints the comparison, as a table and as a line of JSON."""
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
        rows.append({name: float(value) for name, value in step(next(batches)).items()})
    found = agreement({name: np.array([row[name] for row in rows]) for name in rows[0]}, FLAGS.gamma)
    for name, values in found.items():
        print(f"{name:<12}" + "  ".join(f"{key} {value:.3f}" for key, value in values.items()))
    print(json.dumps(found))
    return 0


def comparing_step(trained: Run):
    """Returns a step of the plain sum that also says what every Gram matrix makes of the two gradients: cosines, or NaN."""
    trainer = trained.trainer

    def gradients(clips, name):
        """Per objective the gradients at the cut, those of the variables above it, and the whole ones."""
        with tf.GradientTape(persistent=True) as tape:
            cut = harmonization.TapeCut(tape, counted=name == "features")
            with vatt.cut_at(CUTS[name], cut):
                outputs = trained.model(clips, training=True, seed=step_seed(trainer.seed, trainer.global_step))
            losses = vatt.losses(outputs, clips, **trainer.loss_options)
        found = []
        for objective in OBJECTIVES:
            row = tape.gradient(losses[objective], [*cut.above, *trainer.weights])
            at_cut, above = row[: len(cut.above)], row[len(cut.above) :]
            pairs = [
                (below, cotangent) for below, cotangent in zip(cut.below, at_cut, strict=True) if cotangent is not None
            ]
            below = tape.gradient(
                [pair[0] for pair in pairs], trainer.weights, output_gradients=[pair[1] for pair in pairs]
            )
            found.append(
                (at_cut if cut.counted else [], above, [_sum(*pair) for pair in zip(above, below, strict=True)])
            )
        return found

    @tf.function(autograph=False)
    def step(clips):
        before = trainer.copy_statistics()
        found = {name: gradients(clips, name) for name in list(CUTS)[1:]}
        for variable, value in zip(trainer.statistics, before, strict=True):
            variable.assign(value)
        found |= {name: gradients(clips, name) for name in list(CUTS)[:1]}
        whole = [row[2] for row in found["features"]]
        cosines = {"exact": _cosine(whole)}
        cosines |= {name: _cosine([[*row[0], *row[1]] for row in rows]) for name, rows in found.items()}
        update = [_sum(*pair) for pair in zip(*whole, strict=True)]
        trainer.optimizer.apply_gradients(zip(update, trainer.weights, strict=True))
        trainer.global_step.assign_add(1)
        return cosines

    return step


def _sum(one, other):
    present = [tf.convert_to_tensor(each) for each in (one, other) if each is not None]
    return tf.add_n(present) if present else None


def _cosine(rows):
    """The cosine of two lists of gradients, NaN where one of them is zero."""
    pairs = list(zip(*rows, strict=True))
    product = tf.add_n(
        [
            tf.reduce_sum(tf.convert_to_tensor(a) * tf.convert_to_tensor(b))
            for a, b in pairs
            if a is not None and b is not None
        ]
    )
    norms = [
        tf.sqrt(tf.add_n([tf.reduce_sum(tf.convert_to_tensor(g) ** 2) for g in row if g is not None])) for row in rows
    ]
    return product / (norms[0] * norms[1])
