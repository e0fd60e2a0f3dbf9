"""The work of `experiments.benchmarks.model`."""

import json
from collections.abc import Callable

import tensorflow as tf
from absl import flags

import vatt
from experiments.benchmarks.flops import forward_flops
from experiments.benchmarks.measure import median_seconds, peak_bytes, run_worker
from experiments.running.command_line import BadInput, bad_input
from vatt.keras import keras

FLAGS = flags.FLAGS

WAYS = ("forward", "step", "recomputed")
_PEAK = "matrix products"
_PEAK_SIZES = (1024, 2048, 4096)
_SAMPLES, _WORDS, _VOCABULARY = 153_600, 16, 1000


def clip_size(text: str) -> tuple[int, int]:
    """Returns frames and pixels of a clip such as "32x224".

    Raises:
      BadInput: It is no such text.
    """
    frames, _, pixels = text.partition("x")
    if not (frames.isdigit() and pixels.isdigit()):
        raise BadInput(f"--clip should be FRAMESxPIXELS, such as 32x224. Found {text!r}.")
    return int(frames), int(pixels)


def calls(preset: str, frames: int, pixels: int) -> dict[str, Callable[[], object]]:
    """Returns what is measured: every one of `WAYS`."""
    kept, again = (describe(preset, frames, pixels, recompute) for recompute in (False, True))
    kept.create_variables()
    again.create_variables()
    clip = {
        "video": tf.random.stateless_uniform([2, frames, pixels, pixels, 3], [0, 1], -1, 1)[:1],
        "waveform": tf.random.stateless_uniform([1, _SAMPLES], [0, 2], -1, 1),
        "text": tf.random.stateless_uniform([1, 1, _WORDS], [0, 3], 1, _VOCABULARY, tf.int32),
    }
    forward = tf.function(lambda: kept(clip), autograph=False)
    return {"forward": forward, "step": training_step(kept, clip), "recomputed": training_step(again, clip)}


def product_seconds() -> float:
    """Returns the seconds that 10^12 operations of plain matrix products take at best, over several sizes and calls."""
    speeds = []
    for size in _PEAK_SIZES:
        matrix = tf.random.stateless_normal([size, size], [0, 0])
        product = tf.function(lambda matrix=matrix: tf.matmul(matrix, matrix), autograph=False)
        speeds += [2.0 * size**3 / median_seconds({"": product}, repeats=1)[""] for _ in range(3)]
    return 1e12 / max(speeds)


def describe(preset: str, frames: int, pixels: int, recompute: bool = False) -> vatt.VATT:
    """Returns a model for clips of that size, without variables.

    Raises:
      ValueError: There is no such preset, or the clip is too small.
    """
    return vatt.VATT(
        preset, frames=frames, image_size=pixels, waveform_samples=_SAMPLES, words=_WORDS, vocabulary_size=_VOCABULARY,
        recompute=recompute,
    )  # fmt: skip


def training_step(model: vatt.VATT, clip: dict[str, tf.Tensor]) -> Callable[[], object]:
    """Returns a step of SGD on one clip; the sum of the embeddings' squares stands for the losses, which need several."""
    optimizer = keras.optimizers.SGD(1e-9, jit_compile=False)
    optimizer.build(model.trainable_variables)

    @tf.function(autograph=False)
    def step() -> None:
        with tf.GradientTape() as tape:
            outputs = model(clip, training=True, seed=tf.constant([0, 0]))
            loss = tf.add_n([tf.reduce_sum(value**2) for value in tf.nest.flatten(outputs)])
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    return step


def operations(preset: str, frames: int, pixels: int) -> dict[str, float]:
    """Returns the floating-point operations of everything that is measured.

    Raises:
      ValueError: There is no such preset, or the clip is too small.
    """
    model = describe(preset, frames, pixels)
    inference, training = (
        sum(forward_flops(model, name, training=way, pooled=True) for name in model.modalities) for way in (False, True)
    )
    return {_PEAK: 1e12, "forward": inference, "step": 3 * training, "recomputed": 4 * training}


def report(preset: str, clip: str) -> None:
    """Measures one model at one clip size and prints its rows."""
    with bad_input():  # also finds out whether there is such a model, before two processes do
        flops = operations(preset, *clip_size(clip))
    arguments = [f"--preset={preset}", f"--clip={clip}", f"--repeats={FLAGS.repeats}"]
    seconds, extra = (
        run_worker("experiments.benchmarks.model", quantity, arguments) for quantity in ("time", "memory")
    )
    speeds = {name: flops[name] / spent for name, spent in seconds.items()}
    for way in WAYS:
        print(
            f"{preset:<11}{clip:<9}{way:<12}{seconds[way]:>9.3f}{flops[way] / 1e9:>10.1f}{speeds[way] / 1e9:>10.1f}"
            f"{speeds[way] / speeds[_PEAK]:>8.0%}{extra[way] / 1e9:>9.3f}",
            flush=True,
        )


def run() -> int:
    """Prints the table, or measures for one of its lines."""
    sizes = [clip_size(clip) for clip in FLAGS.clip]
    if FLAGS.worker:
        with bad_input():
            measured = calls(FLAGS.preset[0], *sizes[0])
        if FLAGS.worker == "time":
            values = {_PEAK: product_seconds(), **median_seconds(measured, FLAGS.repeats)}
        else:
            values = peak_bytes(measured)
        print(json.dumps(values))
        return 0
    print(f"{'model':<11}{'clip':<9}{'':<12}{'s':>9}{'GFLOP':>10}{'GFLOP/s':>10}{'share':>8}{'GB':>9}")
    for preset in FLAGS.preset:
        for clip in FLAGS.clip:
            report(preset, clip)
    return 0
