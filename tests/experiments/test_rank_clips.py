"""Which clips a model trusts: the scores against each clip's own tape, the table, the page, the order."""

import csv
import html.parser
import pathlib
import runpy
import shutil

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import flagsaver

import data
import vatt
from data.text.cues import Cue
from experiments.dataset_checks.ranking import COLUMNS, Ranking, is_ranking, write_csv
from experiments.inference.score_names import SCORES
from experiments.inference.trained_model import open_run
from experiments.pretraining.clip_weights import ClipWeights, read_tables
from experiments.running.command_line import _guarded as guarded

SETS = runpy.run_path(str(pathlib.Path(__file__).parents[1] / "stored_sets.py"))
EVIL = '<script>alert("&")</script>, a red "circle"'
CLIPS, BATCH = 10, 4
pytestmark = [pytest.mark.usefixtures("quick_graphs"), pytest.mark.slow]


def clips():
    """Ten clips of noise; one has no sound, one no captions, one neither."""
    words = ["a red circle", "the blue cross", EVIL, "it orbits", "green", "yellow triangle"]
    cues = [[Cue(words[number % 6], 0.0, 0.4), Cue(words[number % 5], 0.4, 0.8)] for number in range(CLIPS)]
    cues[3] = cues[7] = []
    silence = np.zeros(0, np.int16)
    options = {number: {"audio": silence} if number in (5, 7) else {"frames": 16} for number in range(CLIPS)}
    return [SETS["noise_clip"](f"clip {number}", cues[number], **options[number]) for number in range(CLIPS)]


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    directory = tmp_path_factory.mktemp("stored")
    SETS["write_set"](directory, {"train": clips()}, shards=2, sample_rate_hz=16000)
    return directory


@pytest.fixture
def rank(only_flags_of, trained_run, stored, capsys):
    """A function (**flags) -> exit code, stdout, stderr."""
    program = only_flags_of("experiments.rank_clips")

    def run(**values):
        values = {"workdir": str(trained_run), "dataset": "stored", "data_dir": str(stored)} | values
        with flagsaver.flagsaver(**{name: str(v) if isinstance(v, pathlib.Path) else v for name, v in values.items()}):
            code = guarded(program.main, ["rank_clips"])
        return code, *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def once():
    return {}


@pytest.fixture
def made(once, rank, tmp_path):
    """What was written and printed, made once: `rows` of the table, `page`, `output`."""
    if not once:
        code, output, _ = rank(output=tmp_path / "new" / "ranking", batch_size=BATCH, clips=2)
        assert code == 0
        files = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "new" / "ranking").iterdir()}
        assert files.keys() == {"clips.csv", "clips.html"}
        once |= {
            "rows": list(csv.DictReader(files["clips.csv"].splitlines())),
            "page": files["clips.html"],
            "output": output,
        }
    return once


@pytest.fixture
def expected(trained_run, stored):
    """Each clip's scores by NumPy and by a tape for the derivative of each of its losses."""
    run, prepared = open_run(str(trained_run)), data.open_dataset("stored", str(stored))
    (batch,) = data.eval_batches(prepared, "train", run.settings.clips, run.tokenizer, batch_size=CLIPS)
    outputs = run.model(batch)
    text, sound = batch["has_text"].numpy(), batch["has_audio"].numpy()
    unit = lambda x: x / np.linalg.norm(x, axis=-1, keepdims=True)  # noqa: E731
    fine, coarse = (tf.nest.map_structure(np.asarray, outputs[name]) for name in ("video_audio", "video_text"))
    scores = {name: np.full(CLIPS, np.nan) for name in SCORES}
    for row in range(CLIPS):
        if sound[row]:
            scores["video_audio_similarity"][row] = unit(fine["video"][row]) @ unit(fine["audio"][row])
        if text[row]:
            query = unit(coarse["text"][row, batch["text"].numpy()[row].any(axis=-1)]).mean(axis=0)
            scores["video_text_similarity"][row] = unit(coarse["video"][row]) @ unit(query)
    scores["summed_similarity"] = scores["video_audio_similarity"] + scores["video_text_similarity"]
    for members in ([0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 1]):  # the last batch is filled up
        own = gradients(run.model, outputs, batch, members)
        for place, row in enumerate(members):
            if text[row] and sound[row] and np.isnan(scores["feature_gradient_cosine"][row]):
                scores["feature_gradient_cosine"][row] = unit(own[0][place]) @ unit(own[1][place])
    return [clip_id.decode() for clip_id in batch["clip_id"].numpy()], scores


def gradients(model, outputs, batch, members):
    """Per objective, each clip's own gradient: a tape over the whole batch, of which its own row is taken."""
    features = {name: tf.gather(values, members) for name, values in outputs["features"].items()}
    some = {name: tf.gather(batch[name], members) for name in ("text", "has_text", "has_audio")}
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(features["video"])
        terms = [tf.unstack(values) for values, _ in vatt.clip_losses(model.head(features), some).values()]
    return [[tape.gradient(term, features["video"])[place].numpy() for place, term in enumerate(row)] for row in terms]


