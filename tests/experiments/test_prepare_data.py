"""The command line: in this process where only messages count, in a real one for exit codes."""

import ast
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import types

import pytest
from absl import flags
from absl.testing import flagsaver

import data.preparing.plan
from data.errors import DataError
from data.records.prepared_dataset import open_dataset
from data.sets.synthetic import Synthetic
from experiments import prepare_data
from experiments.preparing import program
from experiments.preparing.dataset_flags import flag_values
from experiments.running import command_line
from experiments.running.command_line import BadInput, _guarded

pytestmark = [pytest.mark.every_python, pytest.mark.slow]

ROOT = pathlib.Path(__file__).parents[2]
FEW = dict(train_clips=3, validation_clips=0, test_clips=2, image_size_px=16, clip_seconds=0.8)
MORE = FEW | dict(train_clips=24, test_clips=0)

# What a flag takes, and its default. Command lines that work have to keep working: add, but do not change or remove.
LISTED = {
    "source_dir": ("string", None),
    "clip_seconds": ("float", 10.0),
    "image_size_px": ("int", 256),
    "frames_per_second": ("float", 10.0),
    "sample_rate_hz": ("int", 48000),
    "max_bad_fraction": ("float", 0.5),
}
CAPTIONED = LISTED | {
    "minimum_seconds": ("float", 2.0),
    "max_captions": ("int", 16),
    "caption_reach_seconds": ("float", 10.0),
    "caption_marks": ("string", "keep"),
}
FLAGS = {
    "synthetic": {
        "train_clips": ("int", 1600),
        "validation_clips": ("int", 160),
        "test_clips": ("int", 240),
        "text_noise": ("float", 0.3),
        "audio_noise": ("float", 0.3),
        "seed": ("int", 0),
        "clip_seconds": ("float", 3.2),
        "image_size_px": ("int", 64),
        "frames_per_second": ("float", 10.0),
        "sample_rate_hz": ("int", 16000),
        "source_dir": ("string", None),
    },
    "imbalanced": {
        "train_clips": ("int", 1500),
        "validation_clips": ("int", 300),
        "test_clips": ("int", 600),
        "video_contrast": ("float", 0.4),
        "video_clutter": ("int", 8),
        "video_hidden": ("float", 0.3),
        "audio_noise_db": ("float", 20.0),
        "seed": ("int", 0),
        "clip_seconds": ("float", 1.6),
        "image_size_px": ("int", 48),
        "frames_per_second": ("float", 5.0),
        "sample_rate_hz": ("int", 8000),
    },
    "folder": CAPTIONED
    | {
        "test_fraction": ("float", 0.1),
        "labels": ("string", None),
        "validation_fraction": ("float", None),
        "caption_marks": ("string", "drop_pure"),
        "caption_languages": ("comma separated list of strings", None),
        "caption_encoding": ("string", None),
    },
    "crema_d": LISTED
    | {
        "sample_rate_hz": ("int", 16000),
        "validation_fraction": ("float", 0.1),
        "test_fraction": ("float", 0.1),
        "split_csv_dir": ("string", None),
    },
    "kinetics_sounds": LISTED | {"sample_rate_hz": ("int", 16000), "class_list": ("string", None)},
    "howto100m": CAPTIONED | {"captions_file": ("string", None)},
    "audioset": LISTED
    | {"unbalanced": ("bool", True), "sound_only": ("bool", False), "validation_fraction": ("float", 0.0)},
    "youtube8m": CAPTIONED
    | {
        "list_file": ("string", "videos.csv"),
        "languages": ("comma separated list of strings", ["en"]),
    },
    "youcook2": LISTED | {"clip_seconds": ("float", 60.0)},
    "msrvtt": LISTED | {"clip_seconds": ("float", 32.0)},
    "ucf101": LISTED | {"clip_seconds": ("float", 80.0)},
    "hmdb51": LISTED | {"clip_seconds": ("float", 40.0)},
    "kinetics400": LISTED,
    "esc50": LISTED,
}


def content(directory):
    """The bytes of the records and the vocabularies."""
    return {path.name: path.read_bytes() for path in directory.iterdir() if "json" not in path.name}


