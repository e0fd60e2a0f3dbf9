import itertools

import pytest

from data.errors import DataError
from data.sets.official_splits import TEST, TRAIN, UNUSED, OfficialClip, list_clips, split_unions
from data.source.tree import SourceTree


def test_a_union_has_exactly_the_clips_that_the_lists_give_it(tmp_path):
    """All 27 ways in which three splits can use a clip."""
    ways = list(itertools.product((TRAIN, TEST, UNUSED), repeat=3))
    clips = {str(number): OfficialClip(f"clip{number}", 0, list(parts)) for number, parts in enumerate(ways)}
    listed = list_clips(SourceTree(tmp_path), clips, {name: f"{name}.avi" for name in clips}, ["all"], "0.avi")
    assert listed.skipped == {"used by no split": ["clip26"]}
    partition_of = {video.name: video.split for video in listed.videos}
    assert len(set(partition_of.values())) == 26
    for split, part in itertools.product((1, 2, 3), (TRAIN, TEST)):
        found = {name for name, partition in partition_of.items() if partition in listed.unions[f"{part}{split}"]}
        assert found == {f"clip{number}" for number, parts in enumerate(ways) if parts[split - 1] == part}
        assert len(found) == 9
    assert (listed.unions["train"], listed.unions["test"]) == (listed.unions["train1"], listed.unions["test1"])


def test_partitions_of_any_name():
    unions = split_unions({"fold1": [TEST, TRAIN], "fold2": [TRAIN, TEST], "rest": [TRAIN, UNUSED]})
    assert unions == {
        "train": ("fold2", "rest"),
        "test": ("fold1",),
        "train1": ("fold2", "rest"),
        "test1": ("fold1",),
        "train2": ("fold1",),
        "test2": ("fold2",),
    }


def test_nothing_there_is_an_error_with_an_example(tmp_path):
    clips = {"a": OfficialClip("a", 0, [TRAIN])}
    with pytest.raises(DataError, match="none of the 1 videos .* with names like v_a.avi"):
        list_clips(SourceTree(tmp_path), clips, {"b": "b.avi"}, ["all"], "v_a.avi")
