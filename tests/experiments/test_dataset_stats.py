import html.parser
import json
import pathlib
import re
import runpy

import numpy as np
import pytest
from absl.testing import flagsaver

import data
from data.records.sources import SourceFacts, write_sources
from data.records.stored_clips import read_stored_clips, shards_of
from data.text.cues import Cue
from experiments.dataset_checks.contact_sheet import RandomClips
from experiments.running.command_line import _guarded as guarded

SETS = runpy.run_path(str(pathlib.Path(__file__).parents[1] / "stored_sets.py"))
noise_clip = SETS["noise_clip"]
EVIL = "<script>alert('&')</script>"


def clips():
    """Six training clips of five files, three test clips of which one shares a file: each irregularity once."""
    first = Cue("a cat and a dog", 0.0, 0.5)
    train = [
        noise_clip("long", [first, Cue("two words", 0.5, 0.8)], frames=16, label=1),
        noise_clip("large", [first], size=(64, 48)),
        noise_clip("mute", [first], audio=np.zeros(0, np.int16), label=1),
        noise_clip("silent", [], audio=np.zeros(6400, np.int16), label=-1),
        noise_clip("evil", [Cue(EVIL, 0.0, 0.5)]),
        noise_clip("evil2", []) | {"source": "evil.mp4", "start_seconds": 0.8},
    ]
    test = [
        noise_clip("test", [], label=1),
        noise_clip("shared", [], label=1) | {"source": "long.mp4"},
        noise_clip("blind", [], video=np.zeros((0, 1, 1, 3), np.uint8), label=1),
    ]
    return {"train": train, "test": test}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    directory = SETS["write_set"](
        tmp_path_factory.mktemp("stored"), clips(), shards=2, split_unions={"both": ["train", "test"]}
    )
    write_sources(str(directory), {"long.mp4": SourceFacts("id1", EVIL)})
    (directory / "prepare_report.json").write_text(json.dumps({"incomplete": {"long.mp4": EVIL}}))
    return directory


@pytest.fixture
def stats(only_flags_of, stored, capsys):
    """A function (**flags) -> exit code, stdout, stderr."""
    program = only_flags_of("experiments.dataset_stats")

    def run(**values):
        with flagsaver.flagsaver(**{"dataset": "stored", "data_dir": str(stored.parents[1])} | values):
            code = guarded(program.main, ["dataset_stats"])
        return code, *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def once():
    return []


@pytest.fixture
def made(once, stats, tmp_path):
    """The page and the figures that were written, and what was printed; made once."""
    if not once:
        code, output, _ = stats(output_dir=str(tmp_path / "here"))
        assert code == 0
        page, figures = ((tmp_path / "here" / f"stats.{suffix}").read_text() for suffix in ("html", "json"))
        once.extend((page, json.loads(figures), output))
    return once


def test_figures(made):
    _, figures, output = made
    assert {name: values["clips"] for name, values in figures.items()} == {"train": 6, "test": 3, "both": 9, "all": 9}
    train = figures["train"]
    assert train["hours"] == pytest.approx((1.6 + 5 * 0.8) / 3600)
    assert train["source_files"] == 5 and figures["both"]["source_files"] == 7
    assert train["clips_without"] == {"video": 0, "sound": 1, "captions": 2, "class": 1}
    assert figures["test"]["clips_without"] == {"video": 1, "sound": 0, "captions": 3, "class": 0}
    assert train["clips_with_silent_sound"] == 1
    assert train["captions"] == 5 and figures["test"]["captions"] == 0
    assert train["clips_per_class"] == {"cat": 3, "dog": 2} and figures["all"]["clips_per_class"] == {
        "cat": 3,
        "dog": 5,
    }
    assert train["clips_per_frame_size"] == {"64 x 48": 5, "48 x 64": 1}
    assert train["seconds_per_clip"]["median"] == 0.8 and train["seconds_per_clip"]["maximum"] == 1.6
    assert train["captions_per_clip"]["mean"] == pytest.approx(5 / 6)
    assert train["words_per_caption"]["minimum"] == 1 and train["words_per_caption"]["median"] == 5
    assert figures["test"]["words_per_caption"] is None
    assert train["loudness_db"]["median"] == pytest.approx(20 * np.log10(3000 / 32768), abs=0.2)
    assert "train: 6 clips, 0.00 hours, 5 files; 1 without sound, 2 without captions, 1 without class" in output


