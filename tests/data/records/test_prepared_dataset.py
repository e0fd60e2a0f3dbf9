import json
import os
import shutil
from pathlib import Path

import pytest

from data import DataError, PreparedDataset, open_dataset


def test_rates_files_and_lengths_come_from_the_metadata(tiny_data_dir):
    prepared = open_dataset("tiny", tiny_data_dir)
    assert isinstance(prepared, PreparedDataset) and prepared.name == "tiny"
    assert Path(prepared.directory) == Path(tiny_data_dir, "tiny", "1.0.0")
    assert prepared.split_sizes == {"train": 11, "test": 5}
    assert len(prepared.shard_paths["train"]) == len(prepared.shard_lengths["train"]) == 4
    assert sum(prepared.shard_lengths["train"]) == 11
    assert all(Path(path).is_file() for path in prepared.shard_paths["test"])
    assert (prepared.frames_per_second, prepared.sample_rate_hz) == (10.0, 1000)
    assert prepared.class_names == ("circle", "square", "star")
    assert Path(prepared.wordpiece_vocabulary_path).is_file()
    assert Path(prepared.word_vocabulary_path).name == "vocabulary_words.txt"


def test_a_missing_data_set_names_the_path_and_the_command(tmp_path):
    with pytest.raises(DataError) as error:
        open_dataset("folder", str(tmp_path))
    assert str(tmp_path / "folder") in str(error.value)
    assert f"python -m experiments.prepare_data --dataset=folder --data_dir={tmp_path}" in str(error.value)


def copy(tiny_data_dir, data_dir, *place, written_at=None):
    target = shutil.copytree(Path(tiny_data_dir, "tiny", "1.0.0"), data_dir.joinpath(*place))
    if written_at:
        os.utime(target / "dataset_info.json", (written_at, written_at))
    return target


def test_of_several_the_newest_is_opened_unless_one_is_named(tiny_data_dir, tmp_path):
    copy(tiny_data_dir, tmp_path, "tiny", "noisy", "1.0.0", written_at=2_000)
    copy(tiny_data_dir, tmp_path, "tiny", "clean", "1.0.0", written_at=1_000)
    copy(tiny_data_dir, tmp_path, "tiny", "clean", "incomplete.X_1.1.0", written_at=3_000)
    assert open_dataset("tiny", str(tmp_path)).directory.endswith("noisy/1.0.0")
    for name in ("tiny/clean", "tiny/clean/1.0.0"):
        prepared = open_dataset(name, str(tmp_path))
        assert prepared.directory.endswith("clean/1.0.0") and prepared.name == "tiny"


