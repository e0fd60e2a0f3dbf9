"""The work of `experiments.benchmarks.input`."""

import functools
import tempfile
import time
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from absl import flags, logging
from PIL import Image

import data
from data import Cue, DecodedClip, dataset_info, make_record, random_crop_box

FLAGS = flags.FLAGS

SPEC = data.ClipSpec()
DECODERS = {"plain chroma": {"fancy_upscaling": False}, "fast DCT": {"dct_method": "INTEGER_FAST"}}
PLAIN = data.Augmentation(jitter_probability=0.0)
_STORED_FRAMES, _HEIGHT, _WIDTH, _STORED_CLIPS = 40, 256, 341, 6
_BATCH, _WARM_UP = 2, 3


class NoiseClips(tfds.core.GeneratorBasedBuilder):
    """Clips that cost as much to decode as real ones."""

    VERSION = tfds.core.Version("1.0.0")
    url_infos = {}  # Nothing is downloaded; TFDS would look for a list next to this file.

    def _info(self) -> tfds.core.DatasetInfo:
        parameters = {"frames_per_second": SPEC.frames_per_second, "sample_rate_hz": SPEC.sample_rate_hz}
        return dataset_info(self, "Noise like photographs.", parameters)

    def _split_generators(self, _) -> dict:
        return {"train": self._generate_examples()}

    def _generate_examples(self) -> Iterator[tuple[str, dict]]:
        generator = np.random.default_rng(0)
        samples = round(_STORED_FRAMES / SPEC.frames_per_second * SPEC.sample_rate_hz)
        for number in range(_STORED_CLIPS):
            frames = np.stack([noise_frame(generator) for _ in range(_STORED_FRAMES)])
            clip = DecodedClip(0.0, frames, generator.integers(-9999, 9999, samples, np.int16))
            yield str(number), make_record(clip, [Cue("noise", 0.0, 4.0)], clip_id=str(number), source="")


def noise_frame(generator: np.random.Generator, height: int = _HEIGHT, width: int = _WIDTH) -> np.ndarray:
    """Returns a frame uint8 [height, width, 3] of noise, whose spectrum is about that of frames of a video."""
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)
    frequency = np.hypot(rows, columns)
    frequency[0, 0] = 1.0
    spectrum = np.fft.rfft2(generator.standard_normal((3, height, width))) / frequency**1.2
    values = np.fft.irfft2(spectrum, s=(height, width))
    values *= np.array([50, 12, 12])[:, None, None] / values.std(axis=(1, 2), keepdims=True)
    channels = np.clip(128 + values, 0, 255).astype(np.uint8).transpose(1, 2, 0)
    return np.asarray(Image.fromarray(channels, "YCbCr").convert("RGB"))


def stored_jpegs(prepared: data.PreparedDataset) -> tf.data.Dataset:
    """Returns the first 32 JPEGs of each clip, [32] string, from memory, without end."""
    parse = {"video": tf.io.FixedLenFeature([_STORED_FRAMES], tf.string)}
    records = tf.data.TFRecordDataset(list(prepared.shard_paths["train"]))
    return (
        records.map(lambda record: tf.io.parse_single_example(record, parse)["video"][: SPEC.frames]).cache().repeat()
    )


def decoded(jpegs: tf.Tensor) -> tf.Tensor:
    """Decodes whole frames, and keeps as little of them as makes TensorFlow do it."""
    return tf.add_n([tf.cast(tf.io.decode_jpeg(jpeg, channels=3)[0, 0, 0], tf.int32) for jpeg in tf.unstack(jpegs)])


def cropped(number: tf.Tensor, jpegs: tf.Tensor, **options: object) -> tf.Tensor:
    """Decodes a random crop of all frames; `options` are those of TensorFlow's decoder."""
    box = random_crop_box(tf.image.extract_jpeg_shape(jpegs[0]), data.Augmentation(), [number, 0])
    frames = [tf.image.decode_and_crop_jpeg(jpeg, box, channels=3, **options) for jpeg in tf.unstack(jpegs)]
    return tf.add_n([tf.cast(frame[0, 0, 0], tf.int32) for frame in frames])


def plain_clip(number: tf.Tensor, example: dict) -> dict[str, tf.Tensor]:
    """Turns a clip of TFDS into what pre-training reads, the plain way."""
    augmentation = data.Augmentation()
    video = example["video"][: SPEC.frames]
    top, left, height, width = tf.unstack(random_crop_box(tf.shape(video)[1:], augmentation, [number, 0]))
    video = tf.image.crop_to_bounding_box(video, top, left, height, width)
    video = tf.image.resize(video, [SPEC.image_size] * 2) / 255.0
    draws = tf.random.stateless_uniform([6], [number, 1])
    video = tf.cond(draws[0] < augmentation.flip_probability, lambda: tf.reverse(video, axis=[2]), lambda: video)

    def jitter() -> tf.Tensor:
        changes = 2.0 * draws[2:] - 1.0
        changed = tf.image.adjust_brightness(video, changes[0] * augmentation.brightness)
        changed = tf.image.adjust_saturation(changed, 1.0 + changes[1] * augmentation.saturation)
        changed = tf.image.adjust_contrast(changed, 1.0 + changes[2] * augmentation.contrast)
        return tf.image.adjust_hue(changed, changes[3] * augmentation.hue)

    video = tf.cond(draws[1] < augmentation.jitter_probability, jitter, lambda: video)
    waveform = tf.cast(example["audio"][: SPEC.waveform_samples], tf.float32) / 32768.0
    return {"video": 2.0 * tf.clip_by_value(video, 0.0, 1.0) - 1.0, "waveform": waveform}


