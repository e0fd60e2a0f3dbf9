"""What `--dry_run` does: builds a run in full, takes one step on noise, prints what there is. Writes nothing."""

import collections

import tensorflow as tf

from experiments.pretraining.assembly import Run, build_run, random_batch
from experiments.pretraining.config import Pretrain
from experiments.running.run_directory import operative_config

CLIPS_PER_REPLICA = 2  # enough for a contrastive loss; the full batch needs the full machine
PASSES, CLIPS_PER_PASS = 2, 4  # where the batch is passed through in parts
VOCABULARY_SIZE = 65_536  # VATT's, as there is no data set to ask


def dry_run(settings: Pretrain, strategy: tf.distribute.Strategy) -> Run:
    """Builds `settings` and runs one batch of noise: two clips on each replica, or two short passes if the run has passes."""
    run = build_run(settings, strategy, VOCABULARY_SIZE)
    clips, passes = _clips_per_replica(run)
    print("# Operative configuration\n" + operative_config())
    print("# Parameters\n" + parameter_table(run.model))
    held = "weights, Adam's moments, two gradients" + (", their sums over the passes" if passes else "")
    print(f"{memory_gib(run.model, passes):.2f} GiB for {held} and the update; activations come on top.\n")
    if passes:
        print(
            f"{passes} passes of {settings.clips_per_pass} clips on each replica; here {PASSES} of {CLIPS_PER_PASS}.\n"
        )
    batch = random_batch(settings.clips, clips * strategy.num_replicas_in_sync, VOCABULARY_SIZE)
    print("# Shapes\n" + shape_table(run, batch))
    print("Compiling and running one step; the first time this can take minutes ...", flush=True)
    _run_step(run, batch, clips)
    columns = run.trainer.train_loop_end()
    print("# One step on noise")
    for name in run.trainer.log.fields:
        print(f"{name:32} {float(columns[name][0]):.6g}")
    print("Dry run done: nothing was trained, nothing was written.")
    return run


def _clips_per_replica(run: Run) -> tuple[int, int]:
    """The clips of each replica, and the passes of the real run, 0 if it takes all clips at once."""
    trainer, clips = run.trainer, run.config.batch_size // run.strategy.num_replicas_in_sync
    if trainer.clips_per_pass is None or clips <= trainer.clips_per_pass:
        return CLIPS_PER_REPLICA, 0
    passes, trainer.clips_per_pass = clips // trainer.clips_per_pass, CLIPS_PER_PASS
    return PASSES * CLIPS_PER_PASS, passes


def parameter_table(model: tf.Module) -> str:
    """Returns the parameters of each part of the model, one line each."""
    counts = collections.Counter()
    for part in model.layers:
        counts[part.name] += sum(int(tf.size(variable)) for variable in part.variables)
    lines = [f"{name:32} {count:>13,}" for name, count in counts.items()]
    return "\n".join([*lines, f"{'total':32} {sum(counts.values()):>13,}", ""])


def memory_gib(model: tf.Module, passes: int = 0) -> float:
    """Returns the GiB of all arrays the size of the weights that a harmonized Adam step holds, per replica."""
    return (8 if passes else 6) * 4 * sum(int(tf.size(variable)) for variable in model.trainable_variables) / 2**30


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


def _run_step(run: Run, batch: dict[str, tf.Tensor], clips: int) -> None:
    def take(context: tf.distribute.experimental.ValueContext) -> dict[str, tf.Tensor]:
        start = context.replica_id_in_sync_group * clips
        return {name: value[start : start + clips] for name, value in batch.items()}

    distributed = {
        name: run.strategy.experimental_distribute_values_from_function(lambda context, name=name: take(context)[name])
        for name in batch
    }
    with run.strategy.scope():
        run.trainer.train_on_batch(distributed, tf.constant(0.0))