def start(*arguments):
    command = [sys.executable, "-m", "experiments.prepare_data", *arguments]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_synthetic_then_its_files_as_a_folder(run_prepare, tmp_path, capsys):
    data_dir, media = str(tmp_path / "data"), str(tmp_path / "media")
    run_prepare(dataset="synthetic", data_dir=data_dir, source_dir=media, **FEW)
    assert f"prepared: {data_dir}/synthetic/default/1.0.0" in capsys.readouterr().out
    run_prepare(dataset="synthetic", data_dir=data_dir, source_dir=media, **FEW)
    assert "already prepared" in capsys.readouterr().out
    run_prepare(dataset="folder", data_dir=data_dir, source_dir=media, sample_rate_hz=16000)
    output = capsys.readouterr().out
    assert "videos_used: 5" in output and "clips_without_captions: 0" in output
    assert open_dataset("synthetic", data_dir).split_sizes == {"train": 3, "test": 2}
    assert sum(open_dataset("folder", data_dir).split_sizes.values()) == 5


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (dict(dataset="synthetic"), "--dataset and --data_dir are needed"),
        (dict(data_dir="x"), "--dataset and --data_dir are needed"),
        (dict(dataset="folder", data_dir="x"), "--source_dir should be the data set's folder"),
        (dict(dataset="folder", data_dir="x", seed=1), "--dataset=folder has no --seed"),
        (dict(dataset="synthetic", data_dir="x", text_noise=3.0), "text_noise should be a probability"),
        (dict(dataset="synthetic", data_dir="x", labels="a.csv"), "--dataset=synthetic has no --labels"),
        (
            dict(dataset="synthetic", data_dir="x", workers=2, beam_runner="DirectRunner"),
            "--workers should not be used with --beam_runner",
        ),
        (
            dict(dataset="synthetic", data_dir="x", beam_options=["a=b"]),
            "--beam_options should be used with --beam_runner",
        ),
    ],
)
def test_bad_input_is_refused(run_prepare, values, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=message):
        run_prepare(**values)
    assert not os.listdir(tmp_path)


@pytest.fixture
def parsed():
    """Parses a command line of `experiments.prepare_data`; its flags are gone after the test."""
    with flagsaver.flagsaver():
        yield lambda *arguments: prepare_data.parse(["prepare_data", *arguments])


def test_every_data_set_has_a_name():
    bases = {"ClipBuilder", "ListedClips", "RenderedClips"}
    modules = [path for path in (ROOT / "data" / "sets").glob("*.py") if path.stem != "by_name"]
    builders = {
        path.stem
        for path in modules
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and bases & {getattr(base, "id", None) for base in node.bases}
    }
    assert builders == set(prepare_data.DATASETS)


def own_flags(parsed, dataset):
    common = set(flags.FLAGS)
    parsed(f"--dataset={dataset}")
    return {name: flags.FLAGS[name] for name in set(flags.FLAGS) - common}


@pytest.mark.parametrize("dataset", FLAGS)
def test_flags_stay_as_they_were(dataset, parsed):
    found = {name: (flag.flag_type(), flag.default) for name, flag in own_flags(parsed, dataset).items()}
    assert found == FLAGS[dataset]


@pytest.mark.parametrize("dataset", prepare_data.DATASETS)
def test_flags_of_a_data_set_are_its_settings(dataset, parsed):
    own = own_flags(parsed, dataset)
    assert own and all(flag.help[0].isupper() and flag.help.endswith(".") for flag in own.values())
    config_class = data.dataset_builder(dataset).config_class()
    plain, values = config_class(), flag_values(config_class)
    assert values.keys() == own.keys()
    assert config_class(**values).parameters() == plain.parameters()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--dataset=folder", "--max_captons=3"],
            r"--dataset=folder has no --max_captons \(did you mean --max_captions\?\)",
        ),
        (["--max_captions=3", "--dataset", "crema_d"], "--dataset=crema_d has no --max_captions"),
        (["--datset=folder"], r"without --dataset, this program has no --datset \(did you mean --dataset\?\)"),
    ],
)
def test_flags_that_the_data_set_does_not_have_are_refused(arguments, message, parsed):
    with pytest.raises(BadInput, match=f"{message}.*; see --help"):
        parsed(*arguments)


def test_data_sets_that_tfds_has_too_stay_its_own():
    """Two of one name cannot both be registered."""
    from tensorflow_datasets.audio import CremaD
    from tensorflow_datasets.video import Ucf101

    for dataset, theirs in (("crema_d", CremaD), ("ucf101", Ucf101)):
        ours = data.dataset_builder(dataset)
        assert ours.name == theirs.name == dataset and ours is not theirs


def test_flags_say_who_makes_the_records(monkeypatch, parsed):
    parsed()
    asked = []
    beam_units = types.SimpleNamespace(pipeline_runner=lambda *arguments: asked.append(arguments))
    monkeypatch.setitem(sys.modules, "data.preparing.beam_units", beam_units)
    monkeypatch.setattr(program, "in_processes", lambda workers: asked.append(workers))
    with flagsaver.flagsaver(beam_runner="FlinkRunner", beam_options=["flink_master=host:8081", "--streaming"]):
        program.runner()
    with flagsaver.flagsaver(workers=3):
        program.runner()
    assert asked == [("FlinkRunner", ["--flink_master=host:8081", "--streaming"]), 3]
    monkeypatch.delitem(sys.modules, "data.preparing.beam_units")
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with flagsaver.flagsaver(beam_runner="DirectRunner"):
        with pytest.raises(BadInput, match=r"pip install 'vatt-harmonization\[beam\]'"):
            program.runner()


