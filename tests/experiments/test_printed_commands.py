"""The commands that the README, the docs, the configurations and the programs print are commands that the programs take.

Their clips fit the data that they prepare. Those under three headings of the README are run, one after the other.
"""

import ast
import pathlib
import re
import runpy
import shlex
import shutil

import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from absl import flags

from data import ClipSpec, PreparedDataset, dataset_builder
from data.pipeline.clips import ClipReader
from data.records.schema import record_features
from experiments.classifiers import config as classifier_config
from experiments.finetuning import config as finetune_config
from experiments.preparing.dataset_flags import flag_values
from experiments.pretraining import config as pretrain_config
from experiments.running.command_line import _guarded as guarded

pytestmark = [pytest.mark.every_python, pytest.mark.slow]
ROOT = pathlib.Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "Makefile",
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "configs").rglob("*.gin"),
    *sorted((ROOT / "experiments").rglob("*.py")),
]
START = re.compile(r"(?:python|\.venv/bin/python) -m experiments\.([a-z_.]+)((?:\\\n|[^\n`])*)")
PLACEHOLDER = re.compile(r"--(\w+)=[A-Z_]+")  # the reader fills it in
MEDIA = runpy.run_path(str(pathlib.Path(__file__).parents[1] / "media_files.py"))
SPLITS = ("train",) * 4 + ("validation",) * 2 + ("test",) * 2
CLIPS = ("ClipSpec.frames = 4", "ClipSpec.image_size = 16")
SMALLER = {
    "pretrain": (
        *CLIPS, "STEPS = 2", "pretrain.batch_size = 2", "pretrain.shuffle_window = 8", "VATT.layers = 1", "VATT.width = 16",
        "VATT.heads = 2", "VATT.head_dim = 8", "VATT.feed_forward = 16", "VATT.word_dim = 8", "VATT.feature_dim = 16",
        "VATT.video_audio_dim = 12", "VATT.video_text_dim = 8",
    ),
    "finetune": (
        *CLIPS, "finetune.steps = 2", "finetune.batch_size = 2", "finetune.shuffle_window = 8",
        "finetune.evaluate_every_steps = 2",
    ),
}  # fmt: skip


def printed(page: pathlib.Path) -> list[tuple[str, list[str]]]:
    """The commands that a page prints."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".py":
        return commands_in(ast.get_docstring(ast.parse(text)) or "")
    return commands_in(re.sub(r"(?m)^# ?", "", text) if page.suffix == ".gin" else text)


def section(heading: str) -> str:
    """The README's text under a heading."""
    return (ROOT / "README.md").read_text(encoding="utf-8").partition(f"{heading}\n")[2].partition("\n## ")[0]


def without_sentence(word: str) -> str:
    """A word of a command without the marks, and without the bracket, of the sentence that it ends."""
    word = word.rstrip(".,;:")
    return word if word.count(")") <= word.count("(") else without_sentence(word.removesuffix(")"))


def commands_in(text: str) -> list[tuple[str, list[str]]]:
    """The programs that a text prints, with their arguments; comments after them and prompts before them are not part."""
    text = re.sub(r"\\?\n +(?=--)", " ", text)  # in a header a command continues without a backslash
    found = []
    for match in START.finditer(text):
        words = shlex.split(match[2].replace("\\\n", " "), comments=True)
        arguments = [without_sentence(word) for word in words if word.startswith("--") and word != "--help"]
        found.append((match[1].rstrip("."), arguments))
    return found


COMMANDS = [(page, program, arguments) for page in PAGES for program, arguments in printed(page) if arguments]
IDS = [f"{page.name}-{program}-{index}" for index, (page, program, _) in enumerate(COMMANDS)]
TRAINING = ("pretrain", "finetune", "classify", "compare_classifiers")
VALIDATED = ("folder", "kinetics400", "kinetics_sounds")  # have a validation split by default
TRAINED = sorted({page for page, program, _ in COMMANDS if program in TRAINING})


@pytest.fixture
def take(only_flags_of):
    """A function (program, arguments) -> the program's module, whose flags have the arguments' values."""

    def parse(program: str, arguments: list[str]):
        module = only_flags_of(f"experiments.{program}")
        getattr(module, "parse", flags.FLAGS)([program, *arguments])
        return module

    return parse


def test_commands_are_found():
    found = {program for _, program, _ in COMMANDS}
    assert len(COMMANDS) > 40 and {"pretrain", "prepare_data", "finetune", "embed"} <= found


@pytest.mark.parametrize("page, program, arguments", COMMANDS, ids=IDS)
def test_the_program_takes_what_is_printed(take, page, program, arguments):
    arguments = [word.replace("--dataset=NAME", "--dataset=folder") for word in arguments]
    to_fill_in = [word for word in arguments if PLACEHOLDER.fullmatch(word)]
    take(program, [word for word in arguments if word not in to_fill_in])
    assert {PLACEHOLDER.fullmatch(word)[1] for word in to_fill_in} <= set(flags.FLAGS)
    files = flags.FLAGS["gin_file"].value if "gin_file" in flags.FLAGS else []
    assert [file for file in files if file.startswith("configs/") and not (ROOT / file).exists()] == []