def test_scores_are_those_of_the_clips_own_embeddings_and_losses(made, expected):
    names, scores = expected
    rows = {row["clip_id"]: row for row in made["rows"]}
    assert len(made["rows"]) == CLIPS and set(rows) == set(names)
    for place, clip_id in enumerate(names):
        for name in SCORES:
            found = rows[clip_id][name]
            assert (found == "") == np.isnan(scores[name][place]), (clip_id, name)
            if found:
                assert float(found) == pytest.approx(scores[name][place], abs=2e-3), (clip_id, name)
    lacking = {"clip 3": 1, "clip 5": 1, "clip 7": 0}  # scores that are left
    for clip_id, left in lacking.items():
        assert sum(rows[clip_id][name] != "" for name in SCORES) == left


def test_the_table_is_sorted_with_unranked_clips_last(made):
    ranked, unranked = made["rows"][:7], made["rows"][7:]
    assert [row["rank"] for row in ranked] == [str(rank) for rank in range(1, 8)]
    sums = [float(row["summed_similarity"]) for row in ranked]
    assert sums == sorted(sums)
    assert {row["clip_id"] for row in unranked} == {"clip 3", "clip 5", "clip 7"} and not any(
        row["rank"] for row in unranked
    )
    evil = next(row for row in made["rows"] if row["clip_id"] == "clip 2")
    assert evil["captions"] == f"{EVIL} / {EVIL}" and evil["source"] == "clip 2.mp4"
    assert made["output"].splitlines()[0].split(None, 2)[2] == ranked[0]["clip_id"]
    assert "7 of 10 clips ranked by summed_similarity" in made["output"]


def test_program_and_page_explain_unranked_clips(made):
    note = (
        "3 clips have no summed_similarity and so no rank: 1 without sound, 1 without text, 1 without text and sound. "
        "More clips get a rank with --by=video_text_similarity (8 clips) or --by=video_audio_similarity (8 clips)."
    )
    assert note in made["output"].splitlines() and note in made["page"]


class Page(html.parser.HTMLParser):
    """Collects the cells of the table, the headings of the clips and the tags."""

    def __init__(self, page):
        super().__init__()
        self.open, self.cells, self.names, self.tags = [], [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self.cells[-1].append("")
        if tag not in ("img", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, text):
        if {"td", "th"} & set(self.open):
            self.cells[-1][-1] += text
        if self.open and self.open[-1] == "h3":
            self.names.append(text)


def test_the_page_is_self_contained_with_both_ends_and_the_table(made):
    page = Page(made["page"])
    assert page.cells[0] == [name.replace("_", " ") for name in COLUMNS]
    assert page.cells[1:] == [list(row.values()) for row in made["rows"]]
    kinds = [attributes.get("class") for tag, attributes in page.tags if tag == "td"]
    assert kinds == [None if name in ("clip_id", "source", "captions") else "number" for name in COLUMNS] * CLIPS
    assert page.names == [made["rows"][place]["clip_id"] for place in (0, 1, 6, 5)]
    images = [attributes["src"] for tag, attributes in page.tags if tag == "img"]
    assert len(images) == 4 * 4 and all(source.startswith("data:image/jpeg;base64,") for source in images)
    assert "<script>alert" not in made["page"] and "rank 1" in made["page"] and "gradients " in made["page"]
    assert "http" not in made["page"].replace("http://www.w3.org", "")


def test_another_score_decides_and_both_ends_are_listed(rank, made, tmp_path):
    code, output, _ = rank(output=tmp_path, batch_size=BATCH, by="video_audio_similarity", rows=2, clips=0)
    with (tmp_path / "clips.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert code == 0 and [row["rank"] for row in rows] == [*map(str, range(1, 9)), "", ""]
    before = {row["clip_id"]: row for row in made["rows"]}
    assert all(row[name] == before[row["clip_id"]][name] for row in rows for name in SCORES)
    page = Page((tmp_path / "clips.html").read_text(encoding="utf-8"))
    assert [line[0] for line in page.cells[1:]] == ["1", "2", "7", "8", "", ""] and not page.names
    assert "6 of 10 clips; clips.csv has all" in "".join((tmp_path / "clips.html").read_text())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"output": ""}, "--workdir, --data_dir and --output are needed"),
        ({"split": "test"}, "has no clips in the split 'test'"),
        ({"dataset": "nothing"}, "No prepared data set"),
        ({"workdir": "{here}"}, "should be the directory of a run"),
        ({"output": "{here}/file/deeper"}, "--output should be a directory"),
    ],
)
def test_bad_input(rank, tmp_path, values, message):
    (tmp_path / "file").write_text("")
    values = {"output": tmp_path / "out"} | {name: value.format(here=tmp_path) for name, value in values.items()}
    code, output, error = rank(**values)
    assert code == 2 and error.startswith("error: ") and message in error and not output
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_only_an_earlier_ranking_is_replaced(rank, tmp_path):
    table = tmp_path / "clips.csv"
    table.write_text("clip_id,start_seconds\nmine,0\n")
    code, _, error = rank(output=tmp_path)
    assert code == 2 and f"--output should be a new file, or one that this program wrote. {table} is" in error
    assert table.read_text() == "clip_id,start_seconds\nmine,0\n" and len(list(tmp_path.iterdir())) == 1
    write_csv(table, [], np.arange(0))
    assert is_ranking(table)