def ways(builder: tfds.core.DatasetBuilder, prepared: data.PreparedDataset) -> dict[str, tf.data.Dataset]:
    """Returns what is compared: infinite data sets of batches of `_BATCH` clips."""
    parallel = dict(num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    tokenizer = data.WordTokenizer(prepared.word_vocabulary_path, SPEC.words)

    def pipeline(place: str, augmentation: data.Augmentation) -> tf.data.Dataset:
        return data.train_batches(
            prepared,
            SPEC,
            tokenizer,
            batch_size=_BATCH,
            seed=0,
            augmentation=augmentation,
            augment_on=place,
            shuffle_window=_STORED_CLIPS,
        )

    def decoding(decode: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]) -> tf.data.Dataset:
        return stored_jpegs(prepared).enumerate().map(decode, **parallel).batch(_BATCH).prefetch(tf.data.AUTOTUNE)

    whole = builder.as_dataset(split="train", shuffle_files=True).repeat()
    return {
        "bound": decoding(lambda _, jpegs: decoded(jpegs)),
        "crops": decoding(cropped),
        **{name: decoding(functools.partial(cropped, **options)) for name, options in DECODERS.items()},
        "device": pipeline("device", data.Augmentation()),
        "host": pipeline("host", data.Augmentation()),
        "no jitter": pipeline("host", PLAIN),
        "as_dataset": whole.enumerate().map(plain_clip, **parallel).batch(_BATCH).prefetch(tf.data.AUTOTUNE),
    }


def decoders_psnr(prepared: data.PreparedDataset) -> dict[str, float]:
    """Returns how near each of `DECODERS` comes to the default, in dB over a clip."""
    jpegs = tf.unstack(next(iter(stored_jpegs(prepared))))

    def frames(**options: object) -> tf.Tensor:
        return tf.stack([tf.io.decode_jpeg(jpeg, channels=3, **options) for jpeg in jpegs])

    default = frames()
    return {name: psnr(frames(**options), default) for name, options in DECODERS.items()}


def psnr(found: tf.Tensor, expected: tf.Tensor) -> float:
    """Returns the peak signal-to-noise ratio of bytes, in dB; infinite where all are equal."""
    error = tf.reduce_mean(tf.square(tf.cast(found, tf.float32) - tf.cast(expected, tf.float32)))
    return float(10.0 * np.log10(255.0**2 / error)) if error else float("inf")


def clips_per_second(batches: tf.data.Dataset, clips: int) -> tuple[float, float]:
    """Returns clips per second of processor time and of wall time, once the pipeline is running."""
    iterator = iter(batches)
    for _ in range(_WARM_UP):
        next(iterator)
    processor, wall = time.process_time(), time.perf_counter()
    for _ in range(clips // _BATCH):
        next(iterator)
    return clips / (time.process_time() - processor), clips / (time.perf_counter() - wall)


def measure(compared: dict[str, tf.data.Dataset], clips: int, repeats: int) -> dict[str, np.ndarray]:
    """Returns clips per second, [repeats, 2]: of processor time, of wall time. The ways take turns."""
    turns = [{name: clips_per_second(way, clips) for name, way in compared.items()} for _ in range(repeats)]
    return {name: np.array([turn[name] for turn in turns]) for name in compared}


def run() -> int:
    """Prints the table."""
    tf.config.threading.set_intra_op_parallelism_threads(FLAGS.threads)
    tf.config.threading.set_inter_op_parallelism_threads(FLAGS.threads)
    logging.set_verbosity(logging.ERROR)  # TFDS warns of its own deprecated calls
    with tempfile.TemporaryDirectory() as directory:
        builder = NoiseClips(data_dir=directory)
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(num_shards=1))
        data.build_vocabularies(["noise"], str(builder.data_path))
        prepared = data.open_dataset(builder.name, directory)
        megabytes = sum(split.num_bytes for split in builder.info.splits.values()) / 1e6
        print(f"{_STORED_CLIPS} clips of {_STORED_FRAMES} frames, {megabytes / _STORED_CLIPS:.2f} MB each", flush=True)
        truths = decoders_psnr(prepared)
        weights = {"device": data.stored_bytes([prepared], SPEC), "host": data.float_bytes(SPEC)}
        speeds = measure(ways(builder, prepared), FLAGS.clips, FLAGS.repeats)
    print(f"{'':<14}{'clips/s per core':>18}{'x bound':>10}{'clips/s':>10}   threads: {FLAGS.threads}")
    for name, speed in speeds.items():
        per_core, wall = np.median(speed, axis=0)
        ratio = np.median(speed[:, 0] / speeds["bound"][:, 0])
        weight = f"   {weights[name] / 1e6:.1f} MB to the device" if name in weights else ""
        truth = f"   {truths[name]:.1f} dB" if name in truths else ""
        print(f"{name:<14}{per_core:>18.2f}{ratio:>10.2f}{wall:>10.2f}{weight}{truth}")
    return 0
