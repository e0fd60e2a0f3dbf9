"""A SavedModel: what it takes and gives, and that it needs nothing of this project."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import flagsaver

import data
from experiments.inference.exported_model import write_saved_model
from experiments.inference.trained_model import open_run
from experiments.pretraining import config
from experiments.pretraining.assembly import build_model
from experiments.running import command_line
from experiments.running.command_line import RunFailed
from experiments.running.run_directory import RunDirectory, operative_config

pytestmark = pytest.mark.slow

CAPTIONS = ["a red square is falling", "a blue circle goes up", "über die straße", "naïve café"]
QUERIES = ["a red square is falling", "word " * 200, "Über die STRASSE: naïve café, 日本"]
TOWERS = {
    "video": ["features_video", "video_audio_video", "video_text_video"],
    "audio": ["features_audio", "video_audio_audio"],
    "text": ["features_text", "video_text_text"],
}
# Run elsewhere, with this project out of reach.
PROGRAM = """
import importlib.util, sys
sys.path = [path for path in sys.path if path != ""]
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in str(finder)]
assert not any(importlib.util.find_spec(name) for name in ("vatt", "data", "experiments", "harmonization"))
import numpy as np
import tensorflow as tf
inputs = dict(np.load("inputs.npz"))
outputs = {}
for run in ("words", "wordpiece"):
    if run == "wordpiece":  # the word-level tokenizer needed nothing
        import tensorflow_text
    signatures = tf.saved_model.load(run).signatures
    assert set(signatures) == {"video", "audio", "text"}
    for size in (1, 3):
        for name, key in (("video", "video"), ("audio", "waveform"), ("text", "text")):
            results = signatures[name](**{key: tf.constant(inputs[key][:size])})
            outputs |= {f"{run}/{size}/{result}": values.numpy() for result, values in results.items()}
np.savez("outputs.npz", **outputs)
"""


def make_run(path, tokenizer, bindings):
    """Writes a run directory with one checkpoint."""
    directory = RunDirectory(path)
    path.mkdir()
    data.build_vocabularies(CAPTIONS * 3, str(path))
    (path / f"vocabulary_{tokenizer}.txt").rename(directory.vocabulary)
    settings = config.parse([], [*bindings, f"pretrain.tokenizer = '{tokenizer}'"])
    model = build_model(settings, len(directory.vocabulary.read_text().splitlines()))
    directory.write(directory.config, operative_config())
    directory.write(directory.model, json.dumps(model.get_config()))
    state = tf.train.Checkpoint(model=model, global_step=tf.Variable(20, dtype=tf.int64))
    tf.train.CheckpointManager(state, str(directory.checkpoints), max_to_keep=2).save(checkpoint_number=20)
    return directory


@pytest.fixture(scope="module")
def runs(quick_graphs, tiny_run, tmp_path_factory):
    """Two runs, one of each tokenizer."""
    folder = tmp_path_factory.mktemp("runs")
    return {name: make_run(folder / name, name, tiny_run) for name in ("words", "wordpiece")}


@pytest.fixture(scope="module")
def exported(runs, tmp_path_factory):
    """The folder with both runs' SavedModels."""
    folder = tmp_path_factory.mktemp("exported")
    for name, directory in runs.items():
        write_saved_model(open_run(str(directory.path)), folder / name)
    assert sorted(os.listdir(folder)) == ["wordpiece", "words"]
    return folder


@pytest.fixture
def export(only_flags_of, capsys):
    """A function (**flags) -> exit code, stdout and stderr of the command line, run in this process."""
    module = only_flags_of("experiments.export")

    def run(**values) -> tuple[int, str, str]:
        capsys.readouterr()
        with flagsaver.flagsaver(**{name: str(value) for name, value in values.items()}):
            code = command_line._guarded(module.main, ["export"])
        return code, *capsys.readouterr()

    return run


