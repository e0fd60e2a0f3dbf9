"""The same units by threads, processes and a pipeline; stopped, started again, and elsewhere than on a disk."""

import concurrent.futures
import json
import os
import pathlib
import types
from concurrent.futures.process import BrokenProcessPool

import pytest
import tensorflow as tf
from etils.epath import gpath, register

import data
import data.preparing.plan
import data.preparing.report
import data.preparing.units
from data.errors import DataError, PreparationError
from data.preparing.clip_builder import OPEN_ITEMS
from data.preparing.prepare import prepare
from data.preparing.unit_runners import in_processes, in_this_process
from data.sets.folder import Folder, FolderConfig

pytestmark = [pytest.mark.every_python, pytest.mark.slow]

SETTINGS = dict(image_size_px=16, sample_rate_hz=4000, frames_per_second=5.0, clip_seconds=0.4, minimum_seconds=0.4)
CAFE = "caf\ufffd.mp4"
NAMES = {f"{number}.mp4" for number in range(7)} | {CAFE}


@pytest.fixture(scope="module", autouse=True)
def small_units():
    """Several units a split, and several files of records each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data.preparing.plan, "UNIT_BYTES", 30_000)
        patch.setattr(data.preparing.plan, "SHARD_BYTES", 15_000)
        yield


@pytest.fixture(scope="module")
def videos(tmp_path_factory, write_flash):
    root = tmp_path_factory.mktemp("videos")
    for number in range(7):
        write_flash(root / f"{number}.mp4", seconds=1.2 + number % 3 / 2, sound=number != 3)
        (root / f"{number}.vtt").write_text(f"WEBVTT\n\n00:00.000 --> 00:00.500\nthis is number {number}\n")
    (root / "broken.mp4").write_text("not a video")
    (root / os.fsdecode(b"caf\xe9.mp4")).write_bytes((root / "1.mp4").read_bytes())
    return root


@pytest.fixture(scope="module")
def run(videos):
    """Prepares the videos; keyword arguments that are no settings go to `prepare`."""

    def prepare_videos(data_dir, run_units=in_this_process, overwrite=False, **settings):
        config = FolderConfig(source_dir=str(videos), **SETTINGS | dict(test_fraction=0.3) | settings)
        return prepare(Folder, config, str(data_dir), run_units=run_units, overwrite=overwrite)

    return prepare_videos


@pytest.fixture(scope="module")
def whole(run, tmp_path_factory):
    """What threads prepare in one go."""
    return run(tmp_path_factory.mktemp("whole"))


def contents(directory):
    """The bytes of all files but the report, which has a time in it."""
    names = [name for name in tf.io.gfile.listdir(directory) if "report" not in name]
    return {name: tf.io.gfile.GFile(f"{directory}/{name}", "rb").read() for name in names}


def without_times(report):
    return {name: value for name, value in report.items() if name != "seconds"}


@pytest.fixture
def decoded(monkeypatch):
    """The names of the files that are decoded from now on; those in `fail` are not."""
    cut, seen = Folder.make_records.__func__, types.SimpleNamespace(names=[], fail=())

    def make_records(cls, config, item, tally):
        seen.names.append(item.name)
        if item.name in seen.fail:
            raise RuntimeError(f"the power went off at {item.name}")
        return cut(cls, config, item, tally)

    monkeypatch.setattr(Folder, "make_records", classmethod(make_records))
    return seen


def test_threads_processes_and_a_pipeline_write_the_same_bytes(whole, run, tmp_path, monkeypatch):
    from data import on_beam

    expected = contents(whole.directory)
    assert len([name for name in expected if "-train.tfrecord-" in name]) >= 4
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    runners = {"one thread": in_this_process, "processes": in_processes(2), "beam": on_beam("DirectRunner")}
    for name, run_units in runners.items():
        other = run(tmp_path / name, run_units)
        assert contents(other.directory) == expected, name
        assert without_times(other.report) == without_times(whole.report)


@pytest.mark.parametrize(
    ("runner", "options", "message"),
    [
        ("DataflowRunner", ["--region=europe-west4"], "DataflowRunner .*Missing required option: project"),
        ("DirectRunner", ["--direct_num_workers=many"], "--direct_num_workers: invalid int value: 'many'"),
    ],
)
def test_options_of_a_pipeline_are_refused_before_anything_is_planned(runner, options, message, capfd):
    from data import on_beam

    with pytest.raises(DataError, match=message):
        on_beam(runner, options)
    assert "usage" not in capfd.readouterr().err


def test_every_clip_is_there_once(whole, read_records):
    data_dir = pathlib.Path(whole.directory).parents[2]
    splits = read_records("folder", data_dir)
    records = [clip_id for split in splits.values() for clip_id in split]
    # 1.2, 1.7 and 2.2 s are 3, 4 and 5 clips of 0.4 s; what remains of them is too short.
    assert len(records) == len(set(records)) == 3 * 3 + 2 * 4 + 2 * 5 + 4
    assert {clip_id.split("@")[0] for clip_id in records} == NAMES
    assert whole.report["clips"] == {split: len(found) for split, found in splits.items()}
    assert sum(whole.report["clips"].values()) == len(records) and len(splits["test"]) > 0
    assert list(whole.report["skipped"].values()) == [["broken.mp4"]] and whole.report["videos_skipped"] == 1
    words = set(pathlib.Path(whole.directory, "vocabulary_words.txt").read_text().split("\n"))
    trained = {clip_id[0] for clip_id in splits["train"] if clip_id[0].isdigit()}
    assert words & set("0123456") == trained and {"this", "is", "number"} <= words


def test_a_failure_is_not_the_end(whole, run, tmp_path, decoded, capfd):
    """One unit fails: the finished ones stay, and a second run makes the others alone."""
    *_, last = [unit.number for unit in _units_of(whole, run, tmp_path)]
    items = json.loads((tmp_path / f"plan/folder/incomplete/units/{last:06d}.json").read_text())
    decoded.fail = (items[0][0],)
    with pytest.raises(RuntimeError, match="the power went off"):
        run(tmp_path / "failed")
    units = tmp_path / "failed/folder/incomplete/units"
    finished = len(list(units.glob("*.done.json")))
    assert finished == last
    assert not list((tmp_path / "failed").rglob("*.incomplete.*"))
    decoded.fail, decoded.names = (), []
    again = run(tmp_path / "failed")
    assert f"{finished} of {finished + 1} parts are done" in capfd.readouterr().err
    assert sorted(decoded.names) == sorted(item[0] for item in items)
    assert contents(again.directory) == contents(whole.directory)


def test_killed_between_the_records_and_their_done_mark(whole, run, tmp_path, monkeypatch):
    """The files have their names already; they are written again, and nothing counts twice."""
    write_json, first = data.preparing.units.write_json, []

    def die(path, content):
        if "done.json" in path and not first:
            first.append(path)
            raise KeyboardInterrupt
        write_json(path, content)

    monkeypatch.setattr(data.preparing.units, "write_json", die)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path)
    assert first and list(tmp_path.glob("folder/incomplete/records/*.tfrecord-*")) and not os.path.exists(first[0])
    again = run(tmp_path)
    assert contents(again.directory) == contents(whole.directory)
    assert without_times(again.report) == without_times(whole.report)


def _interrupt(job, units):
    raise KeyboardInterrupt


def _units_of(whole, run, tmp_path):
    """Plans without making anything."""
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "plan", _interrupt)
    return data.preparing.plan.read_plan(str(tmp_path / "plan/folder/incomplete")).units


def test_another_limit_decodes_nothing_again(run, tmp_path, decoded):
    with pytest.raises(
        PreparationError, match=r"1 of \d files cannot be used, more of split .* \(broken.mp4: not a media"
    ):
        run(tmp_path, max_bad_fraction=0.0)
    report = json.loads((tmp_path / "folder/prepare_report.json").read_text())
    assert report["videos_skipped"] == 1 and report["videos_used"] == 8
    decoded.names = []
    assert run(tmp_path, max_bad_fraction=0.5).report["videos_used"] == 8
    assert not decoded.names and os.listdir(tmp_path / "folder") == ["default"]


def test_a_full_disk_says_so_and_keeps_what_is_finished(whole, run, tmp_path, monkeypatch, decoded):
    """One file of records is written to a device that is full."""
    units = _units_of(whole, run, tmp_path)
    shard = units[-1].first_shard
    name = next(name for name in contents(whole.directory) if f"-{units[-1].split}.tfrecord-{shard:05d}-of" in name)
    monkeypatch.setattr("uuid.uuid4", lambda: types.SimpleNamespace(hex="same"))
    full = tmp_path / f"plan/folder/incomplete/records/{name}.incomplete.same"

    def fill_the_disk(job, units):
        full.symlink_to("/dev/full")
        in_this_process(job, units)

    with pytest.raises(
        OSError,
        match="No space left on device: free some space and run the same command again; finished parts are kept",
    ):
        run(tmp_path / "plan", fill_the_disk)
    decoded.names = []
    assert contents(run(tmp_path / "plan").directory) == contents(whole.directory)
    assert 0 < len(decoded.names) <= units[-1].items


def test_a_worker_that_was_killed_is_explained(run, tmp_path, monkeypatch):
    def die(job, unit):
        raise BrokenProcessPool("a process in the pool was terminated abruptly")

    pool = lambda workers, context, initializer: concurrent.futures.ThreadPoolExecutor(workers)  # noqa: E731
    monkeypatch.setattr(concurrent.futures, "ProcessPoolExecutor", pool)
    monkeypatch.setattr("data.preparing.unit_runners.prepare_unit", die)
    with pytest.raises(PreparationError, match="a worker process was killed.*a smaller --workers"):
        run(tmp_path, in_processes(2))


def test_records_are_written_as_they_come(run, tmp_path, monkeypatch):
    """Of a unit's records no more are held than there are open items."""
    made, held = [], []
    serialize, write = data.preparing.units.serialize, tf.io.TFRecordWriter.write
    monkeypatch.setattr(data.preparing.units, "serialize", lambda *record: made.append(1) or serialize(*record))
    monkeypatch.setattr(data.preparing.units, "OPEN_ITEMS", 2)
    monkeypatch.setattr(data.preparing.plan, "UNIT_BYTES", 10**9)
    written = []

    def noted(writer, record):
        held.append(len(made) - len(written))
        written.append(1)
        write(writer, record)

    monkeypatch.setattr(tf.io.TFRecordWriter, "write", noted)
    run(tmp_path, test_fraction=0.0)
    assert len(written) == len(made) == 31 and max(held) <= 2 + 1 and OPEN_ITEMS > 2


