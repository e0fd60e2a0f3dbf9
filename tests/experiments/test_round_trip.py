"""A published checkpoint through all hands: import, save, restore, export, embed. The numbers stay the published code's."""

import json
import pathlib
import runpy

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import flagsaver

import data
import vatt
from experiments.running.command_line import _guarded as guarded

pytestmark = pytest.mark.slow

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "ut_tiny"
MEDIA = runpy.run_path(str(pathlib.Path(__file__).parents[1] / "media_files.py"))
SMALL = [
    "VATT.layers = 2", "VATT.width = 64", "VATT.heads = 2", "VATT.feed_forward = 128", "VATT.feature_dim = 256",
    "VATT.video_audio_dim = 64", "VATT.video_text_dim = 32",
    "ClipSpec.frames = 8", "ClipSpec.image_size = 32", "ClipSpec.sample_rate_hz = 1600",
]  # fmt: skip
INPUTS, PUBLISHED = np.load(GOLDEN / "inputs.npz"), np.load(GOLDEN / "outputs.npz")


def vocabulary() -> list[str]:
    """A word for each of the 1000 vectors; <unk> takes a place that the golden captions do not use."""
    words = ["<pad>", *(f"word{index}" for index in range(1, 1000))]
    unused = next(index for index in range(1, 1000) if index not in INPUTS["text"])
    return [*words[:unused], "<unk>", *words[unused + 1 :]]


def sentences() -> list[str]:
    words = vocabulary()
    return [" ".join(words[index] for index in caption if index) for caption in INPUTS["text"]]


@pytest.fixture
def program(only_flags_of):
    """A function (name, **flags): runs that command line in this process."""

    def run(name, **values):
        module = only_flags_of(f"experiments.{name}")
        with flagsaver.flagsaver(**{flag: str(v) if isinstance(v, pathlib.Path) else v for flag, v in values.items()}):
            assert guarded(module.main, [name]) == 0

    return run


def close(ours, key):
    np.testing.assert_allclose(np.reshape(ours, PUBLISHED[key].shape), PUBLISHED[key], atol=1e-5, err_msg=key)


@pytest.mark.usefixtures("quick_graphs")
def test_the_numbers_stay_the_same(program, tmp_path):
    (tmp_path / "words.txt").write_text("".join(f"{word}\n" for word in vocabulary()))
    imported, saved, exported = (tmp_path / name for name in ("imported", "saved", "exported"))
    program(
        "import_checkpoint", source=str(GOLDEN / "ckpt/ckpt-3"), model="ut_medium", workdir=imported,
        vocabulary=tmp_path / "words.txt", gin_bindings=SMALL,
    )  # fmt: skip

    model = vatt.load(imported)
    state = tf.train.Checkpoint(model=model, global_step=tf.Variable(3, dtype=tf.int64))
    tf.train.CheckpointManager(state, str(saved / "checkpoints"), max_to_keep=1).save(checkpoint_number=3)
    (saved / "model.json").write_text(json.dumps(model.get_config()))
    for name in ("config.gin", "vocabulary.txt"):
        (saved / name).write_text((imported / name).read_text())
    restored = vatt.load(saved)
    close(restored.encode("video", INPUTS["video"]), "video.features_pooled")

    program("export", checkpoint=saved, output=exported)
    signatures = tf.saved_model.load(str(exported)).signatures
    video = signatures["video"](video=tf.constant(INPUTS["video"]))
    audio = signatures["audio"](waveform=tf.constant(INPUTS["audio"][..., 0]))
    text = signatures["text"](text=tf.constant(sentences()))
    close(video["features_video"], "video.features_pooled")
    close(video["video_audio_video"], "embedding.video.toaud")
    close(video["video_text_video"], "embedding.video.totxt")
    close(audio["video_audio_audio"], "embedding.audio.tovid")
    close(text["features_text"], "text.features_pooled")
    close(text["video_text_text"], "embedding.text.tovid")

    MEDIA["write_media"](tmp_path / "clip.mp4", MEDIA["moving_square"](12), MEDIA["tone"](1.2, 48000))
    (tmp_path / "queries.txt").write_text("".join(f"{sentence}\n" for sentence in sentences()))
    program(
        "embed", checkpoint=saved, inputs=[str(tmp_path / "clip.mp4")], texts=tmp_path / "queries.txt",
        output=tmp_path / "features.npz",
    )  # fmt: skip
    rows = np.load(tmp_path / "features.npz", allow_pickle=False)
    spoken = INPUTS["text"].any(axis=1)  # an empty line is no query
    assert rows["text"].tolist() == [sentence for sentence in sentences() if sentence]
    np.testing.assert_allclose(rows["video_text_text"], PUBLISHED["embedding.text.tovid"][spoken], atol=1e-5)
    (clip,) = data.read_clips(tmp_path / "clip.mp4", data.ClipSpec(frames=8, image_size=32, sample_rate_hz=1600))
    expected = signatures["video"](video=tf.constant(clip.video[None]))
    np.testing.assert_allclose(rows["video_text_video"], expected["video_text_video"], atol=1e-5)
    np.testing.assert_allclose(rows["features_video"], model.encode("video", clip.video[None]), atol=1e-5)
