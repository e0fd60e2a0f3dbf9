"""Labels that a user gives to the files of a folder: the CSV file, the records, the batches."""

import json

import fsspec
import numpy as np
import pytest

import data
from data.errors import DataError
from data.preparing.prepare import prepare
from data.sets.folder import Folder, FolderConfig
from data.sets.folder_labels import find_labels, read_labels
from data.source.tree import SourceTree

pytestmark = pytest.mark.every_python

SETTINGS = dict(image_size_px=32, sample_rate_hz=8000)
FILES = [f"{folder}/{number}.mp4" for folder in ("a", "b") for number in range(3)]
SPEC = data.ClipSpec(frames=4, image_size=16, sample_rate_hz=8000)


@pytest.fixture(scope="module")
def videos(tmp_path_factory, write_video):
    root = tmp_path_factory.mktemp("videos")
    for name in [*FILES, "stray.mp4"]:
        write_video(root / name, seconds=0.5)
    return root


@pytest.fixture
def write_csv(tmp_path):
    def write(text: str) -> str:
        (tmp_path / "labels.csv").write_bytes(text.encode())
        return str(tmp_path / "labels.csv")

    return write


def folder(videos, tmp_path, labels, **settings):
    config = FolderConfig(source_dir=str(videos), labels=labels, **SETTINGS, **settings)
    return prepare(Folder, config, str(tmp_path / "data"))


def rows_of(records, name):
    return {record["source"].decode(): record[name].tolist() for split in records.values() for record in split.values()}


def test_byte_order_mark_line_ends_and_column_order_do_not_matter(write_csv):
    plain = read_labels(write_csv("file,labels\na.mp4,dog\nb/c.mp4,cat | dog\n"))
    other = read_labels(write_csv("\ufeffLabels, file\r\n\r\ncat|dog|cat,./b\\c.mp4\r\ndog,a.mp4\r\n"))
    assert plain.class_names == other.class_names == ("cat", "dog")
    assert plain.by_file == other.by_file == {"a.mp4": (1,), "b/c.mp4": (0, 1)}
    assert plain.fingerprint() == other.fingerprint() and plain.multi_label and not plain.split_of
    assert plain.of("a.mp4") == {"label": -1, "labels": (1,)}
    assert read_labels(write_csv("file,labels\na.mp4,dog\n")).of("a.mp4") == {"label": 0}


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("file;labels;split\r\na.mp4;Stra\u00dfe;Train\r\nb, c.mp4;Weg;TEST\r\n", "utf-8-sig"),
        ("file\tlabels\tsplit\r\na.mp4\tStra\u00dfe\ttrain\r\nb, c.mp4\tWeg\ttest\r\n", "utf-16"),
        ('file,labels,split,,\r\na.mp4,Stra\u00dfe,train,,\r\n"b, c.mp4",Weg,test,,\r\n,,,,\r\n', "utf-8"),
        ("sep=;\r\nfile;labels;split;\r\na.mp4;Stra\u00dfe;train;\r\nb, c.mp4;Weg;test\r\n;;;\r\n", "utf-8"),
        ('"file";"labels";"split"\r"a.mp4";"Stra\u00dfe";"train"\r"b, c.mp4";"Weg";"test"\r', "utf-16-le"),
    ],
)
def test_what_spreadsheets_save_is_read(tmp_path, text, encoding):
    (tmp_path / "labels.csv").write_bytes(text.encode(encoding))
    found = read_labels(str(tmp_path / "labels.csv"))
    assert found.class_names == ("Stra\u00dfe", "Weg") and found.by_file == {"a.mp4": (0,), "b, c.mp4": (1,)}
    assert found.split_of == {"a.mp4": "train", "b, c.mp4": "test"}


