"""The report's retrieval examples, and what is said where the data set is not as it was evaluated."""

import pathlib
import shutil

import numpy as np
import pytest

import data
from experiments.reports.examples import examples


@pytest.fixture
def prepared(tiny_data, tmp_path) -> data.PreparedDataset:
    return data.open_dataset("synthetic", str(shutil.copytree(tiny_data, tmp_path / "data")))


@pytest.fixture
def arrays(prepared) -> dict[str, np.ndarray]:
    """What an evaluation leaves that has found every clip."""
    clips = [clip for shard in data.shards_of(prepared, ["test"]) for clip in data.read_stored_clips(shard)]
    each = np.eye(len(clips), dtype=np.float32)
    ids = np.array([clip.clip_id for clip in clips])
    return {"rank": np.ones(len(clips), int), "clip_id": ids, "video_text_text": each, "video_text_video": each}


def test_every_example_shows_its_own_clip_first(prepared, arrays):
    text = examples(arrays, prepared)
    assert text.count('class="query"') == min(6, len(arrays["rank"])) and "data:image/jpeg;base64," in text


def test_a_damaged_record_is_named(prepared, arrays):
    path = pathlib.Path(prepared.shard_paths["test"][0])
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(data.DataError, match=rf"{path.name} has a damaged record"):
        examples(arrays, prepared)


def test_a_set_with_fewer_clips_is_another_one(prepared, arrays):
    more = {name: np.concatenate([values, values[:1]]) for name, values in arrays.items()}
    with pytest.raises(data.DataError, match="is not the data set that was evaluated: its split test has no clip"):
        examples(more, prepared)
