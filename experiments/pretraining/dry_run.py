"""What `--dry_run` does: builds a run in full, takes one step on noise, prints what there is. Writes nothing."""

import collections

import tensorflow as tf

from experiments.pretraining.assembly import Run, build_run, random_batch
from experiments.pretraining.config import Pretrain
from experiments.running.run_directory import operative_config

CLIPS_PER_REPLICA = 2  # enough for a contrastive loss; the full batch needs the full machine
VOCABULARY_SIZE = 65_536  # VATT's, as there is no data set to ask


def dry_run(settings: Pretrain, strategy: tf.distribute.Strategy) -> Run:
    """Builds `settings` and runs one batch of noise, `CLIPS_PER_REPLICA` clips on each replica."""
    run = build_run(settings, strategy, VOCABULARY_SIZE)
    print("# Operative configuration\n" + operative_config())
    print("# Parameters\n" + parameter_table(run.model))
    print(
        f"{memory_gib(run.model):.2f} GiB for weights, Adam's moments, two gradients and the update; activations come on top.\n"
    )
    batch = random_batch(settings.clips, CLIPS_PER_REPLICA * strategy.num_replicas_in_sync, VOCABULARY_SIZE)
    print("# Shapes\n" + shape_table(run, batch))
    print("Compiling and running one step; the first time this can take minutes ...", flush=True)
    _run_step(run, batch)
    columns = run.trainer.train_loop_end()
    print("# One step on noise")
    for name in run.trainer.log.fields:
        print(f"{name:32} {float(columns[name][0]):.6g}")
    print("Dry run done: nothing was trained, nothing was written.")
    return run


def parameter_table(model: tf.Module) -> str:
    """Returns the parameters of each part of the model, one line each."""
    counts = collections.Counter()
    for part in model.layers:
        counts[part.name] += sum(int(tf.size(variable)) for variable in part.variables)
    lines = [f"{name:32} {count:>13,}" for name, count in counts.items()]
    return "\n".join([*lines, f"{'total':32} {sum(counts.values()):>13,}", ""])


def memory_gib(model: tf.Module) -> float:
    """Returns the GiB of all arrays the size of the weights that a harmonized Adam step holds, per replica."""
    return 6 * 4 * sum(int(tf.size(variable)) for variable in model.trainable_variables) / 2**30


def shape_table(run: Run, batch: dict[str, tf.Tensor]) -> str:
    """Returns the shapes of the batch, of the tokens and of the embeddings, one line each."""
    lines = [f"{name:32} {value.dtype.name} {list(value.shape)}" for name, value in batch.items()]
    for name, count in run.model.token_counts(training=True).items():
        lines.append(f"{name + ' tokens, training':32} {count}")
    outputs = (
        tf.function(run.model, autograph=False)
        .get_concrete_function({name: tf.TensorSpec(value.shape, value.dtype) for name, value in batch.items()})
        .structured_outputs
    )
    for group, members in outputs.items():
        lines += [f"{group + ' ' + name:32} {list(value.shape)}" for name, value in members.items()]
    return "\n".join([*lines, ""])


def _run_step(run: Run, batch: dict[str, tf.Tensor]) -> None:
    def take(context: tf.distribute.experimental.ValueContext) -> dict[str, tf.Tensor]:
        start = context.replica_id_in_sync_group * CLIPS_PER_REPLICA
        return {name: value[start : start + CLIPS_PER_REPLICA] for name, value in batch.items()}

    distributed = {
        name: run.strategy.experimental_distribute_values_from_function(lambda context, name=name: take(context)[name])
        for name in batch
    }
    with run.strategy.scope():
        run.trainer.train_on_batch(distributed, tf.constant(0.0))