def asked_for(program: str) -> tuple[list[str], ClipSpec, bool]:
    """What the flags of a program that trains ask for: its data sets, the clips, and whether these have video."""
    files, bindings = flags.FLAGS.gin_file, flags.FLAGS.gin_bindings
    if program == "pretrain":
        pretrain = pretrain_config.parse(files, bindings)
        return list(pretrain.datasets), pretrain.clips, True
    if program == "finetune":
        finetune = finetune_config.parse(files, bindings, flags.FLAGS.checkpoint)
        return [finetune.dataset], finetune.clips, finetune.modality == "video"
    classify = classifier_config.parse(files, [*bindings, "classify.method = 'joint'"])
    return [classify.dataset], classify.clips, True


def stored(name: str, settings: dict) -> tfds.core.BuilderConfig:
    """The configuration of a data set that is prepared with these flags; its source is not looked at."""
    return dataset_builder(name).config_class()(**{key: settings[key] for key in settings if key != "source_dir"})


def require_fitting(name: str, config: tfds.core.BuilderConfig, clips: ClipSpec, video: bool) -> None:
    """Asks the reader whether it takes the records that the data set has, and compares lengths and sizes."""
    rates = dict(frames_per_second=config.frames_per_second, sample_rate_hz=config.sample_rate_hz, class_names=())
    prepared = PreparedDataset(name, name, {}, {}, {}, record_features(), **rates)
    ClipReader(prepared, clips, tokenizer=None, video=video)
    assert clips.clip_seconds <= config.clip_seconds
    assert not video or clips.image_size <= config.image_size_px


def has_validation(name: str, config: tfds.core.BuilderConfig) -> bool:
    """Whether there is a split that chooses a classifier's weights."""
    sizes = [getattr(config, f"validation_{size}", 0) for size in ("clips", "fraction")]
    return name in VALIDATED or any(sizes)


@pytest.mark.parametrize("page", TRAINED, ids=lambda page: str(page.relative_to(ROOT)))
def test_clips_fit_the_data_that_the_page_prepares(take, page):
    """What it does not prepare was prepared with the defaults."""
    settings = {}
    for program, arguments in printed(page):
        if program == "prepare_data" and "--dataset=NAME" not in arguments:
            take(program, arguments)
            name = flags.FLAGS.dataset
            settings[flags.FLAGS.data_dir, name] = flag_values(dataset_builder(name).config_class())
        elif program in TRAINING:
            take(program, arguments)
            if not flags.FLAGS.gin_file or "$(GIN_FILE)" in flags.FLAGS.gin_file:
                continue
            names, clips, video = asked_for(program)
            for name in names:
                config = stored(name, settings.get((flags.FLAGS.data_dir, name), {}))
                require_fitting(name, config, clips, video)
                assert program == "pretrain" or has_validation(name, config)


@pytest.fixture(scope="module")
def user(tmp_path_factory) -> pathlib.Path:
    """A directory with what the README starts from: a folder of videos with captions, labels, a text file of queries."""
    place = tmp_path_factory.mktemp("user")
    for number in range(8):
        frames, audio = MEDIA["moving_square"](30), MEDIA["tone"](440 + 40 * number, 3.0)
        MEDIA["write_media"](place / "my_videos" / f"{number}.mp4", frames, audio)
        cue = "1\n00:00:00,500 --> 00:00:02,500\na red square is moving\n"
        (place / "my_videos" / f"{number}.srt").write_text(cue)
    rows = [f"{number}.mp4,{'left' if number % 2 else 'right'},{split}" for number, split in enumerate(SPLITS)]
    (place / "labels.csv").write_text("\n".join(["file,labels,split", *rows]))
    (place / "queries.txt").write_text("a red square is moving\n")
    shutil.copytree(place / "my_videos", place / "clips", ignore=shutil.ignore_patterns("*.srt"))
    return place


def test_your_own_videos_from_files_to_an_exported_model(take, user, monkeypatch):
    """Bindings that shrink the model are added to what is printed, and the demo's run is the one just made."""
    monkeypatch.chdir(user)
    monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", lambda: None)  # it would stay on
    for heading in ("## Your own videos", "## Features, search and export", "## Fine-tuning on your labels"):
        for program, arguments in commands_in(section(heading)):
            arguments = [word.replace("runs/demo", "runs/mine") for word in arguments]
            smaller = [f"--gin_bindings={binding}" for binding in SMALLER.get(program, ())]
            module = take(program, [*arguments, *smaller])
            assert guarded(module.main, [program]) == 0, (program, arguments)
    made = ("runs/mine/report/index.html", "runs/tuned/result.json", "features.npz", "exported/saved_model.pb")
    assert [path for path in made if not (user / path).exists()] == []
