"""A published checkpoint becomes a run directory that every other program takes."""

import json
import pathlib
import re
import shutil

import numpy as np
import pytest
from absl.testing import flagsaver

import vatt
from experiments.inference.trained_model import open_run
from experiments.running.command_line import _guarded as guarded

pytestmark = pytest.mark.slow

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
SMALL = [
    "VATT.layers = 2", "VATT.width = 64", "VATT.heads = 2", "VATT.feed_forward = 128", "VATT.feature_dim = 256",
    "VATT.video_audio_dim = 64", "VATT.video_text_dim = 32",
    "ClipSpec.frames = 8", "ClipSpec.image_size = 32", "ClipSpec.sample_rate_hz = 1600",
]  # fmt: skip
TOWERS = [
    "VATT.video = @video/Tower()", "video/Tower.kind = 'vit'", "video/Tower.size = @video/Size()",
    "VATT.audio = @audio/Tower()", "audio/Tower.kind = 'wat'", "audio/Tower.size = @audio/Size()",
    "VATT.text = @text/Tower()", "text/Tower.kind = 't5'", "text/Tower.size = @text/Size()",
    "Size.layers = 2", "Size.heads = 2",
    "video/Size.width = 64", "audio/Size.width = 48", "text/Size.width = 32",
    "video/Size.feed_forward = 128", "audio/Size.feed_forward = 96", "text/Size.feed_forward = 64",
    *SMALL[-5:],
]  # fmt: skip


@pytest.fixture
def import_here(only_flags_of, capsys, tmp_path):
    """A function (**flags) -> exit code, stdout and stderr of `experiments.import_checkpoint`, run in this process."""
    program = only_flags_of("experiments.import_checkpoint")

    def run(**values):
        defaults = dict(
            source=str(GOLDEN / "ut_tiny/ckpt/ckpt-3"),
            model="ut_medium",
            workdir=str(tmp_path / "run"),
            gin_bindings=SMALL,
        )
        with flagsaver.flagsaver(**(defaults | values)):
            code = guarded(program.main, ["import_checkpoint"])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def vocabulary(tmp_path):
    """A vocabulary as published: four special words, then the others."""
    path = tmp_path / "howto100m_en.txt"
    path.write_text("<pad>\n<bos>\n<eos>\n<unk>\na\nred\nsquare\n")
    return path


@pytest.mark.parametrize("name, model, bindings", [("ut_tiny", "ut_medium", SMALL), ("mbs_tiny", "mbs", TOWERS)])
def test_the_imported_run_computes_what_the_published_code_does(
    import_here, tmp_path, vocabulary, name, model, bindings
):
    code, out, errors = import_here(
        source=str(GOLDEN / name / "ckpt/ckpt-3"), model=model, gin_bindings=bindings, vocabulary=str(vocabulary)
    )
    assert (code, errors) == (0, "") and "all matched" in out
    report = json.loads((tmp_path / "run/import_report.json").read_text())
    assert report["step"] == 3 and len(report["matched"]) == {"ut_tiny": 84, "mbs_tiny": 124}[name]

    run = open_run(str(tmp_path / "run"))
    assert run.step == 3 and run.settings.loss == "asymmetric_nce"
    assert run.tokenizer(["A red circle"]).numpy()[0, :4].tolist() == [4, 5, 3, 0], (
        "an unknown word is <unk>, at its place"
    )

    inputs, published = (np.load(GOLDEN / name / f"{kind}.npz") for kind in ("inputs", "outputs"))
    outputs = vatt.load(tmp_path / "run")(
        {"video": inputs["video"], "waveform": inputs["audio"][..., 0], "text": inputs["text"].reshape(3, 5, 16)}
    )
    np.testing.assert_allclose(outputs["features"]["audio"], published["audio.features_pooled"], atol=1e-5)
    np.testing.assert_allclose(outputs["video_audio"]["video"], published["embedding.video.toaud"], atol=1e-5)
    text = np.reshape(outputs["video_text"]["text"], [15, -1])
    np.testing.assert_allclose(text, published["embedding.text.tovid"], atol=1e-5)


def test_a_single_tower_without_words(import_here, tmp_path):
    bindings = ["VATT.layers = 2", "VATT.width = 48", "VATT.heads = 2", "VATT.feed_forward = 96", "VATT.mel_bands = 20",
                "ClipSpec.frames = 11", "ClipSpec.sample_rate_hz = 48000"]  # fmt: skip
    code, out, errors = import_here(
        source=str(GOLDEN / "spt_tiny/ckpt/ckpt-0"), model="spt_base", gin_bindings=bindings
    )
    assert (code, errors) == (0, "")
    model = vatt.load(tmp_path / "run")
    inputs, published = (np.load(GOLDEN / f"spt_tiny/{kind}.npz") for kind in ("inputs", "outputs"))
    np.testing.assert_allclose(model.encode("audio", inputs["audio"][..., 0]), published["features_pooled"], atol=1e-5)
    assert open_run(str(tmp_path / "run")).tokenizer is None


def test_what_does_not_match_is_listed_and_nothing_is_written(import_here, tmp_path):
    code, _, errors = import_here(gin_bindings=[*SMALL, "VATT.layers = 1"])
    assert code == 2 and "tx/layers/1/mha/q/kernel [64, 128] is only in the checkpoint" in errors
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "flags, message",
    [
        (dict(source=""), "--source, --model and --workdir are needed"),
        (dict(source="nowhere/ckpt-1"), "should be a checkpoint without its ending"),
        (dict(model="huge"), "`preset` should be one of"),
        (dict(model="mbs", gin_bindings=TOWERS), "is only in the"),
        (dict(vocabulary="nowhere.txt"), "Cannot read the vocabulary nowhere.txt"),
    ],
)
def test_wrong_input_is_explained(import_here, tmp_path, flags, message):
    code, _, errors = import_here(**flags)
    assert code == 2 and message in errors and "Traceback" not in errors
    assert not (tmp_path / "run").exists()


def test_a_vocabulary_with_more_words_than_vectors_is_refused(import_here, vocabulary):
    vocabulary.write_text("<pad>\n<unk>\n" + "".join(f"word{index}\n" for index in range(1000)))
    code, _, errors = import_here(vocabulary=str(vocabulary))
    assert code == 2 and "at most as many words as the checkpoint has vectors for, 1000. Found 1002" in errors


def test_another_run_is_not_overwritten(import_here):
    assert import_here()[0] == 0
    code, _, errors = import_here()
    assert code == 2 and "already holds a run" in errors


def test_the_source_is_not_overwritten(import_here, tmp_path):
    folder = tmp_path / "run" / "checkpoints"
    shutil.copytree(GOLDEN / "ut_tiny/ckpt", folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    code, _, errors = import_here(source=str(folder / "ckpt-3"))
    assert code == 2 and f"{folder}/ckpt-3 would be overwritten" in errors
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_full_disk_is_one_message_and_the_same_command_imports_afterwards(import_here, full_disk, tmp_path):
    with full_disk(10_000):
        code, _, errors = import_here()
    assert code == 1 and re.search(r"error: the checkpoint could not be written to .*checkpoints: .*too large", errors)
    assert "Traceback" not in errors and not list(tmp_path.rglob("*_temp"))
    assert import_here()[0] == 0
