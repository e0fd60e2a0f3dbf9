"""The report's section on clips that a measured table dropped: counts, pictures, and what it says where they are missing."""

import json

import pytest

import data
from experiments.pretraining.clip_weights import ClipWeights, read_tables
from experiments.reports.dropped_clips import dropped_clips
from experiments.running.command_line import BadInput
from experiments.running.run_directory import RunDirectory


@pytest.fixture
def run(tiny_data, tiny_run, tmp_path):
    """The directory of a run on 24 clips, in the order of whose records the scores rise."""
    shards = data.shards_of(data.open_dataset("synthetic", tiny_data), ["train"])
    ids = [clip.clip_id for shard in shards for clip in data.read_stored_clips(shard)]
    path = tmp_path / "clips.csv"
    path.write_text("clip_id,video_text_similarity\n" + "".join(f"{name},{row}\n" for row, name in enumerate(ids)))
    weights = ["clip_weights = @ClipWeights()", f"path = '{path}'", "by = 'video_text_similarity'"]
    bound = [f"{owner}.{each}" for owner, each in zip(("pretrain", "ClipWeights", "ClipWeights"), weights, strict=True)]
    directory = RunDirectory(tmp_path / "run")
    directory.write(directory.config, "\n".join([*tiny_run, *bound]) + "\n")
    (table,) = read_tables(ClipWeights(str(path), by="video_text_similarity"), ["synthetic"]).values()
    directory.write(directory.data, json.dumps({"synthetic": {"clips": {}, "clip_weights": table.describe()}}))
    return directory, path, ids


def test_counts_and_pictures_of_the_lowest_scores(run, tiny_data):
    directory, _, ids = run
    text = dropped_clips(directory, tiny_data)
    assert ">24<" in text and ">5<" in text and "0.792" in text and "sound" not in text.split("</table>")[0]
    assert [text.count(f"middle frame of {name}") for name in ids] == [1] * 6 + [0] * 18
    assert text.count("data:image/jpeg;base64,") == 6


def test_what_is_missing_is_said(run, tiny_data):
    directory, path, _ = run
    assert "--data_dir was not given" in dropped_clips(directory, None)
    path.write_text(path.read_text().replace(",0\n", ",0.5\n"))
    assert "is not the table that the run was trained with" in dropped_clips(directory, tiny_data)
    path.write_text("-----BEGIN PRIVATE KEY-----\n")
    assert "PRIVATE" not in dropped_clips(directory, tiny_data), "a run from elsewhere may name any file of its reader"
    path.unlink()
    assert "No such file" in dropped_clips(directory, tiny_data)
    directory.write(directory.data, '{"synthetic": {"clips": {}}}')
    assert dropped_clips(directory, tiny_data) == ""
    directory.write(directory.data, '{"synthetic": {"clip_weights": {"text": 3}}}')
    with pytest.raises(BadInput, match=r"data\.json"):
        dropped_clips(directory, tiny_data)
