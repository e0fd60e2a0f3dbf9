import numpy as np
import pytest

from experiments.dataset_checks.duplicates import ALIKE_LOOK_BITS, HashedClips, Place


def flipped(value, bits, generator):
    for place in generator.choice(64, bits, replace=False):
        value ^= 1 << int(place)
    return value


def hashed(*clips):
    """Clips as (split, media, look, sound), at the places (0, 0), (0, 1), ..."""
    found = HashedClips()
    for number, clip in enumerate(clips):
        found.add(Place(0, number), *clip)
    return found


def offsets(pairs):
    return [tuple(sorted(place.offset for place in pair)) for pair in pairs]


def test_equal_clips_are_grouped():
    found = hashed((0, 7, 1, 1), (1, 9, 1, 1), (1, 7, 1, 1), (0, 0, 0, 0), (0, 0, 0, 0), (0, 9, 1, 1), (2, 7, 1, 1))
    assert sorted(offsets(found.equal())) == [(0, 2, 6), (1, 5)]


def test_places_come_back_as_they_were():
    found = HashedClips()
    for shard, offset in ((3, 2**40), (5, 17)):
        found.add(Place(shard, offset), 0, 2**64 - 1, 0, 0)
    assert list(found.equal()) == [[Place(3, 2**40), Place(5, 17)]]


@pytest.mark.parametrize(
    ("look", "sound", "alike"),
    [(0, 0, True), (3, 0, True), (4, 0, False), (0, 16, True), (0, 17, False), (3, 16, True)],
)
def test_alike_are_those_whose_hashes_differ_little(look, sound, alike):
    generator = np.random.default_rng(look + 100 * sound)
    for _ in range(20):
        one, other = (int(value) for value in generator.integers(1, 2**63, 2))
        pair = (0, 1, one, other), (1, 2, flipped(one, look, generator), flipped(other, sound, generator))
        assert offsets(hashed(*pair).alike()) == [(0, 1)] * alike


def test_what_is_no_candidate():
    same_split, equal = ((0, 1, 5, 5), (0, 2, 5, 5)), ((0, 1, 5, 5), (1, 1, 5, 5))
    flat = (0, 1, 0, 0), (1, 2, 0, 0)
    for clips in (same_split, equal, flat):
        assert list(hashed(*clips).alike()) == []


def test_without_sound_the_picture_decides_and_without_picture_the_sound():
    assert offsets(hashed((0, 1, 5, 0), (1, 2, 5, 0)).alike()) == [(0, 1)]
    assert offsets(hashed((0, 1, 5, 9), (1, 2, 5, 0)).alike()) == [(0, 1)]
    assert offsets(hashed((0, 1, 0, 9), (1, 2, 0, 9)).alike()) == [(0, 1)]
    assert offsets(hashed((0, 1, 0, 0b1111), (1, 2, 0, 2**63)).alike()) == []


def test_every_pair_comes_once_and_none_is_missed():
    generator = np.random.default_rng(1)
    centers = [int(value) for value in generator.integers(1, 2**63, 6)]
    clips = [
        (int(generator.integers(3)), number + 1, flipped(centers[number % 6], int(generator.integers(4)), generator), 0)
        for number in range(120)
    ]

    def are_alike(one, other):
        return one[0] != other[0] and bin(one[2] ^ other[2]).count("1") <= ALIKE_LOOK_BITS

    expected = [(i, j) for j in range(120) for i in range(j) if are_alike(clips[i], clips[j])]
    assert sorted(offsets(hashed(*clips).alike())) == sorted(expected)
    assert len(expected) > 100
