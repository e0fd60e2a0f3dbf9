"""The command line on real files, in this process and once in one of its own, and what it leaves."""

import functools
import json
import os
import pathlib
import runpy
import shutil
import sys

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import flagsaver

import data
import vatt
from experiments.inference.file_embeddings import Embedder
from experiments.inference.trained_model import fingerprint, open_run
from experiments.pretraining import config
from experiments.pretraining.assembly import build_model
from experiments.running import command_line
from experiments.running.command_line import BadInput
from experiments.running.npz_file import write_npz
from experiments.running.run_directory import RunDirectory, operative_config

MEDIA = runpy.run_path(str(pathlib.Path(__file__).parents[1] / "media_files.py"))
write_media, moving_square, tone = MEDIA["write_media"], MEDIA["moving_square"], MEDIA["tone"]
CAPTIONS = ["a red square is falling", "a blue circle goes up", "über die straße", "naïve café"]
pytestmark = [pytest.mark.usefixtures("quick_graphs"), pytest.mark.every_python, pytest.mark.slow]
QUERIES = ["a red square is falling", "word " * 200, "Über die STRASSE: naïve café, 日本"]
ROWS = ("features_video", "video_audio_video", "video_text_video", "features_audio", "video_audio_audio")


@pytest.fixture(scope="module")
def run_path(tiny_run, tmp_path_factory) -> pathlib.Path:
    """Directory of a run with two checkpoints of different weights, of step 10 and 20."""
    directory = RunDirectory(tmp_path_factory.mktemp("runs") / "run")
    directory.path.mkdir()
    data.build_vocabularies(CAPTIONS * 3, str(directory.path))
    (directory.path / "vocabulary_wordpiece.txt").rename(directory.vocabulary)
    settings = config.parse([], tiny_run)
    model = build_model(settings, len(directory.vocabulary.read_text().splitlines()))
    directory.write(directory.config, operative_config())
    directory.write(directory.model, json.dumps(model.get_config()))
    step = tf.Variable(0, dtype=tf.int64)
    state = tf.train.Checkpoint(model=model, global_step=step)
    checkpoints = tf.train.CheckpointManager(state, str(directory.checkpoints), max_to_keep=2)
    for number in (10, 20):
        step.assign(number)
        for variable in model.trainable_variables:
            variable.assign_add(0.003 * number * tf.random.stateless_normal(variable.shape, [number, 0]))
        checkpoints.save(checkpoint_number=number)
    return directory.path