def test_many_names_go_into_a_file_of_their_own(run, videos, tmp_path, monkeypatch):
    monkeypatch.setattr(data.preparing.report, "_MOST_NOTES", 1)
    names = {f"{number}.mp4" for number in range(5)} | {"broken.mp4"}
    monkeypatch.setattr(data.sets.folder, "read_labels", lambda path: _labels(names))
    monkeypatch.setattr(data.sets.folder, "find_labels", lambda path, tree: path)
    preparation = run(tmp_path, labels="labels.csv")
    assert preparation.report["skipped"].pop("the labels do not name it") == 3
    assert list(preparation.report["skipped"].values()) == [1] and preparation.report["incomplete"] == 0
    lines = pathlib.Path(preparation.directory, preparation.report["names"]).read_text().splitlines()
    assert {json.loads(line)["name"] for line in lines} == {"5.mp4", "6.mp4", CAFE, "broken.mp4"}


def _labels(names):
    return data.sets.folder.FolderLabels("labels.csv", ("a",), dict.fromkeys(names, (0,)), {}, multi_label=False)


@pytest.fixture
def ram(monkeypatch):
    """Has TFDS know `ram://`, TensorFlow's file system in memory, as it knows `gs://`."""
    monkeypatch.setattr(gpath, "_URI_PREFIXES", (*gpath._URI_PREFIXES, "ram://"))
    monkeypatch.setattr(gpath, "_URI_SCHEMES", gpath._URI_SCHEMES | {"ram"})
    monkeypatch.setitem(gpath._URI_MAP_ROOT, "ram://", "/ram/")
    monkeypatch.setitem(gpath._PREFIX_TO_BACKEND, "ram", gpath.backend_lib.tf_backend)
    monkeypatch.setitem(register._URI_PREFIXES_TO_CLS, "ram://", gpath.PosixGPath)
    yield "ram://data"
    tf.io.gfile.rmtree("ram://data")


