"""The scenes must show their class, and no more: a linear probe must find it in sight and sound."""

import collections

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier
from sklearn.preprocessing import StandardScaler

from data.sets.narration import narrate
from data.sets.scenes import CLASS_NAMES, COLORS, MOTIONS, SHAPES, draw_scene, positions, render_frames
from data.sets.sounds import synthesize

TIMES = np.arange(32) / 10


def scene_of(label, index=0):
    return draw_scene(label, np.random.default_rng([label, index]))


def generator(*key):
    return np.random.default_rng(key)


def test_classes_are_all_combinations():
    assert len(set(CLASS_NAMES)) == len(COLORS) * len(SHAPES) * len(MOTIONS) == 72
    assert [scene_of(label).label for label in range(72)] == list(range(72))


@pytest.mark.parametrize("image_size_px", [32, 64])
def test_frames(image_size_px):
    frames = render_frames(scene_of(5), TIMES, image_size_px, generator(1))
    assert frames.shape == (32, image_size_px, image_size_px, 3) and frames.dtype == np.uint8


@pytest.mark.parametrize("label", range(0, 72, 7))
def test_the_shape_has_its_color_and_is_where_it_should_be(label):
    scene = scene_of(label)
    frames = render_frames(scene, TIMES, 64, generator(1)).astype(int)
    is_shape = (np.abs(frames - COLORS[scene.color]) < 12).all(-1)
    rows, columns = np.mgrid[:64, :64] + 0.5
    for x, y, shape in zip(*positions(scene, TIMES), is_shape, strict=True):
        assert shape.sum() > 30
        assert columns[shape].mean() / 64 == pytest.approx(x, abs=0.04)
        # A triangle's middle is not the center it turns on.
        assert rows[shape].mean() / 64 == pytest.approx(y, abs=0.1)


def test_motions_differ():
    spread = {}
    for motion in MOTIONS:
        scene = scene_of(CLASS_NAMES.index(f"red circle {motion}"))
        x, y = positions(scene, np.linspace(0, 4, 400))
        spread[motion] = (np.ptp(x) > 0.3, np.ptp(y) > 0.3)
    assert spread == {"slides": (True, False), "bounces": (False, True), "orbits": (True, True)}


def test_shapes_stay_in_the_picture():
    for index in range(200):
        scene = scene_of(index % 72, index)
        for place in positions(scene, TIMES):
            assert place.min() - scene.radius > -0.05 and place.max() + scene.radius < 1.05


def test_clips_of_a_class_differ():
    first, second = (render_frames(scene_of(7, index), TIMES, 32, generator(index)) for index in range(2))
    assert np.abs(first.astype(int) - second).mean() > 5


def test_sound_is_in_range_and_as_long_as_asked():
    for label in range(72):
        sound = synthesize(scene_of(label), 1.0, 16000, generator(label))
        assert sound.shape == (16000,) and sound.dtype == np.float32
        assert 0.05 < np.abs(sound).max() <= 1.0


def test_a_bouncing_shape_rings_when_it_touches_the_floor():
    scene = scene_of(CLASS_NAMES.index("blue cross bounces"))
    sound = synthesize(scene, 3.2, 16000, generator(0))
    loudness = np.abs(sound).reshape(-1, 320).max(1)
    _, y = positions(scene, (np.arange(len(loudness)) + 0.5) * 0.02)
    assert y[loudness.argmax()] > y.max() - 0.05
    assert loudness.max() > 2.5 * loudness[y < y.max() - 0.3].mean()


def sound_features(sound):
    """Logarithmic spectrum, its change and its envelope: what an ear could tell apart."""
    windows = sound[: len(sound) // 512 * 512].reshape(-1, 512) * np.hanning(512)
    spectrum = np.log(np.abs(np.fft.rfft(windows)) + 1e-3)
    energy = spectrum.max(1)
    rhythm = np.abs(np.fft.rfft(energy - energy.mean()))
    return np.concatenate([spectrum.mean(0), spectrum.std(0), np.log(rhythm + 1e-3)])


def sight_features(frames):
    small = frames[:, ::4, ::4].astype(np.float32)
    return np.concatenate([small.mean(0).ravel(), small.std(0).ravel()])


@pytest.mark.parametrize("sense", ["sound", "sight"])
def test_a_linear_probe_finds_the_class(sense):
    features, labels = [], []
    for index in range(14 * 72):
        scene = scene_of(index % 72, index)
        if sense == "sound":
            features.append(sound_features(synthesize(scene, 3.2, 8000, generator(index))))
        else:
            features.append(sight_features(render_frames(scene, TIMES[::2], 32, generator(index))))
        labels.append(scene.label)
    features = StandardScaler().fit_transform(features)
    train = 12 * 72
    probe = RidgeClassifier(alpha=100.0).fit(features[:train], labels[:train])
    # Chance is 1/72; raw pixels are a poor feature, spectra nearly do.
    assert probe.score(features[train:], labels[train:]) > {"sound": 0.8, "sight": 0.3}[sense]


def test_narration_is_several_sentences_in_order_within_the_clip():
    for index in range(50):
        cues = narrate(scene_of(index % 72), 3.2, generator(index))
        assert 3 <= len(cues) <= 5
        times = [time for cue in cues for time in cue[1:]]
        assert times == sorted(times) and times[0] >= 0 and times[-1] <= 3.2
        assert all(cue.text == " ".join(cue.text.split()) for cue in cues)


def test_narration_varies_and_names_the_scene():
    texts = collections.Counter()
    scene = scene_of(CLASS_NAMES.index("green cross orbits"))
    for index in range(100):
        cues = narrate(scene, 3.2, generator(index))
        texts.update(cue.text for cue in cues)
        complete = [
            cue
            for cue in cues
            if any(word in cue.text for word in ("green", "emerald"))
            and any(word in cue.text for word in ("cross", "plus"))
            and any(word in cue.text for word in ("circle", "round and", "loops"))
        ]
        assert complete
    assert len(texts) > 150
    assert not any(word in " ".join(texts) for word in ("red", "blue", "triangle", "bounces"))