@pytest.mark.parametrize(
    ("text", "page"),
    [("Stra\u00dfe", "cp1252"), ("\u043d\u0430\u0440\u0435\u0437\u0430\u0442\u044c \u043b\u0443\u043a", "cp1251")],
)
def test_a_code_page_is_named_with_the_cure(tmp_path, text, page):
    (tmp_path / "labels.csv").write_bytes(f"file;labels\r\na.mp4;{text}\r\nb.mp4;{text}\r\n".encode(page))
    with pytest.raises(
        DataError, match=f"should be UTF-8 text. Found a code page, perhaps {page}: .* iconv -f {page} -t utf-8"
    ):
        read_labels(str(tmp_path / "labels.csv"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "should have the columns file, labels and, optionally, split. Found the header \\[\\]"),
        ("name,labels\na.mp4,x\n", "Found the header \\['name', 'labels'\\]"),
        ("file,labels,splits\na.mp4,x,train\n", "should have the columns"),
        ("file,labels\n", "should have a line for each labeled file"),
        ("file,labels\na.mp4,x,y\n", "should have 2 cells in each row. Found"),
        ("file,labels\na.mp4,\n", "should name a file and its labels in each row. Found \\['a.mp4', ''\\]"),
        ("file,labels\na.mp4,x||y\n", "should name a file and its labels"),
        ("file,labels\na.mp4,x\n./a.mp4,y\n", "names a.mp4 twice"),
        ("file,labels,split\na.mp4,x,val\n", "one of train, validation, test. Found 'val'"),
    ],
)
def test_what_makes_no_sense_is_refused(write_csv, text, message):
    with pytest.raises(DataError, match=message):
        read_labels(write_csv(text))


def test_one_label_each_goes_into_label(videos, tmp_path, write_csv, read_records):
    labels = write_csv("file,labels\n" + "".join(f"{name},{name[0]}\n" for name in FILES) + "gone.mp4,c\n")
    prepared = folder(videos, tmp_path, labels, test_fraction=0.3)
    opened = data.open_dataset("folder", str(tmp_path / "data"))
    assert opened.class_names == ("a", "b", "c") and "labels" not in opened.features
    assert set(opened.split_sizes) == {"train", "validation", "test"} and sum(opened.split_sizes.values()) == 6
    labels = rows_of(read_records("folder", tmp_path / "data"), "label")
    assert labels == {name: "ab".index(name[0]) for name in FILES}
    report = prepared.report
    assert sum(report["videos_listed"].values()) == 6 and report["skipped"] == {
        "the labels do not name it": ["stray.mp4"]
    }
    assert report["clips_per_class"] == {"a": 3, "b": 3, "c": 0} and report["labels_without_video"] == ["gone.mp4"]
    assert report["multi_label"] is False


MANY = {name: ["x"] if index % 3 else ["x", "y", "z"][: 1 + index % 4] for index, name in enumerate(FILES)}


@pytest.fixture
def multi_label(videos, tmp_path, write_csv):
    splits = ["train", "train", "train", "validation", "test", "test"]
    rows = [f"{name},{'|'.join(MANY[name])},{split}\n" for name, split in zip(FILES, splits, strict=True)]
    report = folder(videos, tmp_path, write_csv("file,labels,split\n" + "".join(rows))).report
    assert report["clips"] == {"test": 2, "train": 3, "validation": 1} and report["multi_label"] is True
    return data.open_dataset("folder", str(tmp_path / "data"))


def test_several_labels_become_rows_of_zeros_and_ones(multi_label, tmp_path, read_records):
    found = rows_of(read_records("folder", tmp_path / "data"), "labels")
    names = multi_label.class_names
    assert {name: [names[index] for index in row] for name, row in found.items()} == MANY
    assert set(rows_of(read_records("folder", tmp_path / "data"), "label").values()) == {-1}
    batches = data.train_batches(multi_label, SPEC, batch_size=3, seed=0)
    assert batches.element_spec["labels"].shape == [3, len(names)]
    expected = {name: [float(label in MANY[name]) for label in names] for name in FILES}
    (batch,) = batches.take(1)
    assert sorted(batch["labels"].numpy().tolist()) == sorted(expected[name] for name in FILES[:3])
    for batch in data.eval_batches(multi_label, "test", SPEC, batch_size=2, windows=2):
        names = [clip_id.decode().split("@")[0] for clip_id in batch["clip_id"].numpy()]
        assert dict(zip(names, batch["labels"].numpy().tolist(), strict=True)) == {
            name: expected[name] for name in FILES[4:]
        }


