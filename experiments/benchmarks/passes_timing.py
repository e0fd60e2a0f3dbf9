"""The work of `experiments.benchmarks.passes`."""

import functools
import json
from collections.abc import Callable, Mapping, Sequence

from absl import flags

from experiments.benchmarks.measure import medians, peak_bytes, run_worker, times_of
from experiments.running.command_line import BadInput, RunFailed

FLAGS = flags.FLAGS
NEVER = 2**31 - 1
METHODS = {
    "plain": ["pretrain.harmonizer = 'sum'", f"pretrain.measure_gradients_every = {NEVER}"],
    "harmonized": ["pretrain.measure_gradients_every = 1"],
}
"""The steps to measure, with the bindings of each."""
DIRECT, PASSES = "one pass", "batch"
_VOCABULARY_SIZE = 1000


def run() -> None:
    """Prints the table; as a worker, one quantity as JSON.

    Raises:
      BadInput: The batch is not made of whole passes, or the configuration is wrong.
      RunFailed: A measurement fails.
    """
    if FLAGS.batch_size % FLAGS.clips_per_pass:
        raise BadInput(f"--batch_size should be a multiple of --clips_per_pass. Found {FLAGS.batch_size}.")
    if FLAGS.worker:
        steps, pass_bytes = build_steps()
        timed = {name: functools.partial(times_of, step) for name, step in steps.items()}
        found = medians(timed, FLAGS.repeats) if FLAGS.worker == "time" else _peaks(steps, pass_bytes)
        print(json.dumps(found))
        return
    try:
        seconds, peaks = (
            run_worker("experiments.benchmarks.passes", each, _arguments()) for each in ("time", "memory")
        )
    except RuntimeError as error:
        raise RunFailed(str(error)) from error
    print("\n".join(table(seconds, peaks, FLAGS.batch_size // FLAGS.clips_per_pass)))


def table(seconds: Mapping[str, Sequence[float]], peaks: Mapping[str, float], passes: int) -> list[str]:
    """Returns the lines of the table.

    Args:
      seconds: Of each step, by "method, what": by the clock and of processor time.
      peaks: How far memory rises during it, in bytes.
      passes: How many make the batch.
    """
    heads = ("pass s", "batch s", "/ passes", "pass CPU", "batch CPU", "/ passes", "pass MB", "batch MB", "/ pass")
    lines = [f"{f'{passes} passes':<12}" + " ".join(f"{head:>10}" for head in heads)]
    for method in METHODS:
        alone, batch = f"{method}, {DIRECT}", f"{method}, {PASSES}"
        cells = [
            cell
            for one, all_ in zip(seconds[alone], seconds[batch], strict=True)
            for cell in (one, all_, all_ / (passes * one))
        ]
        cells += [peaks[alone] / 1e6, peaks[batch] / 1e6, peaks[batch] / peaks[alone]]
        lines.append(f"{method:<12}" + " ".join(f"{cell:10.3f}" for cell in cells))
    return lines


def _peaks(steps, pass_bytes):
    """How far memory rises; a step of one pass alone needs its clips, too, whereas those of a batch are there before."""
    rises = peak_bytes(steps, FLAGS.repeats)
    return {name: rise + (pass_bytes if name.endswith(DIRECT) else 0) for name, rise in rises.items()}


def build_steps() -> tuple[dict[str, Callable[[], None]], int]:
    """Builds the step of one pass and that of the batch, of each method; also returns the bytes of the clips of a pass."""
    import tensorflow as tf

    from experiments.pretraining import config
    from experiments.pretraining.assembly import build_run, random_batch

    steps, batches = {}, {}
    for method, bindings in METHODS.items():
        for what, clips in ((DIRECT, FLAGS.clips_per_pass), (PASSES, FLAGS.batch_size)):
            sizes = [f"pretrain.batch_size = {clips}", f"pretrain.clips_per_pass = {FLAGS.clips_per_pass}"]
            settings = config.parse(FLAGS.gin_file, [*FLAGS.gin_bindings, *bindings, *sizes])
            if not batches:
                few = random_batch(settings.clips, FLAGS.clips_per_pass, _VOCABULARY_SIZE)
                many = {name: _repeated(value, FLAGS.batch_size // FLAGS.clips_per_pass) for name, value in few.items()}
                batches |= {DIRECT: few, PASSES: many}
            run = build_run(settings, tf.distribute.get_strategy(), _VOCABULARY_SIZE)
            steps[f"{method}, {what}"] = _logged(run.trainer, batches[what])
    return steps, sum(value.dtype.size * value.shape.num_elements() for value in batches[DIRECT].values())


def _repeated(values, times: int):
    """The clips again and again, which takes no more memory than the batch; all are alike to the arithmetic."""
    import tensorflow as tf

    return tf.tile(values, [times, *[1] * (values.shape.rank - 1)])


def _logged(trainer, batch) -> Callable[[], None]:
    import tensorflow as tf

    waited_seconds = tf.constant(0.0)

    def take() -> None:
        trainer.log.clear()
        trainer.train_on_batch(batch, waited_seconds)

    return take


def _arguments() -> list[str]:
    listed = [("gin_file", FLAGS.gin_file), ("gin_bindings", FLAGS.gin_bindings)]
    numbers = [f"--{name}={FLAGS[name].value}" for name in ("batch_size", "clips_per_pass", "repeats")]
    return [*numbers, *(f"--{name}={value}" for name, values in listed for value in values)]
