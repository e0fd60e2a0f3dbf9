"""The noise on waveforms: what it is, and that it is the same wherever it is added."""

import numpy as np
import pytest
import tensorflow as tf

from data import Augmentation
from data.pipeline.noise import add_noise, random_noise

KEYS = tf.random.stateless_uniform([6, 2], [0, 0], minval=None, maxval=None, dtype=tf.int64)
SAMPLES = 4001  # odd: the last of the numbers, made two by two, is not used


def noise_of(keys):
    """Standard deviations in [keys, samples], of the size 0.1 so that nothing is clipped."""
    return add_noise(tf.zeros([len(keys), SAMPLES]), keys, tf.fill([len(keys)], 0.1)).numpy() / 0.1


def test_it_is_gaussian():
    noise = noise_of(KEYS[:, 0])
    assert abs(noise.mean()) < 0.02 and noise.std() == pytest.approx(1.0, rel=0.02)
    for limit, share in ((0.5, 0.3829), (1.0, 0.6827), (2.0, 0.9545), (3.0, 0.9973)):
        assert np.mean(np.abs(noise) < limit) == pytest.approx(share, abs=0.01)
    assert 3.2 < np.abs(noise).max() < 4.9


def test_no_two_samples_and_no_two_clips_depend_on_each_other():
    noise = noise_of(KEYS[:, 0])
    pairs = noise[:, : SAMPLES // 2], noise[:, -(SAMPLES // 2) :]  # of one word each
    for one, other in (noise[0], noise[1]), (noise[0, 1:], noise[0, :-1]), pairs:
        for power in (1, 2):
            assert abs(np.corrcoef(one.ravel() ** power, other.ravel() ** power)[0, 1]) < 0.06


def test_it_is_as_loud_as_asked_for_and_silence_stays_silent():
    waveform = tf.constant([0.0] * SAMPLES + [-0.5])
    orders = random_noise(waveform, Augmentation(audio_noise=0.05), KEYS[0])
    assert add_noise(waveform, **orders)[:SAMPLES].numpy().std() == pytest.approx(0.5 * 0.05, rel=0.05)
    silent = tf.zeros([SAMPLES])
    assert not add_noise(silent, **random_noise(silent, Augmentation(), KEYS[0])).numpy().any()
    assert random_noise(waveform, Augmentation(audio_noise=0.0), KEYS[0]) == {}


def test_samples_stay_in_range():
    loud = add_noise(tf.ones([SAMPLES]), **random_noise(tf.ones([1]), Augmentation(audio_noise=0.5), KEYS[0])).numpy()
    assert loud.max() == 1.0 and -1.0 <= loud.min() < 0.5


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_clip_has_the_same_noise_alone_and_in_any_batch(jit_compile):
    waveforms, deviations = tf.random.stateless_uniform([6, SAMPLES], [1, 0], -1, 1), tf.linspace(0.0, 1.0, 6)
    add = tf.function(add_noise, jit_compile=jit_compile, autograph=False)
    alone = [add_noise(*clip) for clip in zip(waveforms, KEYS[:, 0], deviations, strict=True)]
    np.testing.assert_array_equal(alone[0], waveforms[0])
    np.testing.assert_allclose(add(waveforms, KEYS[:, 0], deviations), alone, atol=2e-5)
    np.testing.assert_allclose(add(waveforms[2:4], KEYS[2:4, 0], deviations[2:4]), alone[2:4], atol=2e-5)