def test_a_file_in_the_place_of_a_folder_is_a_mistake(run_prepare, tmp_path):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "synthetic").write_text("in the way")
    for place, named in (("file", "file"), ("file/data", "file"), ("set", "synthetic")):
        with pytest.raises(BadInput, match=f"{named} should be a folder. Found a file"):
            run_prepare(dataset="synthetic", data_dir=str(tmp_path / place), **FEW)


def test_help_has_an_example():
    process = start("--dataset=folder", "--help")
    output, warnings = process.communicate(timeout=60)
    assert "python -m experiments.prepare_data --dataset=synthetic" in output
    assert "--max_bad_fraction" in output and "--text_noise" not in output and not warnings
    assert re.search(r"--max_captions: A clip has at most this many captions.*\n +\(default: '16'\)", output)


@pytest.mark.usefixtures("parsed")
def test_missing_flags_exit_with_two(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["prepare_data", "--dataset=synthetic"])
    with pytest.raises(SystemExit) as stop:
        command_line.run(prepare_data.main, parse=prepare_data.parse)
    errors = capsys.readouterr().err
    assert stop.value.code == 2
    assert errors.startswith("error: --dataset and --data_dir are needed") and "Traceback" not in errors


def test_nothing_usable_exits_with_one(parsed, tmp_path, capsys):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "letter.mp4").write_text("not a video\n" * 100)
    arguments = parsed("--dataset=folder", f"--source_dir={tmp_path}/videos", f"--data_dir={tmp_path}/data")
    assert _guarded(prepare_data.main, arguments) == 1
    output, errors = capsys.readouterr()
    assert not output
    assert "error: 1 of 1 files cannot be used" in errors and "Traceback" not in errors
    assert "letter.mp4" in (tmp_path / "data" / "folder" / "prepare_report.json").read_text()


def test_a_killed_run_goes_on_and_other_parameters_start_anew(run_prepare, tmp_path, capfd):
    """Its data are those of a run that was left alone, and what it had finished is not made again."""
    root = tmp_path / "killed" / "synthetic"
    small_units = (
        "from data.preparing import plan; plan.UNIT_BYTES = 1; from experiments.prepare_data import main, parse, run; "
    )
    small_units += "run(main, parse=parse)"
    flags = [f"--{name}={value}" for name, value in (MORE | dict(data_dir=f"{tmp_path}/killed")).items()]
    command = [sys.executable, "-c", small_units, "--dataset=synthetic", *flags]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while len(list(root.glob("incomplete/units/*.done.json"))) < 3 and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    done = {path.stem: path.read_bytes() for path in root.glob("incomplete/units/*.done.json")}
    assert 3 <= len(done) < MORE["train_clips"]
    with pytest.raises(DataError, match="No prepared data set"):
        open_dataset("synthetic", f"{tmp_path}/killed")
    shutil.copytree(tmp_path / "killed", tmp_path / "other")

    made, make_clip = [], Synthetic.make_clip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Synthetic, "make_clip", lambda *arguments: made.append(arguments) or make_clip(*arguments))
        run_prepare(dataset="synthetic", data_dir=f"{tmp_path}/killed", **MORE)
    assert f"{len(done)} of {MORE['train_clips']} parts are done" in capfd.readouterr().err
    assert len(made) == MORE["train_clips"] - len(done)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data.preparing.plan, "UNIT_BYTES", 1)
        run_prepare(dataset="synthetic", data_dir=f"{tmp_path}/whole", **MORE)
    killed, whole = (content(tmp_path / name / "synthetic/default/1.0.0") for name in ("killed", "whole"))
    assert killed == whole and len(killed) == MORE["train_clips"] + 2
    assert os.listdir(root) == ["default"]

    run_prepare(dataset="synthetic", data_dir=f"{tmp_path}/other", **FEW)
    assert "unfinished preparation that used different parameters" in capfd.readouterr().err
    assert open_dataset("synthetic", f"{tmp_path}/other").split_sizes == {"train": 3, "test": 2}
    assert os.listdir(tmp_path / "other/synthetic") == ["default"]


def test_the_summary_cuts_long_lists_short():
    report = {
        "dataset": "x",
        "skipped": {"gone": [f"video{i}" for i in range(1000)]},
        "classes": dict.fromkeys(range(31), 2),
    }
    summary = program.summary(report)
    assert '"video7", "... 992 more"]' in summary and '"...": "23 more"' in summary and len(summary) < 400