def test_files_in_two_splits_are_told(made):
    assert "train and test 1" in made[0]
    assert "train and both" not in made[0]


class Page(html.parser.HTMLParser):
    """Checks that every element is closed, and gathers what there is."""

    void = {"meta", "img", "br", "hr", "link", "input"}

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.sources = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes).get("class")))
        self.sources += [value for name, value in attributes if name in ("src", "href")]
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        self.seen.append((tag, dict(attributes).get("class")))


def test_the_page_needs_nothing_else_and_shows_the_clips(made):
    page = Page(made[0])
    assert page.seen.count(("article", "card clip")) == 9
    assert page.seen.count(("img", None)) == 8 * 4
    pictures = [source for source in page.sources if not source.startswith("#")]
    assert len(pictures) == 32 and all(source.startswith("data:image/jpeg;base64,") for source in pictures)
    assert EVIL not in made[0] and "&lt;script&gt;" in made[0]
    assert made[0].count("[id1]") == 2  # a file with two clips
    for text in (
        "Notes of preparation",
        "used in part",
        "no video",
        "no sound",
        "silent sound",
        "no captions",
        "a cat and a dog",
    ):
        assert text in made[0]


def test_which_clips_are_shown_depends_on_the_seed_alone(stored):
    prepared = data.open_dataset("stored", str(stored.parents[1]))
    passing = [(clip, shard.split) for shard in shards_of(prepared) for clip in read_stored_clips(shard)]

    def shown(clips, seed=0, count=4):
        chosen = RandomClips(count, seed)
        for clip, split in clips:
            chosen.offer(clip, split, prepared)
        return [card.clip_id for card in chosen.cards()]

    first = shown(passing)
    assert len(set(first)) == 4 and shown(passing[::-1]) == first
    assert shown(passing, seed=1) != first
    assert shown(passing, count=3) == first[:3] and len(shown(passing, count=20)) == 9 and shown(passing, count=0) == []


def test_the_result_goes_beside_the_records(stats, stored, monkeypatch):
    monkeypatch.setattr("experiments.dataset_checks.page.histograms", lambda summary: [])
    monkeypatch.setattr("experiments.dataset_checks.page.class_bars", lambda counts, names: "")
    code, output, _ = stats(clips=0)
    assert code == 0 and f"page: {stored}/stats.html" in output
    assert "A look at" not in (stored / "stats.html").read_text() and (stored / "stats.json").exists()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (dict(dataset=None), "--dataset and --data_dir are needed"),
        (dict(dataset="other"), "No prepared data set"),
    ],
)
def test_bad_input(values, reason, stats):
    code, output, errors = stats(**values)
    assert code == 2 and re.match(f"error: .*{reason}", errors) and not output


def test_a_damaged_record_is_told(stats, tmp_path):
    directory = SETS["write_set"](tmp_path, {"train": [noise_clip("one"), noise_clip("two")]})
    (shard,) = directory.glob("*tfrecord*")
    content = bytearray(shard.read_bytes())
    content[len(content) // 4] ^= 1
    shard.write_bytes(content)
    code, _, errors = stats(data_dir=str(tmp_path))
    assert code == 2 and shard.name in errors and "check_data" in errors


def test_a_result_that_cannot_be_written_is_told(stats, tmp_path, monkeypatch):
    monkeypatch.setattr("experiments.dataset_checks.page.build_page", lambda *parts: "page")
    (tmp_path / "file").write_text("")
    code, _, errors = stats(output_dir=str(tmp_path / "file" / "below"))
    assert code == 1 and "cannot be written" in errors