def test_data_can_be_prepared_in_remote_storage(whole, run, ram, decoded, read_records):
    with pytest.raises(KeyboardInterrupt):
        run(ram, _interrupt, test_fraction=0.1)  # Nothing of it must be left.
    tf.io.gfile.GFile("ram://data/folder/default/1.0.0/half", "w").write("written")
    decoded.fail = ("6.mp4",)
    with pytest.raises(RuntimeError, match="the power went off"):
        run(ram)
    with pytest.raises(DataError, match="No prepared data set"):
        data.open_dataset("folder", ram)
    decoded.fail = ()
    preparation = run(ram)
    assert preparation.directory == "ram://data/folder/default/1.0.0"
    assert contents(preparation.directory) == contents(whole.directory)
    assert tf.io.gfile.listdir("ram://data/folder") == ["default"]
    opened = data.open_dataset("folder", ram)
    assert opened.split_sizes == preparation.report["clips"]
    splits = read_records("folder", ram)
    assert {split: len(found) for split, found in splits.items()} == opened.split_sizes
    assert run(ram).was_there
    with pytest.raises(DataError, match="test_fraction is 0.3 there and 0.0 here"):
        run(ram, test_fraction=0.0)
    assert set(run(ram, test_fraction=0.0, overwrite=True).report["clips"]) == {"train"}
    assert set(data.open_dataset("folder", ram).split_sizes) == {"train"}
