"""Tables of measured clips: which weights they give, what is refused, what the losses make of the weights."""

import csv
import hashlib

import numpy as np
import pytest
import tensorflow as tf

import vatt
from experiments.pretraining import config
from experiments.pretraining.clip_trust import FULL_TRUST, ClipTrust, with_measured_weights
from experiments.pretraining.clip_weights import ClipWeights, notes, read_tables
from experiments.running.command_line import BadInput
from experiments.running.plain_text import for_spreadsheet, from_spreadsheet

TEXT, SOUND = ClipWeights("t").columns
NAN, QUOTE = float("nan"), "'"


@pytest.fixture
def write(tmp_path):
    """A function (columns by name, **options) -> `ClipWeights` of a table of them; NaN leaves a cell empty."""

    def make(columns, name="clips.csv", **options):
        path = tmp_path / name
        with path.open("w", encoding="utf-8", newline="") as file:
            lines = csv.writer(file, lineterminator="\n")
            lines.writerow(columns)
            lines.writerows(
                ["" if cell != cell else cell for cell in line] for line in zip(*columns.values(), strict=True)
            )
        return ClipWeights(str(path), **options)

    return make


def five(text=(5, 1, 3, 2, 4), sound=(1, 2, NAN, 4, 5), **more):
    return {"clip_id": list("abcde"), TEXT: list(text), SOUND: list(sound), **more}


def read(chosen):
    (table,) = read_tables(chosen, ["set"]).values()
    return table


def test_each_similarity_drops_its_own_side_and_other_columns_both(write):
    table = read(write(five(), drop_share=0.4))
    assert table.weights.clip_ids == tuple("abcde")
    np.testing.assert_array_equal(table.weights.text, [1, 0, 1, 0, 1])
    np.testing.assert_array_equal(table.weights.audio, [0, 0, 1, 1, 1])  # of four with a score; without one it counts
    only = read(write(five(), by=TEXT, drop_below=3.0))
    np.testing.assert_array_equal(only.weights.text, [1, 0, 1, 0, 1])  # a score at the limit stays
    np.testing.assert_array_equal(only.weights.audio, np.ones(5))
    own = read(write(five(my_score=[1, 2, 3, 4, 5]), by="my_score"))  # 0.2 without any limit
    np.testing.assert_array_equal([own.weights.text, own.weights.audio], [[0, 1, 1, 1, 1]] * 2)
    both = read(write(five(my_score=[1, 2, 3, 4, 5]), by=("my_score", TEXT)))
    np.testing.assert_array_equal([both.weights.text, both.weights.audio], [[0, 0, 1, 1, 1], [0, 1, 1, 1, 1]])


def test_soft_weights_are_one_half_at_the_limit():
    places = (np.arange(1, 5) - 0.5) / 4
    found = ClipWeights("t", drop_share=0.375, softness=0.1).of_scores(np.array([30.0, 10, 20, 40, NAN]))
    expected = 1 / (1 + np.exp(-(places - 0.375) / 0.1))
    np.testing.assert_allclose(found, [*expected[[2, 0, 1, 3]], 1.0])
    assert found[2] == 0.5
    np.testing.assert_allclose(
        ClipWeights("t", drop_below=0.3, softness=0.1).of_scores(np.array([0.3, 0.5])), [0.5, 1 / (1 + np.exp(-2))]
    )


def test_soft_weights_drop_nothing_however_far_below_the_limit(write):
    table = read(write(five(my_score=[0, 1, 2, 3, 4]), by=("my_score", TEXT), drop_below=3.0, softness=1e-3))
    assert table.weights.text.min() > 0 and table.describe()["text"]["dropped"] == 0
    assert ClipWeights("t", drop_share=0.5, softness=1e-9).of_scores(np.arange(4.0))[0] == np.float32(1e-6)


