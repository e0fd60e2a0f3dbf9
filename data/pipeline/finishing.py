"""The last part of making clips: decoded frames to the video that a model takes, on the host or in the training step.

A device is sent bytes: the frames of a clip in the corner of an array that holds the largest of the data set, and what is to
be done to them. All draws have been made by then, except those of the noise on waveforms, whose key is sent.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from data.pipeline import colors, noise
from data.pipeline.resizing import resize_by_gathers, resize_by_products, taps
from data.pipeline.spec import ClipSpec
from data.pipeline.training_order import TRAINING_SPLIT
from data.records.frame_sizes import largest_frame
from data.records.prepared_dataset import PreparedDataset

Clips = dict[str, tf.Tensor]

AUGMENT_ON = ("device", "host")
_VIDEO_ORDERS = ("video_box", "video_flip", "video_colors")
_SCOPE = "finish_clips"  # by which a profile tells its operations from the model's


def frame_canvas(sets: Sequence[PreparedDataset], spec: ClipSpec) -> tuple[int, int]:
    """Returns the height and width of the frames that a device is sent, for training on some sets.

    Our choice: those of the largest frames that a look at the records finds, so that no pixel is lost. A crop that exceeds
    them all the same is scaled down.
    """
    return largest_frame(sets, TRAINING_SPLIT) or (spec.image_size, spec.image_size)


def stored_bytes(sets: Sequence[PreparedDataset], spec: ClipSpec) -> int:
    """Returns the bytes of a clip's video before `finish_clips`."""
    height, width = frame_canvas(sets, spec)
    return spec.frames * height * width * 3


def float_bytes(spec: ClipSpec) -> int:
    """Returns the bytes of a clip's finished video."""
    return spec.frames * spec.image_size**2 * 3 * tf.float32.size


def finish_on_host(frames: tf.Tensor, flip: tf.Tensor, factors: tf.Tensor | None, size: int) -> tf.Tensor:
    """Makes the video of one clip.

    Args:
      frames: uint8 [frames, height, width, 3], the crop.
      flip: [] bool, whether to mirror it left to right.
      factors: float32 [4], see `colors.jitter`; None to leave the colors of all clips as they are.
      size: Height and width of the result.

    Returns:
      float32 [frames, size, size, 3] in [-1, 1].
    """
    frames = tf.cond(flip, lambda: _mirror(frames), lambda: frames)
    # TensorFlow resizes floats twice as fast as whole numbers, with equal results.
    video = tf.image.resize(tf.cast(frames, tf.float32), [size, size])
    if factors is None:
        return colors.rescale(video)
    return tf.cond(
        tf.reduce_any(factors != colors.NEUTRAL),
        lambda: colors.jitter(video[tf.newaxis], factors[tf.newaxis])[0],
        lambda: colors.rescale(video),
    )


def _mirror(frames):
    shape = tf.shape(frames)
    lines = tf.reshape(frames, [-1, shape[2], 3])  # TensorFlow has a fast way for one picture only
    return tf.reshape(tf.reverse(lines, axis=[1]), shape)


def orders_for_device(frames: tf.Tensor, flip: tf.Tensor, factors: tf.Tensor | None, canvas: Sequence[int]) -> Clips:
    """Returns the frames and what `finish_clips` is to do to them.

    Args:
      frames: uint8 [frames, height, width, 3], the crop, no larger than the canvas.
      flip: See `finish_on_host`.
      factors: See `finish_on_host`.
      canvas: Height and width of the array that the crop is put in the corner of.

    Returns:
      `video` uint8 [frames, *canvas, 3], zeros outside the crop; `video_box` int32 [4], the crop's top, left, height and
      width; `video_flip` bool; with factors, `video_colors` float32 [4].
    """
    height, width = tf.unstack(tf.shape(frames)[1:3])
    clip = {"video": _on_canvas(frames, canvas), "video_box": tf.stack([0, 0, height, width]), "video_flip": flip}
    return clip if factors is None else {**clip, "video_colors": factors}


def _on_canvas(frames, canvas):
    count = frames.shape[0]
    height, width = tf.unstack(tf.shape(frames)[1:3])
    lines = tf.reshape(frames, [count, height, width * 3])
    # Joined, which is a copy; TensorFlow pads byte by byte.
    lines = tf.concat([lines, tf.zeros([count, height, (canvas[1] - width) * 3], tf.uint8)], axis=2)
    lines = tf.concat([lines, tf.zeros([count, canvas[0] - height, canvas[1] * 3], tf.uint8)], axis=1)
    return tf.reshape(lines, [count, *canvas, 3])


def finish_clips(clips: Clips, image_size: int, products: bool = False) -> Clips:
    """Does in a training step what `train_batches(augment_on="device")` has put off; other batches stay as they are.

    Its shapes are static, and it draws nothing but noise, from the keys in the batch. The pixels are those of
    `augment_on="host"` to within 2e-5, and so are the samples on CPUs and GPUs; see `data.pipeline.noise`.

    Args:
      clips: A batch, or a replica's part of one.
      image_size: `ClipSpec.image_size`.
      products: Resize by matrix products, for TPUs; see `data.pipeline.resizing`.

    Returns:
      The batch that `train_batches(augment_on="host")` yields: `video` is float32 [batch, frames, size, size, 3] and `waveform`
      float32 [batch, samples], both in [-1, 1].
    """
    finished = {name: value for name, value in clips.items() if name not in (*_VIDEO_ORDERS, *noise.ORDERS)}
    if len(finished) == len(clips):
        return clips
    with tf.name_scope(_SCOPE):
        if orders := _of(clips, _VIDEO_ORDERS):
            finished["video"] = _finish(clips["video"], *orders, size=image_size, products=products)
        if orders := _of(clips, noise.ORDERS):
            finished["waveform"] = noise.add_noise(clips["waveform"], *orders)
    return finished


def _of(clips, names):
    return [clips[name] for name in names if name in clips]


def _finish(frames, box, flip, factors=None, *, size, products):
    video = _resize(frames, box, flip, size=size, products=products)
    return colors.rescale(video) if factors is None else colors.jitter(video, factors)


# Compiled for itself: XLA would compute the pixels again for every one of their uses.
@tf.function(jit_compile=True, autograph=False)
def _resize(frames, box, flip, *, size, products):
    with tf.name_scope(_SCOPE):  # names begin anew in a function of its own
        top, left, height, width = tf.unstack(box, axis=1)
        rows = taps(top, height, tf.zeros_like(flip), size, frames.shape[2])
        columns = taps(left, width, flip, size, frames.shape[3])
        return (resize_by_products if products else resize_by_gathers)(frames, rows, columns)
