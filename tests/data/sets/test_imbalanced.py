import math

import numpy as np
import pytest

import data
from data.errors import DataError
from data.sets.imbalanced import ImbalancedConfig, make_clip
from data.sets.imbalanced_scenes import (
    CLASS_NAMES,
    draw_imbalanced_scene,
    render_cluttered,
    synthesize_noisy,
)

TINY = dict(image_size_px=16, clip_seconds=0.8, sample_rate_hz=4000)


def clip(split="train", index=0, **settings):
    return make_clip(ImbalancedConfig(**TINY | settings), split, index)


def changed(first, second):
    return {
        name
        for name in first
        if (not np.array_equal(first[name], second[name]) if name == "audio" else first[name] != second[name])
    }


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, run_prepare):
    data_dir = str(tmp_path_factory.mktemp("data"))
    sizes = dict(train_clips=48, validation_clips=16, test_clips=32)
    run_prepare(dataset="imbalanced", data_dir=data_dir, **sizes, **TINY)
    return data.open_dataset("imbalanced", data_dir)


def test_a_record_is_whole_and_comes_out_again():
    record = clip(index=3)
    assert changed(record, clip(index=3)) == set()
    assert len(record["video"]) == 4 and record["audio"].shape == (3200,)
    assert record["audio"].dtype == np.int16 and np.abs(record["audio"]).max() > 1000
    assert record["label"] == 3 and record["clip_id"] == "train/000003"


@pytest.mark.parametrize("other", [dict(index=19), dict(split="test"), dict(seed=1)])
def test_other_keys_give_other_clips_of_the_class(other):
    assert {"video", "audio"} <= changed(clip(index=3), clip(**dict(index=3) | other)) <= {
        "video", "audio", "clip_id", "source"
    }  # fmt: skip


def test_each_difficulty_changes_its_modality_alone():
    for settings in (dict(video_contrast=0.6), dict(video_clutter=20), dict(video_hidden=1.0)):
        assert changed(clip(video_hidden=0.0), clip(**dict(video_hidden=0.0) | settings)) == {"video"}
    assert changed(clip(), clip(audio_noise_db=-10.0)) == {"audio"}


def scenes(label, count=20):
    return [draw_imbalanced_scene(label, np.random.default_rng([label, i])) for i in range(count)]


def test_each_class_sounds_and_looks_like_no_other():
    heard = [{(s.heard.color, s.heard.shape, s.heard.motion) for s in scenes(c)} for c in range(len(CLASS_NAMES))]
    assert all(len(sounds) == 1 for sounds in heard) and len(set.union(*heard)) == len(CLASS_NAMES) == 16
    seen = [{f"{s.pattern} {s.outline}" for s in scenes(c)} for c in range(len(CLASS_NAMES))]
    assert seen == [{name} for name in CLASS_NAMES]


def test_color_and_motion_of_the_picture_say_nothing():
    assert {scene.seen.motion for scene in scenes(0)} == {"slides", "bounces", "orbits"}
    assert len({scene.seen.motion == scene.heard.motion for scene in scenes(0)}) == 2


def pattern_mask(label, size=48):
    """Where the shape of a class is painted, from two pictures that differ in nothing else."""
    scene = scenes(label, 1)[0]
    seconds = np.zeros(1)
    with_shape, without = (
        render_cluttered(scene, seconds, size, np.random.default_rng(2), contrast=contrast, clutter=0, hidden=0.0)
        for contrast in (0.6, 1e-6)
    )
    difference = np.abs(with_shape.astype(int) - without).max(-1)[0]
    return difference > difference.max() / 2  # Pixels at the edge are painted in part.


def test_patterns_can_be_seen():
    plain, striped, barred = (pattern_mask(CLASS_NAMES.index(f"{p} square")) for p in ("plain", "striped", "barred"))
    rows, columns = np.flatnonzero(plain.any(1)), np.flatnonzero(plain.any(0))
    assert plain[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].all()
    # Stripes leave rows of the square out, bars leave columns out.
    for mask, axis in ((striped, 1), (barred, 0)):
        painted = np.flatnonzero(mask.any(axis))
        assert len(painted) < painted.max() - painted.min() + 1
        other = np.flatnonzero(mask.any(1 - axis))
        assert len(other) == other.max() - other.min() + 1


def test_hidden_shapes_leave_the_clutter():
    scene, seconds = scenes(0, 1)[0], np.arange(3) / 5
    shown, hidden = (
        render_cluttered(scene, seconds, 48, np.random.default_rng(0), contrast=0.3, clutter=4, hidden=hidden)
        for hidden in (0.0, 1.0)
    )
    added = (shown != hidden).any(-1).mean()
    assert 0.02 < added < 0.4 and (shown >= hidden).all()


def test_noise_is_as_loud_as_asked():
    scene = scenes(5, 1)[0]

    def correlation(noise_db):
        noisy, clean = (
            synthesize_noisy(scene, 1.6, 8000, np.random.default_rng(0), noise_db=db) for db in (noise_db, -30.0)
        )
        return np.corrcoef(noisy, clean)[0, 1], noisy.std() / clean.std()

    similar, loudness = correlation(-29.0)
    assert similar > 0.99 and loudness == pytest.approx(1, abs=0.05)
    similar, loudness = correlation(60.0)
    assert abs(similar) < 0.6 and loudness == pytest.approx(1, abs=0.2)


def test_splits_are_drawn_alike_and_train(prepared):
    assert prepared.split_sizes == {"train": 48, "validation": 16, "test": 32}
    assert prepared.class_names == CLASS_NAMES
    assert (prepared.frames_per_second, prepared.sample_rate_hz) == (5.0, 4000)
    spec = data.ClipSpec(frames=2, sparse_seconds=0.8, image_size=16, sample_rate_hz=4000)
    (batch,) = data.eval_batches(prepared, "validation", spec, batch_size=16)
    assert sorted(batch["label"].numpy()) == list(range(16)) and batch["has_audio"].numpy().all()
    (batch,) = data.train_batches(prepared, spec, batch_size=48, seed=0).take(1)
    assert batch["video"].shape == (48, 2, 16, 16, 3) and batch["waveform"].shape == (48, 3200)
    assert (np.bincount(batch["label"].numpy()) == 3).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(video_contrast=0.0), "video_contrast should be a share"),
        (dict(video_hidden=1.5), "video_hidden should be a probability"),
        (dict(audio_noise_db=-40.0), "audio_noise_db should be in"),
        (dict(video_clutter=-1), "video_clutter should be at least 0"),
        (dict(train_clips=0), "at least 1 in train"),
        (dict(image_size_px=8), "image_size_px should be at least 16"),
        (dict(clip_seconds=0.01), "hold at least one frame"),
        (dict(clip_seconds=math.inf), "should be finite and hold at least one frame"),
        (dict(frames_per_second=math.nan), "frames_per_second should be at least 1"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(DataError, match=message):
        ImbalancedConfig(**settings)
