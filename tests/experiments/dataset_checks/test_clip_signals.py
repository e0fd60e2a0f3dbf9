import io

import numpy as np
import pytest
from PIL import Image

from data.records.schema import encode_jpeg
from experiments.dataset_checks.clip_signals import (
    decode_luma,
    difference_hash,
    look_at,
    mean_db,
    media_hash,
    peak_db,
    sound_end,
    sound_hash,
)

RATE_HZ = 8000


def picture(seed, height=72, width=96):
    """A smooth picture: uint8 noise of 9 x 12 pixels, enlarged."""
    small = np.random.default_rng(seed).integers(0, 256, (9, 12), np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def music(seed, seconds=2.0, rate_hz=RATE_HZ):
    """Eight notes of random pitch and loudness, int16."""
    generator = np.random.default_rng(seed)
    times = np.arange(round(seconds * rate_hz / 8)) / rate_hz
    notes = [
        sum(
            level * np.sin(2 * np.pi * hertz * times)
            for level, hertz in zip(generator.uniform(0, 1, 5), chord, strict=True)
        )
        for chord in generator.uniform(120, 3500, (8, 5))
    ]
    return (np.concatenate(notes) * 4000).astype(np.int16)


def distance(one, other):
    return bin(one ^ other).count("1")


def test_pictures_that_were_encoded_again_look_alike():
    for seed in range(10):
        original = picture(seed)
        buffer = io.BytesIO()
        Image.fromarray(original).resize((64, 48)).save(buffer, "JPEG", quality=40)
        (again,) = decode_luma([buffer.getvalue()])
        assert distance(difference_hash(original), difference_hash(again)) <= 3


def test_other_pictures_do_not_look_alike():
    hashes = [difference_hash(picture(seed)) for seed in range(20)]
    assert min(distance(one, other) for i, one in enumerate(hashes) for other in hashes[:i]) > 10


def test_the_hash_of_a_ramp_is_known():
    ramp = np.tile(np.arange(90, dtype=np.uint8), (80, 1))
    assert difference_hash(ramp) == 2**64 - 1
    half = np.concatenate([ramp, ramp[:, ::-1]])
    assert difference_hash(half) == 2**32 - 1


def test_a_flat_picture_has_no_hash():
    assert difference_hash(np.full((24, 32), 130, np.uint8)) == 0


def test_sounds_that_were_changed_a_little_sound_alike():
    generator = np.random.default_rng(0)
    for seed in range(10):
        original = music(seed)
        changed = np.roll(original, 40) * 0.5 + generator.normal(0, 60, original.size)
        resampled = music(seed, rate_hz=2 * RATE_HZ)
        assert distance(sound_hash(original, RATE_HZ), sound_hash(changed.astype(np.int16), RATE_HZ)) <= 16
        assert distance(sound_hash(original, RATE_HZ), sound_hash(resampled, 2 * RATE_HZ)) <= 16


def test_other_sounds_do_not_sound_alike():
    hashes = [sound_hash(music(seed), RATE_HZ) for seed in range(20)]
    assert min(distance(one, other) for i, one in enumerate(hashes) for other in hashes[:i]) > 16


@pytest.mark.parametrize("audio", [np.zeros(16000), np.full(16000, 20), np.zeros(0), np.full(300, 9000)])
def test_silence_and_very_short_sound_have_no_hash(audio):
    assert sound_hash(audio.astype(np.int16), RATE_HZ) == 0


def test_black_and_frozen_video_is_seen():
    noise = np.random.default_rng(0)

    def noisy(luma):
        return [np.clip(luma + noise.normal(0, 1, (24, 32)), 0, 255).astype(np.uint8) for _ in range(5)]

    assert look_at(noisy(np.full((24, 32), 16)))[:2] == (True, True)
    assert look_at(noisy(np.full((24, 32), 60)))[:2] == (False, True)
    dot = np.full((24, 32), 5)
    dot[8:12, 8:12] = 250
    assert look_at(noisy(dot))[:2] == (False, True)
    moving = noisy(dot)
    moving[3] = moving[3].T.reshape(24, 32)
    assert look_at(moving)[:2] == (False, False)
    assert look_at(noisy(dot)[:1])[:2] == (False, False)  # one frame cannot stand still
    fade = [np.full((24, 32), level, np.uint8) for level in range(10, 60, 10)]
    assert look_at(fade)[:2] == (False, False)


def test_frames_of_other_sizes_move():
    assert not look_at([np.full((24, 32), 60, np.uint8), np.full((48, 64), 60, np.uint8)]).is_frozen


def test_frames_that_cannot_be_decoded_are_named():
    good = encode_jpeg(np.full((24, 32, 3), 90, np.uint8))
    assert [frame.shape for frame in decode_luma([good, good])] == [(24, 32)] * 2
    for bad in (good[: len(good) // 2], b"", b"no picture", good[:1] + good):
        with pytest.raises(ValueError, match="frame 1 of 3 is not a decodable JPEG"):
            decode_luma([good, bad, good])


def test_loudness_is_in_decibels():
    full, half = np.array([-32768, 32767] * 50, np.int16), np.array([16384, -16384], np.int16)
    assert peak_db(full) == 0 and mean_db(full) == pytest.approx(0, abs=1e-3)
    assert peak_db(half) == mean_db(half) == pytest.approx(-6.0206, abs=1e-4)
    for nothing in (np.zeros(5, np.int16), np.zeros(0, np.int16)):
        assert peak_db(nothing) == mean_db(nothing) == -np.inf


def test_where_sound_ends():
    assert sound_end(np.array([0, 3, 0, -1, 0, 0], np.int16)) == 4
    assert sound_end(np.zeros(4, np.int16)) == 0


def test_every_bit_counts_for_the_hash_of_all():
    sound = np.arange(10, dtype=np.int16)
    one = media_hash([b"ab", b"c"], sound)
    assert one and one == media_hash([b"ab", b"c"], sound.copy())
    assert (
        len({one, media_hash([b"ab", b"d"], sound), media_hash([b"ab", b"c"], sound + 1), media_hash([], sound)}) == 4
    )
    assert media_hash([], np.zeros(0, np.int16)) == 0