def test_equal_scores_share_their_fate():
    np.testing.assert_array_equal(ClipWeights("t", drop_share=0.3).of_scores(np.array([1.0, 1, 1, 2])), [1, 1, 1, 1])
    np.testing.assert_array_equal(ClipWeights("t", drop_share=0.5).of_scores(np.array([1.0, 1, 1, 2])), [0, 0, 0, 1])


def test_the_description_counts_and_changes_with_the_table(write):
    chosen = write(five(), drop_share=0.4, by=TEXT)
    with open(chosen.path, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    tables = read_tables(chosen, ["set"])
    facts = tables["set"].describe()
    assert facts == {"sha256": digest, "clips": 5, "text": {"clips": 5, "dropped": 2, "mean_weight": 0.6}}
    told = "the text of 2 of 5 is dropped, mean weight 0.6."
    assert notes(tables) == [f"Clips of set, weighed by video_text_similarity: {told}"]
    assert read(write(five(text=(5, 1, 3, 2, 6)), drop_share=0.4, by=TEXT)).describe() != facts


def test_names_come_back_from_the_spreadsheets_form(write):
    ids = ["=sum", "'=sum", "''=sum", f"{2000 * QUOTE}=", 2000 * QUOTE, "-a_b", "+1", "'quoted", "é", "-"]
    assert len({*map(for_spreadsheet, ids)}) == len(ids)
    for clip_id in ids:
        assert from_spreadsheet(for_spreadsheet(clip_id)) == clip_id
    table = read(write({"clip_id": map(for_spreadsheet, ids), TEXT: range(len(ids))}, by=TEXT))
    assert table.weights.clip_ids == tuple(ids)


FAULTS = {
    "no file": (None, "should be a table that experiments.rank_clips wrote, clips.csv.*No such file"),
    "no column": ("clip_id,rank\na,1\n", "with the column video_text_similarity. Found clip_id, rank"),
    "empty": ("", "with the column clip_id. Found no columns"),
    "no number": (f"clip_id,{TEXT},{SOUND}\na,0.1,much\n", "Line 2 has 'much'"),
    "infinite": (f"clip_id,{TEXT},{SOUND}\na,inf,0.1\n", "Line 2 has 'inf'"),
    "short line": (f"clip_id,{TEXT},{SOUND}\na,0.1\n", "Line 2 lacks some"),
    "no name": (f"clip_id,{TEXT},{SOUND}\n,0.1,0.1\n", "Line 2 lacks some"),
    "twice": (f"clip_id,{TEXT},{SOUND}\na,1,1\nb,1,1\na,1,1\n", "list every clip once. Line 4 has 'a' again"),
    "no scores": (f"clip_id,{TEXT},{SOUND}\na,,\n", f"with a score by {TEXT}. Found none. Set `ClipWeights.by`"),
    "column twice": (f"clip_id,{TEXT},{SOUND},{TEXT}\na,1,1,1\n", f"every column once. Found {TEXT} twice"),
    "no table": (f'clip_id,{TEXT},{SOUND}\n"a,1,1\n', "is none after line 1: unexpected end"),
    "another sign": (f"clip_id;{TEXT};{SOUND}\na;1;1\n", "with the column clip_id. Found clip_id;"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_malformed_table_is_refused(tmp_path, fault):
    content, message = FAULTS[fault]
    path = tmp_path / "clips.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(BadInput, match=message) as caught:
        read(str(path))
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_table_that_leaves_nothing_is_refused(write):
    with pytest.raises(BadInput, match="drops the text of all 5"):
        read(write(five(), by=TEXT, drop_below=9.0))
    # Clips that have no text are no rest; nor are weights that training takes for 0.
    with pytest.raises(BadInput, match="drops the text of all 2 that have one"):
        read(write(five(text=(5, NAN, NAN, 2, NAN)), by=TEXT, drop_below=9.0))
    with pytest.raises(BadInput, match="drops the sound of all 4 that have one"):
        read(write(five(), by=SOUND, drop_below=30.0, softness=0.1))
    with pytest.raises(BadInput, match="drops the text of all 1 that have one"):
        read(write(five(text=(NAN, 1, NAN, NAN, NAN), mine=(5, 1, 5, 5, 5)), by="mine", drop_below=2.0))


def test_a_side_that_no_clip_has_is_left_alone(write):
    table = read(write(five(text=[NAN] * 5), drop_share=0.4))
    assert set(table.scores) == {SOUND}
    np.testing.assert_array_equal(table.weights.text, np.ones(5))
    assert (
        table.describe()["sound"] == {"clips": 4, "dropped": 2, "mean_weight": 0.5} and "text" not in table.describe()
    )
    both = read(write(five(text=[NAN] * 5, mine=[1, 2, 3, 4, 5]), by="mine"))
    assert both.describe()["text"] == {"clips": 0, "dropped": 0, "mean_weight": None}
    assert notes({"set": both}) == ["Clips of set, weighed by mine: the sound of 1 of 4 is dropped, mean weight 0.75."]
    with pytest.raises(BadInput, match=f"with a score by {TEXT}. Found none"):
        read(write(five(text=[NAN] * 5), by=TEXT))


@pytest.mark.parametrize(
    ("bindings", "message"),
    [
        (["drop_share = 1.0"], r"`ClipWeights.drop_share` should be at least 0 and below 1\. Found 1\.0"),
        (["drop_share = 0.1", "drop_below = 0.0"], "should have `drop_share` or `drop_below`. Found both"),
        (["path = ''"], "should name a table"),
        (["by = ()"], "should name a column"),
        (["path = {'other': 'b.csv'}"], "should have tables of synthetic. Found one of other"),
        (["softness = -1.0"], "at least 0. Found -1.0"),
    ],
)
def test_wrong_options_are_refused(tiny_run, bindings, message):
    options = ["path = 'clips.csv'", *bindings]
    bound = [*tiny_run, "pretrain.clip_weights = @ClipWeights()", *(f"ClipWeights.{each}" for each in options)]
    with pytest.raises(BadInput, match=message):
        config.parse([], bound)


def test_a_mixture_needs_a_table_by_name(tiny_run, write):
    mixture = [*tiny_run, "pretrain.datasets = ('one', 'two')"]
    with pytest.raises(
        BadInput, match="should map the data sets of a mixture to their tables, such as {'one': 'clips.csv'}"
    ):
        config.parse([], [*mixture, "pretrain.clip_weights = 'clips.csv'"])
    path = {"two": write(five()).path}
    settings = config.parse([], [*mixture, "pretrain.clip_weights = @ClipWeights()", f"ClipWeights.path = {path}"])
    assert read_tables(settings.clip_weights, settings.datasets).keys() == {"two"}


def test_weights_enter_their_own_losses():
    terms = {
        "video_audio": (tf.constant([1.0, 2, 3]), tf.constant([True] * 3)),
        "video_text": (tf.constant([4.0, 5, 0]), tf.constant([True, True, False])),
    }
    clips = {"audio_weight": tf.constant([1.0, 0.5, 1]), "text_weight": tf.constant([0.5, 1.0, 1])}
    trust = with_measured_weights(FULL_TRUST, clips, terms)
    losses = vatt.mean_losses(terms, trust.weights)
    assert float(losses["video_audio"]) == pytest.approx(5 / 3) and float(losses["video_text"]) == pytest.approx(3.5)
    assert {name: float(value) for name, value in trust.losses.items()} == {"video_audio": 2.0, "video_text": 4.5}
    curriculum = ClipTrust(tf.constant([0.0, 1, 1]), True, {"video_audio": tf.constant(9.0)}, {})
    both = with_measured_weights(curriculum, clips, terms)
    np.testing.assert_array_equal(both.weights["video_text"], [0.0, 1, 1])
    assert both.losses is curriculum.losses and with_measured_weights(FULL_TRUST, {}, terms) is FULL_TRUST