def test_several_sets_have_no_labels_in_common(multi_label):
    batches = data.train_batches([multi_label, multi_label], SPEC, batch_size=2, seed=0)
    assert "labels" not in batches.element_spec and "label" in batches.element_spec


def test_other_labels_are_other_data(videos, tmp_path, write_csv):
    folder(videos, tmp_path, write_csv("file,labels\na/0.mp4,x\nb/0.mp4,y\n"))
    assert folder(videos, tmp_path, write_csv("file,labels\nb/0.mp4,y\na/0.mp4,x\n")).was_there
    with pytest.raises(DataError, match="labels_fingerprint is"):
        folder(videos, tmp_path, write_csv("file,labels\na/0.mp4,y\nb/0.mp4,x\n"))


def test_labels_may_lie_beside_the_videos(videos, tmp_path):
    (videos / "mine.csv").write_text("file,labels\na/0.mp4,x\na/1.mp4,y\n")
    report = folder(videos, tmp_path, "mine.csv").report
    assert report["clips_per_class"] == {"x": 1, "y": 1}
    with open(tmp_path / "data/folder/default/1.0.0/metadata.json") as file:
        assert "labels" not in json.load(file)["parameters"]  # a path; what it says is in the fingerprint


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(labels="nowhere.csv"), "Found none at nowhere.csv or .*/nowhere.csv"),
        (dict(validation_fraction=0.2), "validation_fraction goes with labels"),
        (dict(labels="labels.csv", validation_fraction=1.5), "validation_fraction should be a share"),
        (
            dict(labels="labels.csv"),
            "names none of the videos below .*: it has x/y.mp4, ...; there are a/0.mp4, a/1.mp4",
        ),
    ],
)
def test_impossible_settings_are_refused(videos, tmp_path, monkeypatch, settings, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labels.csv").write_text("file,labels\nx/y.mp4,x\n")
    with pytest.raises(DataError, match=message):
        FolderConfig(source_dir=str(videos), **settings)


def test_without_labels_records_and_parameters_are_what_they_were(videos):
    config = FolderConfig(source_dir=str(videos), **SETTINGS)
    assert not {"labels", "validation_fraction", "labels_fingerprint"} & config.parameters().keys()
    assert np.all([name in config.parameters() for name in ("test_fraction", "source_fingerprint")])


def test_files_and_labels_meet_in_either_form_of_unicode(videos, tmp_path, write_csv):
    (tmp_path / "source").mkdir()
    names = [("Sen\u0303al", "Se\u00f1al"), ("\u00fcber", "u\u0308ber"), ("plain", "plain")]
    for stored, _ in names:
        (tmp_path / f"source/{stored}.mp4").write_bytes((videos / FILES[0]).read_bytes())
    rows = "".join(f"{listed}.mp4,{index},test\n" for index, (_, listed) in enumerate(names))
    report = folder(tmp_path / "source", tmp_path, write_csv(f"file,labels,split\n{rows}")).report
    assert report["clips_per_class"] == {"0": 1, "1": 1, "2": 1} and report["videos_listed"] == {"test": 3}
    assert report["labels_without_video"] == [] and report["skipped"] == {}


def test_the_labels_may_be_remote(tmp_path):
    fsspec.filesystem("memory").pipe("/labels/mine.csv", b"file,labels\na/0.mp4,cat\n")
    path = find_labels("memory://labels/mine.csv", SourceTree(tmp_path))
    assert read_labels(path).by_file == {"a/0.mp4": (0,)}