def test_a_saved_model_gives_the_models_numbers_without_this_project(exported, runs, tmp_path):
    generator = np.random.default_rng(0)
    inputs = {
        "video": generator.uniform(-1, 1, (3, 8, 32, 32, 3)).astype(np.float32),
        "waveform": generator.uniform(-1, 1, (3, 12800)).astype(np.float32),
        "text": np.array([query.encode() for query in QUERIES]),
    }
    np.savez(exported / "inputs.npz", **inputs)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    program = [sys.executable, "-I", "-c", PROGRAM]
    done = subprocess.run(program, cwd=exported, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    outputs = np.load(exported / "outputs.npz")
    for name, directory in runs.items():
        run = open_run(str(directory.path))
        tokens = run.tokenizer(tf.constant(QUERIES))[:, None]
        expected = run.model({"video": inputs["video"], "waveform": inputs["waveform"], "text": tokens})
        for result in [result for results in TOWERS.values() for result in results]:
            group, modality = result.rsplit("_", 1)
            values = expected[group][modality].numpy().reshape(3, -1)
            np.testing.assert_allclose(outputs[f"{name}/3/{result}"], values, atol=1e-5)
            np.testing.assert_allclose(outputs[f"{name}/1/{result}"], values[:1], atol=1e-5)


def test_the_directory_says_what_it_takes_and_gives(exported, runs):
    directory = runs["wordpiece"]
    description = json.loads((exported / "wordpiece" / "export.json").read_text())
    assert description["step"] == 20 and description["clip_seconds"] == 0.8
    assert description["checkpoint"] == str(directory.path / "checkpoints" / "ckpt-20")
    assert "import tensorflow_text" in description["use"][1]
    video, audio, text = (description["inputs"][name] for name in ("video", "audio", "text"))
    assert video["shape"] == ["batch", 8, 32, 32, 3] and video["range"] == [-1, 1] and video["frames_per_second"] == 10
    assert audio["shape"] == ["batch", 12800] and audio["sample_rate_hz"] == 16000 and audio["name"] == "waveform"
    assert text["dtype"] == "string" and text["tokens"] == 6
    assert {name: list(results) for name, results in description["outputs"].items()} == TOWERS
    vocabulary = (exported / "wordpiece" / text["vocabulary"]).read_text()
    assert vocabulary == directory.vocabulary.read_text() and "square" in vocabulary


def test_a_run_without_vocabulary_has_no_text_signature(export, runs, tmp_path):
    directory = RunDirectory(shutil.copytree(runs["words"].path, tmp_path / "copy"))
    directory.vocabulary.unlink()
    code, stdout, _ = export(
        checkpoint=directory.path / "checkpoints" / "ckpt-20", output=tmp_path / "made" / "exported"
    )
    assert code == 0 and "no text signature" in stdout
    assert "video: features_video [16], video_audio_video [12], video_text_video [8]" in stdout
    assert os.listdir(tmp_path / "made") == ["exported"]
    assert set(tf.saved_model.load(str(tmp_path / "made" / "exported")).signatures) == {"video", "audio"}


def test_bad_input_is_named(export, runs, tmp_path):
    assert export(checkpoint=runs["words"].path)[0] == 2
    code, _, stderr = export(checkpoint=runs["words"].path, output=tmp_path)
    assert code == 2 and "should not exist yet" in stderr
    code, _, stderr = export(checkpoint=tmp_path, output=tmp_path / "exported")
    assert code == 2 and "should be the directory of a run" in stderr
    code, _, stderr = export(checkpoint=runs["words"].path, output=tmp_path / "new" / "..")
    assert code == 2 and "should not exist yet" in stderr and not os.listdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    code, _, stderr = export(checkpoint=runs["words"].path, output=tmp_path / "link")
    assert code == 2 and "should not exist yet" in stderr
    (tmp_path / "link").unlink()
    (tmp_path / "file").write_text("in the way")
    code, _, stderr = export(checkpoint=runs["words"].path, output=tmp_path / "file" / "exported")
    assert code == 2 and "should lie in a folder that can be created" in stderr
    assert os.listdir(tmp_path) == ["file"]


def test_what_a_killed_export_left_goes(runs, tmp_path):
    left = tmp_path / ".exported.incomplete" / "model" / "variables"
    left.mkdir(parents=True)
    (left / "half").write_text("half")
    (tmp_path / ".exported.incomplete" / ".export.lock").write_text("of a killed process")
    write_saved_model(open_run(str(runs["words"].path)), tmp_path / "exported")
    assert os.listdir(tmp_path) == ["exported"] and "half" not in os.listdir(tmp_path / "exported" / "variables")


def test_a_model_that_cannot_be_written_leaves_nothing(runs, tmp_path, full_disk):
    opened = open_run(str(runs["words"].path))
    with full_disk(1000), pytest.raises(RunFailed, match="could not be written"):
        write_saved_model(opened, tmp_path / "exported")
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    "name, key, shape",
    [("video", "video", [2, 16, 64, 64, 3]), ("video", "video", [2, 4, 32, 32, 3]), ("audio", "waveform", [2, 25_600])],
)
def test_a_loaded_model_refuses_clips_of_another_size(exported, name, key, shape):
    signature = tf.saved_model.load(str(exported / "words")).signatures[name]
    with pytest.raises(tf.errors.InvalidArgumentError, match="should have the shape"):
        signature(**{key: tf.zeros(shape)})