def test_a_damaged_record_is_named(rank, stored, tmp_path):
    copy = shutil.copytree(stored, tmp_path / "data")
    shard = sorted(copy.rglob("*train*tfrecord*"))[0]
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 0xFF
    shard.write_bytes(content)
    code, _, error = rank(data_dir=copy, output=tmp_path / "out", batch_size=BATCH)
    assert code == 1 and shard.name in error and "Traceback" not in error and not list(tmp_path.rglob("clips.*"))


def test_the_order():
    scores = dict.fromkeys(SCORES, np.array([0.5, np.nan, -0.5, 0.0, 0.5], np.float32)) | {
        "clip_id": np.arange(5).astype(str)
    }
    ranking = Ranking(scores, "summed_similarity")
    assert ranking.order.tolist() == [2, 3, 0, 4, 1] and ranking.ranked == 4
    assert [ranking.rank(row) for row in range(5)] == [3, None, 1, 2, 4]
    assert (ranking.worst(3), ranking.best(3), ranking.unranked(3)) == ([2, 3, 0], [4], [1])
    assert (ranking.worst(9), ranking.best(9)) == ([2, 3, 0, 4], [])


def test_the_explanation_of_unranked_clips_fits_the_score():
    def said(by: str, **scores) -> str:
        columns = dict.fromkeys(SCORES, [0.1, 0.2]) | scores
        return Ranking({name: np.array(values, np.float32) for name, values in columns.items()}, by).why_unranked()

    none, one = [np.nan, np.nan], [0.1, np.nan]
    mute = {"video_audio_similarity": none, "summed_similarity": none, "feature_gradient_cosine": none}
    assert said("summed_similarity") == said("video_text_similarity", **mute) == ""
    assert said("video_audio_similarity", **mute) == (
        "2 clips have no video_audio_similarity and so no rank: 2 without sound. "
        "More clips get a rank with --by=video_text_similarity (2 clips)."
    )
    assert "no rank: 1 without a gradient. More" in said("feature_gradient_cosine", feature_gradient_cosine=one)
    assert said("summed_similarity", **dict.fromkeys(SCORES, none)).endswith("no rank: 2 without text and sound.")


def test_a_long_transcript_is_shortened_in_the_table(tmp_path):
    ranking = Ranking({"clip_id": np.array(["a"]), **{name: np.zeros(1) for name in SCORES}}, "summed_similarity")
    transcript = (Cue("word " * 40_000, 0.0, 1.0),)
    clip = data.StoredClip("a", "a.mp4", 0.0, [], np.zeros(0, np.int16), transcript, ())
    write_csv(tmp_path / "clips.csv", [ranking.cells(0, clip)], ranking.order)
    (table,) = read_tables(str(tmp_path / "clips.csv"), ["set"]).values()
    assert table.weights.clip_ids == ("a",)


def test_the_table_tells_close_scores_apart_so_that_the_asked_share_is_dropped(tmp_path):
    clips = [data.StoredClip(f"{row:02}", "a.mp4", 0.0, [], np.zeros(0, np.int16), (), ()) for row in range(10)]
    scores = np.float32(0.12) + np.arange(10, dtype=np.float32) * np.float32(2e-6)
    ranking = Ranking({"clip_id": np.arange(10), **dict.fromkeys(SCORES, scores)}, "summed_similarity")
    write_csv(tmp_path / "clips.csv", map(ranking.cells, range(10), clips), ranking.order)
    for dropped in range(1, 10):
        weights = ClipWeights(str(tmp_path / "clips.csv"), by="summed_similarity", drop_share=dropped / 10)
        (table,) = read_tables(weights, ["set"]).values()
        assert (table.weights.text == 0.0).tolist() == [row < dropped for row in range(10)]


def test_a_table_that_cannot_be_written_whole_is_not_written(tmp_path):
    def lines():
        yield ["a"] * len(COLUMNS)
        raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        write_csv(tmp_path / "clips.csv", lines(), np.arange(2))
    assert not list(tmp_path.iterdir())