def test_a_directory_without_our_metadata_is_refused(tiny_data_dir, tmp_path):
    target = copy(tiny_data_dir, tmp_path, "tiny", "1.0.0")
    metadata = json.loads((target / "metadata.json").read_text())
    del metadata["sample_rate_hz"]
    (target / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(DataError, match="is not a data set of .*sample_rate_hz.*Prepare it again"):
        open_dataset("tiny", str(tmp_path))


@pytest.mark.parametrize("name", ["frames_per_second", "sample_rate_hz"])
@pytest.mark.parametrize("rate", [0, -1, 1e400, float("nan"), 10**400, 2**31])
def test_a_rate_that_cannot_be_is_refused(tiny_data_dir, tmp_path, name, rate):
    path = copy(tiny_data_dir, tmp_path, "tiny", "1.0.0") / "metadata.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: rate}))
    with pytest.raises(DataError, match="is not a data set of .*metadata.json is damaged"):
        open_dataset("tiny", str(tmp_path))


def test_a_damaged_description_is_refused(tiny_data_dir, tmp_path):
    target = copy(tiny_data_dir, tmp_path, "tiny", "1.0.0")
    (target / "dataset_info.json").write_text("{")
    with pytest.raises(DataError, match="is not a data set of"):
        open_dataset("tiny", str(tmp_path))


def test_an_unknown_split_is_named_beside_those_there_are(tiny_data_dir):
    with pytest.raises(DataError, match=r"'val'; it has: train \(11 clips\), test \(5 clips\)"):
        open_dataset("tiny", tiny_data_dir).require_split("val")


def test_unions_are_splits_like_any_other(write, clip, evaluate, train):
    clips = {f"fold{k}": [clip(10 * k + i, frames=4) for i in range(k)] for k in (1, 2, 3)}
    unions = {"train": ["fold2", "fold3"], "test": ["fold1"], "odd": ["fold1", "fold3", "fold9"], "none": ["fold9"]}
    opened = write(clips, metadata={"split_unions": unions})
    prepared = opened[0]
    assert prepared.split_sizes == {"fold1": 1, "fold2": 2, "fold3": 3, "train": 5, "test": 1, "odd": 4}
    assert prepared.shard_paths["train"] == prepared.shard_paths["fold2"] + prepared.shard_paths["fold3"]
    assert prepared.shard_lengths["train"] == (2, 3)
    (odd,) = evaluate(opened, "odd", batch_size=9, video=False)
    assert sorted(odd["clip_id"].numpy()) == [b"clip010", b"clip030", b"clip031", b"clip032"]
    labels = sum((batch["label"].tolist() for batch in train(opened, 1, batch_size=5, video=False)), [])
    assert sorted(labels) == sorted(number % 3 for number in (20, 21, 30, 31, 32))


@pytest.mark.parametrize("folder", ["d[v2]", "a*", "what?"])
def test_a_directorys_name_is_never_a_pattern(tiny_data_dir, tmp_path, folder):
    copy(tiny_data_dir, tmp_path / folder, "tiny", "1.0.0")
    prepared = open_dataset("tiny", str(tmp_path / folder))
    assert Path(prepared.directory) == tmp_path / folder / "tiny" / "1.0.0"
    assert prepared.split_sizes == {"train": 11, "test": 5}
    with pytest.raises(DataError, match="No prepared data set"):
        open_dataset("tin*", str(tmp_path / folder))


FOREIGN = {
    "a feature": lambda features: features["features"]["label"].update(pythonClassName="{module}.Feature"),
    "a feature of a sequence": lambda features: features["features"]["captions"]["sequence"]["feature"].update(
        python_class_name="{module}.Feature"
    ),
    "the old form": lambda features: features["features"].update(label={"type": "{module}.Feature", "content": "{}"}),
    "text in text": lambda features: features["features"].update(
        label={
            "pythonClassName": "tensorflow_datasets.core.features.scalar.Scalar",
            "jsonFeature": {"json": '{"feature": {"type": "{module}.Feature"}}'},
        }
    ),
    "no name": lambda features: features["features"]["label"].update(pythonClassName=[1]),
}


@pytest.mark.parametrize("change", FOREIGN.values(), ids=FOREIGN)
def test_a_set_imports_no_module(tiny_data_dir, tmp_path, monkeypatch, change):
    (tmp_path / "module_of_a_set.py").write_text("raise RuntimeError('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    target = copy(tiny_data_dir, tmp_path, "tiny", "1.0.0")
    content = json.loads((target / "features.json").read_text())
    change(content["featuresDict"])
    (target / "features.json").write_text(json.dumps(content).replace("{module}", "module_of_a_set"))
    with pytest.raises(DataError, match=r"features\.json should name feature classes of tensorflow_datasets only"):
        open_dataset("tiny", str(tmp_path))


@pytest.mark.parametrize("content", ["", "{", "[" * 100_000, "[]", '{"featuresDict": 3}'])
def test_damaged_features_are_named(tiny_data_dir, tmp_path, content):
    target = copy(tiny_data_dir, tmp_path, "tiny", "1.0.0")
    (target / "features.json").write_text(content)
    with pytest.raises(DataError, match="is not a data set of `experiments.prepare_data`"):
        open_dataset("tiny", str(tmp_path))


def test_records_elsewhere_are_refused(tiny_data_dir, tmp_path):
    target = copy(tiny_data_dir, tmp_path, "tiny", "1.0.0")
    content = json.loads((target / "dataset_info.json").read_text())
    content["splits"][0]["filepathTemplate"] = "../other/{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
    (target / "dataset_info.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="Its records should lie in its directory"):
        open_dataset("tiny", str(tmp_path))
