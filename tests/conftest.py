"""What all tests share: Keras 2, four logical CPU devices, and the tiny model that most of them use."""

import gc
import itertools
import os

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest
from absl.testing import flagsaver

from experiments.running.command_line import loading

with loading():
    import tensorflow as tf
    import tensorflow_datasets  # noqa: F401

    from experiments.running.strategies import split_cpu

# Tracing makes many objects that stay; looking through them so often took a tenth of the time.
gc.set_threshold(20_000, 20, 20)
split_cpu(4)
_STRATEGIES = itertools.count(1)

# A clip of 8 frames of 32 x 32 pixels with 0.8 s of sound: 8 video, 12 audio tokens and captions of 6 words.
CLIP_SHAPES = dict(frames=8, image_size=32, waveform_samples=1600, vocabulary_size=50, words=6)
SMALL = dict(layers=1, width=16, heads=2, head_dim=8, feed_forward=32, word_dim=8, feature_dim=16)
SPACES = dict(video_audio_dim=12, video_text_dim=8)


@pytest.fixture(scope="session")
def make_model():
    """A function that builds a very small VATT; keyword arguments override."""
    import vatt

    def make(seed: int = 0, **overrides) -> vatt.VATT:
        vatt.set_initial_seed(seed)
        model = vatt.VATT(**{"preset": "ut_tiny", **CLIP_SHAPES, **SMALL, **SPACES, **overrides})
        model.create_variables()
        return model

    return make


@pytest.fixture(scope="session")
def make_batch():
    """A function (size, seed) -> a batch of noise for the very small VATT, all modalities present."""

    def make(size: int, seed: int = 0) -> dict[str, tf.Tensor]:
        def draw(purpose, shape, **options):
            return tf.random.stateless_uniform([size, *shape], [seed, purpose], **options)

        shape = [CLIP_SHAPES["frames"], CLIP_SHAPES["image_size"], CLIP_SHAPES["image_size"], 3]
        return {
            "video": draw(0, shape, minval=-1, maxval=1),
            "waveform": draw(1, [CLIP_SHAPES["waveform_samples"]], minval=-1, maxval=1),
            "text": draw(2, [3, CLIP_SHAPES["words"]], minval=1, maxval=50, dtype=tf.int32),
            "has_audio": tf.ones([size], tf.bool),
            "has_text": tf.ones([size], tf.bool),
        }

    return make


@pytest.fixture(scope="module")
def quick_graphs():
    """Leaves graphs as they are traced: optimizing them takes longer than the few steps of a test."""
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})


@pytest.fixture
def mirrored():
    """A function (replicas) -> strategy over so many logical CPUs; the default strategy for one."""

    def make(replicas: int) -> tf.distribute.Strategy:
        if replicas == 1:
            return tf.distribute.get_strategy()
        # TensorFlow names groups of devices by a running number; two strategies in one process must not share it.
        tf.distribute.MirroredStrategy._collective_key_base = 100_000 * next(_STRATEGIES)
        return tf.distribute.MirroredStrategy([f"CPU:{index}" for index in range(replicas)])

    return make


def _argument(name, value):
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no{name}"
    return f"--{name}={','.join(value) if isinstance(value, list) else value}"


@pytest.fixture(scope="session")
def run_prepare():
    """Runs the command line `experiments.prepare_data` in this process, with the flags of its keyword arguments."""
    from experiments import prepare_data

    def run(**values):
        with flagsaver.flagsaver():
            arguments = prepare_data.parse(
                ["prepare_data", *(_argument(name, value) for name, value in values.items())]
            )
            return prepare_data.main(arguments)

    return run