@pytest.fixture(scope="module")
def media(tmp_path_factory) -> pathlib.Path:
    """A folder of files of many kinds, two of them unusable."""
    folder = tmp_path_factory.mktemp("media")
    stereo = np.stack([tone(2.0, 44100, 300), tone(2.0, 44100, 500)])
    write_media(folder / "a.mp4", moving_square(20), stereo, sample_rate_hz=44100)
    write_media(folder / "b.webm", moving_square(24, square=20), tone(2.4, 48000))
    write_media(folder / "mute.mp4", moving_square(12))
    write_media(folder / "phone.mp4", moving_square(12), tone(1.2, 48000), rotation=90)
    write_media(folder / "portrait.mp4", moving_square(12, 64, 48), tone(1.2, 48000))
    write_media(folder / "short.mp4", moving_square(3), tone(0.3, 48000))
    write_media(folder / "s.wav", None, stereo, sample_rate_hz=44100)
    write_media(folder / "s.flac", None, stereo, sample_rate_hz=44100)
    write_media(folder / "s.mp3", None, stereo, sample_rate_hz=44100)
    content = (folder / "a.mp4").read_bytes()
    (folder / "truncated.mp4").write_bytes(content[: len(content) // 2])
    (folder / "letter.mp4").write_text("not a video\n" * 100)
    return folder


@pytest.fixture(scope="module")
def opened(run_path):
    """A function () -> the run's newest checkpoint, opened once."""
    return functools.cache(lambda: open_run(str(run_path)))


@pytest.fixture(scope="module")
def embedder():
    """A function (model) -> its `Embedder`, the same every time: tracing the towers takes most of the time."""
    return functools.cache(Embedder)


@pytest.fixture
def embed(only_flags_of, opened, embedder, run_path, monkeypatch, capsys):
    """A function (*arguments, **flags) -> exit code, stdout and stderr of the command line, run in this process."""
    module = only_flags_of("experiments.embed")
    once = lambda path: opened() if path == str(run_path) else open_run(path)  # noqa: E731
    monkeypatch.setattr("experiments.inference.embed_program.open_run", once)
    monkeypatch.setattr("experiments.inference.embed_program.Embedder", embedder)

    def run(*arguments, **values) -> tuple[int, str, str]:
        capsys.readouterr()
        values = {name: str(value) if isinstance(value, pathlib.Path) else value for name, value in values.items()}
        with flagsaver.flagsaver(**values):
            code = command_line._guarded(module.main, ["embed", *map(str, arguments)], takes_arguments=True)
        return code, *capsys.readouterr()

    return run


def read(path):
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)


@pytest.fixture(scope="module")
def whole_folder(run_path, media, start_program, tmp_path_factory):
    """The real command line over the folder: (exit code, stdout, stderr, arrays)."""
    folder = tmp_path_factory.mktemp("output")
    (folder / "queries.txt").write_text("\r\n".join([QUERIES[0], "", *QUERIES[1:]]), encoding="utf-8-sig")
    program = start_program(
        "experiments.embed", f"--checkpoint={run_path}", f"--inputs={media}/*", f"--texts={folder}/queries.txt",
        f"--output={folder}/made/features", "--search=a red square", "--top=3", "--batch_size=4",
    )  # fmt: skip
    stdout, stderr = program.communicate()
    assert program.returncode == 0, stderr
    assert os.listdir(folder / "made") == ["features"]
    return program.returncode, stdout, stderr, read(folder / "made" / "features")


def test_every_file_has_its_row(whole_folder, media):
    _, stdout, stderr, arrays = whole_folder
    names = [pathlib.Path(file).name for file in arrays["file"]]
    assert names == [
        "a.mp4",
        "b.webm",
        "mute.mp4",
        "phone.mp4",
        "portrait.mp4",
        "s.flac",
        "s.mp3",
        "s.wav",
        "short.mp4",
    ]
    assert arrays["has_video"].tolist() == [not name.startswith("s.") for name in names]
    assert arrays["has_audio"].tolist() == [name != "mute.mp4" for name in names]
    np.testing.assert_allclose(arrays["start_seconds"][[0, 1, 8]], [0.6, 0.8, 0.0])
    np.testing.assert_allclose(arrays["end_seconds"][[0, 1, 8]], [1.4, 1.6, 0.3])
    assert f"{media}/truncated.mp4: not a media file, or cut off" in stderr and "letter.mp4: not a media" in stderr
    assert "2 of 11 files were skipped." in stderr and "Traceback" not in stderr and "9/11" in stderr
    assert "(9 clips, 3 texts)" in stdout


def test_rows_are_what_the_model_makes_of_the_clips(whole_folder, opened, run_path):
    arrays, model = whole_folder[-1], opened().model
    spec = data.ClipSpec(frames=8, image_size=32, sample_rate_hz=16000)
    assert arrays["checkpoint"] == str(run_path / "checkpoints" / "ckpt-20") and arrays["checkpoint_step"] == 20
    for row, file in enumerate(arrays["file"]):
        (clip,) = data.read_clips(str(file), spec)
        outputs = model({"video": clip.video[None], "waveform": clip.waveform[None]})
        for name in ROWS:
            group, modality = name.rsplit("_", 1)
            there = getattr(clip, f"has_{modality}")
            expected = outputs[group][modality][0] if there else np.zeros_like(arrays[name][row])
            np.testing.assert_allclose(arrays[name][row], expected, atol=1e-5, err_msg=f"{file} {name}")


def test_texts_are_embedded_however_long(whole_folder, opened, run_path):
    _, _, stderr, arrays = whole_folder
    assert arrays["text"].tolist() == [query.strip() for query in QUERIES]
    assert "2 of 4 texts are longer than the model's 6 tokens and were cut." in stderr
    tokenizer = data.WordPieceTokenizer(str(run_path / "vocabulary.txt"), 6)
    outputs = opened().model({"text": tokenizer(tf.constant(QUERIES))[:, None]})
    np.testing.assert_allclose(arrays["features_text"], outputs["features"]["text"][:, 0], atol=1e-5)
    np.testing.assert_allclose(arrays["video_text_text"], outputs["video_text"]["text"][:, 0], atol=1e-5)
    assert len(arrays["text"]) == len(arrays["video_text_text"]) == 3  # the search is not among them


def test_a_search_prints_the_most_similar_videos(whole_folder, opened, run_path):
    _, stdout, _, arrays = whole_folder
    tokens = data.WordPieceTokenizer(str(run_path / "vocabulary.txt"), 6)(tf.constant([["a red square"]]))
    query = opened().model({"text": tokens})["video_text"]["text"][0, 0].numpy()
    clips = arrays["video_text_video"]
    cosines = clips @ query / np.linalg.norm(clips, axis=1).clip(1e-9) / np.linalg.norm(query)
    cosines[~arrays["has_video"]] = -2
    _, note, table = stdout.split("\n\n")
    assert note.startswith(
        "Note: to this model all 6 videos fit the sentence nearly equally well"
    )  # its weights are random
    title, *lines = table.strip().splitlines()
    assert title == "a red square" and len(lines) == 3
    for rank, line in enumerate(lines):
        row = np.argsort(-cosines)[rank]
        assert line.split()[:3] == [str(rank + 1), f"{cosines[row]:+.3f}", arrays["file"][row]]
        assert line.endswith(f"{arrays['start_seconds'][row]:.1f} - {arrays['end_seconds'][row]:.1f} s")


def test_a_file_has_the_same_numbers_alone_and_among_others(whole_folder, embed, run_path, media, tmp_path):
    for number, name in enumerate(("b.webm", "s.mp3")):
        output = tmp_path / f"{number}.npz"
        assert embed(media / name, checkpoint=run_path, output=output)[0] == 0
        alone, together = read(output), whole_folder[-1]
        row = together["file"].tolist().index(str(media / name))
        for key in ROWS:
            np.testing.assert_allclose(alone[key], together[key][row : row + 1], atol=1e-5)


def test_a_row_is_a_line_of_the_texts(embed, run_path, tmp_path):
    texts, output = tmp_path / "texts.txt", tmp_path / "f.npz"
    texts.write_bytes("a red\u2028square\x0bfalls\r\n \r\n\na\x85circle\n".encode())
    code, _, stderr = embed(checkpoint=run_path, texts=texts, output=output)
    assert code == 0 and f"2 of 4 lines of {texts} are blank and have no row." in stderr
    assert read(output)["text"].tolist() == ["a red\u2028square\x0bfalls", "a\x85circle"]


def test_windows_and_a_later_search(embed, opened, run_path, media, tmp_path):
    output = tmp_path / "features.npz"
    code, *_ = embed(
        media / "a.mp4", media / "s.wav", media / "a.mp4", checkpoint=run_path, windows="all", output=output
    )
    arrays = read(output)
    assert code == 0 and [pathlib.Path(file).name for file in arrays["file"]] == ["a.mp4"] * 3 + ["s.wav"] * 3
    np.testing.assert_allclose(arrays["start_seconds"], [0.0, 0.8, 1.6] * 2)
    code, stdout, _ = embed(features=output, search=["a red square", "naïve"], top=2)
    assert code == 0 and stdout.count("a.mp4") == 4 and "s.wav" not in stdout
    other = tmp_path / "other.npz"
    write_npz(other, {**arrays, "video_text_video": np.ones((6, 3), np.float32)})
    code, _, stderr = embed(features=other, search=["a"])
    assert code == 2 and "other.npz should be as this version writes it" in stderr and "3 numbers a clip" in stderr
    code, _, stderr = embed(features=output, search=["a"], checkpoint=run_path / "checkpoints" / "ckpt-10")
    assert code == 2 and "was written with another checkpoint" in stderr
    moved = shutil.copytree(run_path, tmp_path / "moved")
    prints = [fingerprint(run.checkpoint) for run in (open_run(str(moved)), opened())]
    assert prints == [str(arrays["checkpoint_fingerprint"])] * 2


def test_a_search_says_first_that_the_model_is_hardly_trained(embed, run_path, media, tmp_path):
    moved, output = shutil.copytree(run_path, tmp_path / "moved"), tmp_path / "features.npz"
    assert embed(media / "a.mp4", checkpoint=run_path, windows="all", output=output)[0] == 0
    assert "hardly trained" not in embed(features=output, search=["a red square"])[1]
    RunDirectory(moved).append_metrics({"step": 20, "loss_video_text": 1.94})  # log(7) = 1.95 in batches of four
    code, stdout, _ = embed(features=output, search=["a red square"], checkpoint=moved)
    note, results = stdout.strip().split("\n\n")
    assert (
        code == 0
        and note.startswith("Note: this model is hardly trained (at step 20 ")
        and results.startswith("a red square")
    )


def test_an_older_checkpoint_can_be_named(whole_folder, embed, run_path, media, tmp_path):
    path = run_path / "checkpoints" / "ckpt-10"
    assert embed(media / "a.mp4", checkpoint=f"{path}.index", output=tmp_path / "old.npz")[0] == 0
    old, new = read(tmp_path / "old.npz"), whole_folder[-1]
    assert old["checkpoint_step"] == 10 and old["checkpoint"] == str(path)
    assert np.abs(new["features_video"][0] - old["features_video"][0]).max() > 1e-3
    (clip,) = data.read_clips(media / "a.mp4", data.ClipSpec(frames=8, image_size=32, sample_rate_hz=16000))
    expected = vatt.load(path).encode("video", clip.video[None])
    np.testing.assert_allclose(old["features_video"], expected, atol=1e-5)


def test_names_that_look_like_patterns_or_are_not_unicode(embed, run_path, media, tmp_path):
    strange = [tmp_path / "clip[1].flac", os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.flac")]
    for path in strange:
        shutil.copy(media / "s.flac", path)
    code, stdout, stderr = embed(*strange, tmp_path / "cli?.flac", checkpoint=run_path, output=tmp_path / "f.npz")
    assert code == 2 and "cli?.flac" in stderr
    code, *_ = embed(*strange, checkpoint=run_path, output=tmp_path / "f.npz")
    assert code == 0 and read(tmp_path / "f.npz")["file"].tolist() == [str(strange[0]), str(tmp_path / "caf?.flac")]


def test_nothing_usable_is_a_failure_and_writes_nothing(embed, run_path, media, tmp_path):
    bad = [media / "truncated.mp4", media / "letter.mp4"]
    code, _, stderr = embed(*bad, checkpoint=run_path, output=tmp_path / "features.npz")
    assert code == 1 and "2 of 2 files were skipped." in stderr and "none of the files could be embedded" in stderr
    assert not os.listdir(tmp_path)


def test_a_search_among_sounds_says_why_it_finds_nothing(embed, run_path, media):
    code, _, stderr = embed(media / "s.wav", checkpoint=run_path, search=["a red square"])
    assert code == 1 and "no clip has a video" in stderr


def test_a_run_without_vocabulary_or_text_path(embed, run_path, media, tmp_path):
    copy = RunDirectory(shutil.copytree(run_path, tmp_path / "run"))
    copy.vocabulary.unlink()
    assert embed(media / "a.mp4", checkpoint=copy.path, output=tmp_path / "f.npz")[0] == 0
    code, _, stderr = embed(media / "a.mp4", checkpoint=copy.path, search=["a"])
    assert code == 2 and "has no vocabulary" in stderr
    copy.model.write_text(json.dumps(json.loads(copy.model.read_text()) | {"modalities": ["video", "audio"]}))
    code, _, stderr = embed(media / "a.mp4", checkpoint=copy.path, search=["a"])
    assert code == 2 and "has no text path, only video, audio" in stderr
    assert embed(media / "a.mp4", checkpoint=copy.path, output=tmp_path / "f.npz")[0] == 0
    assert "features_text" not in read(tmp_path / "f.npz") and "video_audio_audio" in read(tmp_path / "f.npz")


def test_broken_weights_are_named(embed, run_path, media, tmp_path):
    copy = RunDirectory(shutil.copytree(run_path, tmp_path / "run"))
    model = vatt.load(copy.path)
    model.trainable_variables[0].assign(tf.fill(model.trainable_variables[0].shape, np.nan))
    checkpoint = tf.train.Checkpoint(model=model, global_step=tf.Variable(30, dtype=tf.int64))
    path = checkpoint.save(str(copy.checkpoints / "broken"))
    code, _, stderr = embed(media / "a.mp4", media / "s.wav", checkpoint=path, output=tmp_path / "f.npz")
    assert code == 1 and "is not finite" in stderr and not (tmp_path / "f.npz").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--checkpoint is needed"),
        (["--checkpoint={here}", "--output={here}/f.npz"], "--inputs is needed"),
        (["--checkpoint={here}", "--inputs={file}"], "--output or --search is needed"),
        (["--checkpoint={here}", "--inputs={file}", "--output={here}/f.npz"], "should be the directory of a run"),
        (["--checkpoint={here}", "--inputs={file}", "--output={here}"], "--output should be a file"),
        (["--checkpoint={here}", "--inputs={file}", "--output={file}/f.npz"], "--output should lie in a folder"),
        (["--checkpoint={here}", "--inputs={file}", "--output={file}"], "--output should be a new file, or one that"),
        (["--checkpoint={here}", "--inputs={link}", "--output={file}"], "--output should be a new file, or one that"),
        (["--checkpoint={here}", "--inputs={file}", "--output={other}"], "--output should be a new file, or one that"),
        (["--checkpoint={here}", "--texts={file}", "--output={file}"], "--output should be a new file, or one that"),
        (
            ["--checkpoint={here}", "--inputs={here}/*.mp4", "--output={here}/f.npz"],
            "--inputs should name files that exist",
        ),
        (["--checkpoint={here}", "--output={here}/f.npz", "{file}", "{here}/missing.mp4"], "Found none for"),
        (["--checkpoint={here}", "--inputs={here}", "--output={here}/f.npz"], "is a folder; write"),
        (["--checkpoint={here}", "--texts={empty}", "--output={here}/f.npz"], "is empty"),
        (["--checkpoint={here}", "--texts={here}/no.txt", "--output={here}/f.npz"], "cannot be read"),
        (["--checkpoint={here}", "--texts={binary}", "--output={here}/f.npz"], "should be a UTF-8 text file"),
        (["--checkpoint={here}", "--inputs={file}", "--output={here}/f.npz", "--windows=0"], "--windows should be"),
        (
            ["--checkpoint={here}", "--inputs={file}", "--output={here}/f.npz", f"--windows={'9' * 5000}"],
            "--windows should",
        ),
        (["--checkpoint={here}", "--inputs={file}", "--output={here}/f.npz", "--windows=some"], "--windows should be"),
        (["--checkpoint={here}", "--inputs={file}", "--batch_size=0"], "--batch_size"),
        (["--features={file}", "--search=a"], "--features should be an --output"),
        (["--features={other}", "--search=a"], "lacks"),
        (["--features={earlier}", "--search=a"], "`start_seconds` should be numbers"),
        (["--features={earlier}", "--search=a", "--inputs={file}"], "--features should be used with --search"),
    ],
)
def test_bad_arguments_exit_with_2(arguments, message, only_flags_of, monkeypatch, capsys, tmp_path):
    module = only_flags_of("experiments.embed")
    names = {name: tmp_path / name for name in ("file", "empty", "binary", "other", "earlier", "link")}
    names["file"].write_text("x")
    names["link"].symlink_to(names["file"])
    names["empty"].write_text("\n \n")
    names["binary"].write_bytes(b"\xff\xfe\x00")
    write_npz(names["other"], {"file": np.array(["a"])})
    keys = (
        "file",
        "has_video",
        "start_seconds",
        "end_seconds",
        "video_text_video",
        "checkpoint",
        "checkpoint_fingerprint",
    )
    write_npz(names["earlier"], dict.fromkeys(keys, np.array(["a"])))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    filled = [argument.format(here=tmp_path, **names) for argument in arguments]
    monkeypatch.setattr(sys, "argv", ["embed", *filled])
    with pytest.raises(SystemExit) as stop:
        command_line.run(module.main, takes_arguments=True)
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert error.startswith("error: ") and message in error and "Traceback" not in error
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("program", ["finetune", "classify"])
def test_a_run_of_another_program_is_refused_by_its_name(program, run_path, tmp_path):
    copy = RunDirectory(shutil.copytree(run_path, tmp_path / "run"))
    copy.config.write_text(f"{program}.steps = 3\n")
    copy.model.unlink()  # classifiers have none
    for path in (copy.path, copy.checkpoints / "ckpt-10"):
        with pytest.raises(
            BadInput, match=f"{copy.path} should be a run of experiments.pretrain.* of experiments.{program}"
        ):
            open_run(str(path))


def test_an_array_may_have_any_name_but_no_objects(tmp_path):
    path = tmp_path / "deep" / "a.npz"
    write_npz(path, {"file": np.array(["ä"]), "allow_pickle": np.array(3)})
    assert read(path)["file"].tolist() == ["ä"] and read(path)["allow_pickle"] == 3
    with pytest.raises(ValueError, match="allow_pickle"):
        write_npz(path, {"objects": np.array([{}], dtype=object)})
    assert os.listdir(path.parent) == ["a.npz"] and "file" in read(path)
