import pytest

from data.preparing.listing import ListedVideo
from data.sets.folders.splits import split_by_name, split_labeled


def sources(count):
    return [ListedVideo(f"video{i}.mp4", "", f"video{i}.mp4") for i in range(count)]


def names(videos):
    return {video.name for video in videos}


@pytest.mark.parametrize("count", [1, 2, 3, 10, 1000])
def test_splits_have_all_files_once_and_training_is_never_empty(count):
    for test_fraction in (0.0, 0.1, 1.0):
        splits = split_by_name(sources(count), test_fraction)
        assert len(splits["train"]) + len(splits["test"]) == count
        assert names(splits["train"]) | names(splits["test"]) == names(sources(count))
        assert splits["train"]
        assert bool(splits["test"]) == (test_fraction > 0 and count > 1)


def test_split_is_near_its_share_and_stays_when_files_come():
    before, after = (split_by_name(sources(count), 0.1) for count in (1000, 1200))
    assert 60 < len(before["test"]) < 140
    assert names(before["test"]) == names(after["test"]) & names(sources(1000))


def test_labeled_files_get_a_validation_split_of_the_training_files():
    splits = split_labeled(sources(1000), {}, test_fraction=0.2, validation_fraction=0.1)
    plain = split_by_name(sources(1000), 0.2)
    assert names(splits["test"]) == names(plain["test"])
    assert names(splits["train"]) | names(splits["validation"]) == names(plain["train"])
    assert sum(map(len, splits.values())) == 1000
    assert 50 < len(splits["validation"]) < 120  # a tenth of about 800
    after = split_labeled(sources(1200), {}, test_fraction=0.2, validation_fraction=0.1)
    assert names(splits["validation"]) == names(after["validation"]) & names(sources(1000))


def test_named_splits_are_taken_and_only_a_missing_validation_is_drawn():
    named = {f"video{i}.mp4": ("train", "test")[i % 2] for i in range(40)}
    splits = split_labeled(sources(40), named, test_fraction=0.5, validation_fraction=0.2)
    assert names(splits["test"]) == {name for name, split in named.items() if split == "test"}
    assert 0 < len(splits["validation"]) < 10
    named["video0.mp4"] = "validation"
    splits = split_labeled(sources(40), named, test_fraction=0.5, validation_fraction=0.2)
    assert names(splits["validation"]) == {"video0.mp4"} and len(splits["train"]) == 19


def test_no_share_and_no_files_make_no_split():
    splits = split_labeled(sources(9), {}, test_fraction=0.0, validation_fraction=0.0)
    assert {name: len(videos) for name, videos in splits.items()} == {"train": 9, "validation": 0, "test": 0}
    splits = split_labeled(sources(2), dict.fromkeys(["video0.mp4", "video1.mp4"], "test"), 0.1, 0.1)
    assert {name: len(videos) for name, videos in splits.items()} == {"train": 0, "validation": 0, "test": 2}
