import fcntl
import json
import os

import pytest

import data.preparing.prepare
from data.errors import DataError
from data.preparing.prepare import prepare
from data.preparing.publishing import Place
from data.preparing.unit_runners import in_this_process
from data.records.prepared_dataset import open_dataset
from data.sets.folder import Folder, FolderConfig
from data.sets.synthetic import Synthetic, SyntheticConfig


def config(**settings):
    return SyntheticConfig(**dict(train_clips=3, validation_clips=0, test_clips=2, image_size_px=16) | settings)


def tree(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("data")
    return data_dir, prepare(Synthetic, config(), str(data_dir))


def test_everything_is_in_one_directory(prepared):
    data_dir, preparation = prepared
    files = set(os.listdir(preparation.directory))
    assert preparation.directory == str(data_dir / "synthetic" / "default" / "1.0.0")
    assert {"vocabulary_wordpiece.txt", "vocabulary_words.txt", "prepare_report.json"} < files
    assert os.listdir(data_dir / "synthetic") == ["default"]
    assert not preparation.was_there
    assert preparation.report["clips"] == {"train": 3, "test": 2}
    found = open_dataset("synthetic", str(data_dir))
    assert found.split_sizes == {"train": 3, "test": 2}
    assert (found.frames_per_second, found.sample_rate_hz) == (10.0, 16000)
    assert len(found.class_names) == 72


def test_vocabulary_holds_the_training_words_only(prepared, monkeypatch, tmp_path):
    given = []
    build = data.preparing.prepare.build_vocabularies
    monkeypatch.setattr(
        data.preparing.prepare,
        "build_vocabularies",
        lambda captions, directory: build(given.extend(captions) or given, directory),
    )
    preparation = prepare(Synthetic, config(), str(tmp_path))
    assert 9 <= len(given) <= 15 and all(isinstance(caption, str) for caption in given)
    with open(f"{preparation.directory}/vocabulary_words.txt") as file:
        words = set(file.read().split("\n"))
    assert {word for caption in given for word in caption.lower().split()} <= words


def test_second_run_does_nothing(prepared):
    data_dir, first = prepared
    before = {path: path.stat().st_mtime_ns for path in data_dir.rglob("*")}
    second = prepare(Synthetic, config(), str(data_dir))
    assert second.was_there and second.report == first.report
    assert {path: path.stat().st_mtime_ns for path in data_dir.rglob("*")} == before


def test_other_parameters_are_refused_by_name(prepared):
    data_dir, _ = prepared
    with pytest.raises(DataError, match=r"text_noise is 0.3 there and 0.5 here.*--overwrite"):
        prepare(Synthetic, config(text_noise=0.5), str(data_dir))


def test_overwrite_replaces(tmp_path):
    prepare(Synthetic, config(), str(tmp_path))
    again = prepare(Synthetic, config(train_clips=4), str(tmp_path), overwrite=True)
    assert not again.was_there
    assert open_dataset("synthetic", str(tmp_path)).split_sizes == {"train": 4, "test": 2}
    assert os.listdir(tmp_path / "synthetic") == ["default"]


@pytest.mark.parametrize("place", ["default/1.0.0", "default/1.0.0/videos", "incomplete", "link"])
def test_a_source_that_would_be_replaced_is_refused(place, tmp_path):
    folder = tmp_path / "folder"
    (folder / "default" / "1.0.0").mkdir(parents=True)
    (folder / "link").symlink_to(folder / "default" / "1.0.0")
    (folder / place).mkdir(parents=True, exist_ok=True)
    (folder / place / "mine.mp4").write_bytes(b"a video")
    with pytest.raises(
        DataError, match=f"{folder}/{place} should lie elsewhere: {folder}/.* is replaced by the prepared"
    ):
        prepare(Folder, FolderConfig(source_dir=str(folder / place)), str(tmp_path), overwrite=True)
    assert (folder / place / "mine.mp4").exists()


def test_leftovers_of_a_killed_run_are_removed(tmp_path):
    leftover = tmp_path / "synthetic" / "incomplete" / "synthetic" / "default" / "incomplete.XY_1.0.0"
    leftover.mkdir(parents=True)
    (leftover / "synthetic-train.tfrecord").write_bytes(b"half a rec")
    prepare(Synthetic, config(), str(tmp_path))
    assert os.listdir(tmp_path / "synthetic") == ["default"]


def test_a_failure_leaves_what_was_there(tmp_path, monkeypatch):
    prepare(Synthetic, config(), str(tmp_path))

    def full_disk(captions, directory):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(data.preparing.prepare, "build_vocabularies", full_disk)
        with pytest.raises(OSError, match="No space left"):
            prepare(Synthetic, config(train_clips=5), str(tmp_path), overwrite=True)
    assert open_dataset("synthetic", str(tmp_path)).split_sizes["train"] == 3
    assert prepare(Synthetic, config(), str(tmp_path)).was_there
    prepare(Synthetic, config(train_clips=5), str(tmp_path), overwrite=True)
    assert open_dataset("synthetic", str(tmp_path)).split_sizes["train"] == 5
    assert os.listdir(tmp_path / "synthetic") == ["default"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_killed_once_it_is_published_it_only_cleans_up(tmp_path, monkeypatch, overwrite):
    prepare(Synthetic, config(), str(tmp_path))

    remove = Place._remove_staging

    def die_once_it_is_published(self):
        if os.path.exists(f"{self.staging}/plan.json") and not os.path.exists(self.records):
            raise KeyboardInterrupt
        remove(self)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Place, "_remove_staging", die_once_it_is_published)
        prepare(Synthetic, config(train_clips=4), str(tmp_path), overwrite=True)
    assert {"plan.json", "replaced"} <= set(os.listdir(tmp_path / "synthetic" / "incomplete"))
    before = tree(tmp_path / "synthetic" / "default")
    assert prepare(Synthetic, config(train_clips=4), str(tmp_path), overwrite=overwrite).was_there
    assert tree(tmp_path / "synthetic" / "default") == before
    assert open_dataset("synthetic", str(tmp_path)).split_sizes == {"train": 4, "test": 2}
    assert os.listdir(tmp_path / "synthetic") == ["default"]


def test_finished_parts_without_their_files_are_made_again(tmp_path, monkeypatch):
    records = tmp_path / "synthetic" / "incomplete" / "records"

    def die(captions, directory):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(data.preparing.prepare, "build_vocabularies", die)
        prepare(Synthetic, config(), str(tmp_path))
    (lost,) = records.glob("*-train.tfrecord-*")
    lost.unlink()
    left = [records / f"{lost.name}.incomplete.0123", records.parent / "units/000000.captions.incomplete.0123"]
    for path in left:
        path.write_bytes(b"half")

    def look(job, units):
        assert [unit.split for unit in units] == ["train"] and not any(path.exists() for path in left)
        in_this_process(job, units)

    prepare(Synthetic, config(), str(tmp_path), run_units=look)
    found = open_dataset("synthetic", str(tmp_path))
    assert found.split_sizes == {"train": 3, "test": 2}
    assert all(os.path.exists(path) for paths in found.shard_paths.values() for path in paths)


def test_two_writers_do_not_meet(tmp_path):
    (tmp_path / "synthetic").mkdir()
    descriptor = os.open(tmp_path / "synthetic", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(DataError, match="another process is preparing"):
        prepare(Synthetic, config(), str(tmp_path))
    os.close(descriptor)
    assert not prepare(Synthetic, config(), str(tmp_path)).was_there


def test_a_foreign_directory_is_left_alone(tmp_path):
    foreign = tmp_path / "synthetic" / "default" / "1.0.0"
    foreign.mkdir(parents=True)
    (foreign / "thesis.txt").write_text("precious")
    with pytest.raises(DataError, match="not a finished data set"):
        prepare(Synthetic, config(), str(tmp_path))
    assert (foreign / "thesis.txt").read_text() == "precious"


@pytest.mark.parametrize("name", ["metadata.json", "prepare_report.json"])
def test_nothing_waits_for_a_pipe(tmp_path, name):
    foreign = tmp_path / "synthetic" / "default" / "1.0.0"
    foreign.mkdir(parents=True)
    (foreign / "metadata.json").write_text('{"parameters": {}}')
    (foreign / name).unlink(missing_ok=True)
    os.mkfifo(foreign / name)
    with pytest.raises(DataError, match=rf"Its {name} is missing or damaged: .*a named pipe"):
        prepare(Synthetic, config(), str(tmp_path))


def test_report_is_beside_the_records(prepared):
    _, preparation = prepared
    with open(f"{preparation.directory}/prepare_report.json") as file:
        report = json.load(file)
    assert report == preparation.report
    assert report["parameters"]["text_noise"] == 0.3
    assert report["misaligned"]["test"] == {"text": 0, "audio": 0}
    assert report["seconds"] > 0
