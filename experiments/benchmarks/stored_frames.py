"""Ways to store frames, for `experiments.benchmarks.input --storing`."""

import dataclasses
import io
import itertools
import time

import numpy as np
import tensorflow as tf
from absl import flags
from PIL import Image

from experiments.benchmarks.input_timing import SPEC, noise_frame, psnr

FLAGS = flags.FLAGS

QUALITIES = (75, 85, 90, 95)
COLORS = {"4:2:0": 2, "4:4:4": 0}  # Pillow's numbers
SHORT_SIDES_PX = (256, 224)
_SOURCE_PX = (480, 640)
_FRAMES = 4


@dataclasses.dataclass(frozen=True)
class Way:
    """How frames are stored.

    Attributes:
      quality: Of the JPEG, 1 to 100.
      color: Resolution of the colors, one of `COLORS`.
      short_side_px: Of the frame.
    """

    quality: int
    color: str
    short_side_px: int

    def encode(self, frame: Image.Image) -> bytes:
        """Returns a frame as JPEG."""
        buffer = io.BytesIO()
        frame.save(buffer, format="JPEG", quality=self.quality, subsampling=COLORS[self.color])
        return buffer.getvalue()

    def scale(self, frame: np.ndarray) -> Image.Image:
        """Returns a frame at its size."""
        height, width = frame.shape[:2]
        factor = self.short_side_px / min(height, width)
        return Image.fromarray(frame).resize((round(factor * width), round(factor * height)), Image.Resampling.BICUBIC)


def decoding_seconds(jpegs: list[bytes]) -> float:
    """Returns the processor time of decoding the frames of a clip, made of a few pictures."""
    frames = [tf.constant(jpeg) for jpeg, _ in zip(itertools.cycle(jpegs), range(SPEC.frames), strict=False)]
    started = time.process_time()
    for frame in frames:
        tf.io.decode_jpeg(frame, channels=3)
    return time.process_time() - started


def run() -> int:
    """Prints the table."""
    tf.config.threading.set_intra_op_parallelism_threads(FLAGS.threads)
    tf.config.threading.set_inter_op_parallelism_threads(FLAGS.threads)
    generator = np.random.default_rng(0)
    sources = [noise_frame(generator, *_SOURCE_PX) for _ in range(_FRAMES)]
    ways = [Way(*choice) for choice in itertools.product(QUALITIES, COLORS, SHORT_SIDES_PX)]
    pictures = {way: [way.scale(source) for source in sources] for way in ways}
    stored = {way: [way.encode(picture) for picture in pictures[way]] for way in ways}
    seconds = {way: [] for way in ways}
    for _, way in itertools.product(range(FLAGS.repeats), ways):  # in turn
        seconds[way].append(decoding_seconds(stored[way]))
    print(
        f"{'quality':<9}{'colors':<8}{'short side':>10}{'MB per clip':>13}{'PSNR':>9}{'decoded clips/s per core':>26}"
    )
    for way in ways:
        found = tf.stack([tf.io.decode_jpeg(jpeg, channels=3) for jpeg in stored[way]])
        truth = psnr(found, tf.stack([np.asarray(picture) for picture in pictures[way]]))
        megabytes = SPEC.frames * sum(map(len, stored[way])) / _FRAMES / 1e6
        print(
            f"{way.quality:<9}{way.color:<8}{way.short_side_px:>7} px{megabytes:>13.2f}{truth:>6.1f} dB"
            f"{1 / np.median(seconds[way]):>26.1f}"
        )
    return 0
