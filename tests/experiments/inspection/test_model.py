"""What a notebook shows of a run: against NumPy, the run's own files, and the planted truth."""

import io

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

import data
from experiments.inference.trained_model import open_run
from experiments.inspection import clips as inspection_clips
from experiments.inspection import model as inspection
from experiments.inspection import plots as inspection_plots
from experiments.reports.plots import MISALIGNED
from experiments.running.run_directory import RunDirectory

pytestmark = [pytest.mark.usefixtures("quick_graphs"), pytest.mark.slow]


@pytest.fixture(scope="module")
def run(trained_run):
    return open_run(str(trained_run))


@pytest.fixture(scope="module")
def prepared(noisy_data):
    return data.open_dataset("synthetic", noisy_data)


@pytest.fixture(scope="module")
def embedded(run, prepared):
    return inspection_clips.embed_split(run, prepared, "test", batch_size=4)


@pytest.fixture(scope="module")
def scored(run, prepared):
    return inspection_clips.score_split(run, prepared, "validation", batch_size=8)


def test_parameters_are_all_of_the_model_and_add_up_to_its_layers(run):
    parameters, layers = inspection.parameters(run.model), inspection.layers(run.model)
    weights = np.concatenate([variable.numpy().ravel() for variable in run.model.trainable_variables])
    assert sum(row.count for row in parameters) == sum(row.count for row in layers) == weights.size
    assert sum(row.share for row in layers) == pytest.approx(1)
    assert [row.layer for row in layers] == list(dict.fromkeys(row.layer for row in parameters))
    for layer in layers:
        mine = [row for row in parameters if row.layer == layer.layer]
        assert layer.variables == len(mine) and layer.count == sum(np.prod(row.shape) for row in mine)
        assert layer.norm == pytest.approx(np.sqrt(sum(row.norm**2 for row in mine)), rel=1e-5)
        assert layer.mean == pytest.approx(
            np.average([row.mean for row in mine], weights=[row.count for row in mine]), abs=1e-6
        )
        assert layer.std**2 == pytest.approx(layer.norm**2 / layer.count - layer.mean**2, rel=1e-3)
    assert "block_0" in {row.layer for row in layers}
    assert not any(character.isdigit() for row in parameters for character in row.name.split("/")[-1])


def test_short_names_do_not_depend_on_what_was_built_before():
    assert inspection.short_name("vatt_3/block_0/dense_17/kernel:0") == "dense/kernel"


def test_the_state_before_the_first_step_is_drawn_anew_exactly(run):
    start = inspection.untrained(run)  # the run of the fixture saved its initial weights
    assert start.step == 0 and start.model is not run.model
    for change in inspection.changes(start.model, run.model):
        assert change.relative_change == 0.0 and change.norm_before == change.norm_after
        assert change.cosine == pytest.approx(1)
    moved = start.model.encoders["video"].blocks[0].trainable_variables
    for variable in moved:
        variable.assign(variable * 1.5)
    found = {change.layer: change for change in inspection.changes(run.model, start.model)}
    assert found["block_0"].relative_change == pytest.approx(0.5, rel=1e-5)
    assert found["block_0"].norm_after == pytest.approx(1.5 * found["block_0"].norm_before, rel=1e-5)
    assert [name for name, change in found.items() if change.relative_change] == ["block_0"]


def test_conflicts_are_means_over_steps(trained_run):
    found = {row.layer: row for row in inspection.conflicts(RunDirectory(trained_run).read_metrics())}
    assert found["block_0"].mean_cosine == pytest.approx((10 * 0.5 - 20 * 0.25) / 30)
    assert found["block_0"].conflict_share == pytest.approx(20 / 30)
    assert found["head_video_hidden"].conflict_share == pytest.approx(9 / 28)  # two steps had no cosine
    assert np.isnan(found["audio_patches"].mean_cosine) and np.isnan(found["audio_patches"].conflict_share)
    assert found["audio_patches"][3:] == pytest.approx((0.1, 0.0))
    assert inspection.conflicts([]) == []


def test_checkpoints_come_by_step(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    for name in ("ckpt-1000.index", "ckpt-200.index", "ckpt-200.data-00000-of-00001", "checkpoint"):
        (tmp_path / "checkpoints" / name).write_text("")
    assert inspection.checkpoints(str(tmp_path)) == {
        step: str(tmp_path / "checkpoints" / f"ckpt-{step}") for step in (200, 1000)
    }


def test_tables_are_markdown():
    rows = [inspection.Parameter("a_layer", "x|y", (2, 3), 6000, 0.25, float("nan"), 1.0)]
    lines = inspection.markdown(rows, {"mean": "+.1f"}).splitlines()
    assert lines[0] == "| layer | name | shape | count | mean | std | norm |"
    assert lines[1:] == [
        "| --- | --- | --- | --: | --: | --: | --: |",
        "| a_layer | x\\|y | 2 × 3 | 6,000 | +0.2 | - | 1 |",
    ]
    assert inspection.markdown(rows, summary="more").startswith("<details><summary>more</summary>\n\n| layer")


def test_facts_and_configuration_are_the_runs(run, trained_run):
    facts = dict(inspection.facts(run))
    assert facts["checkpoint"].endswith(", step 30 of 40") and facts["method"].startswith("both")
    text = inspection.config_text(trained_run)
    assert "VATT.width = 16" in text and "#" not in text


def test_spaces_are_measured_against_values_by_hand():
    eye = np.eye(3, dtype=np.float32)
    arrays = {
        "video_text_video": 2 * eye, "video_text_text": np.stack([eye[0], eye[2], eye[2]]), "has_text": np.ones(3, bool),
        "video_audio_video": eye, "video_audio_audio": eye, "has_audio": np.zeros(3, bool),
    }  # fmt: skip
    (found,) = inspection_clips.space_facts("now", arrays)
    assert found[:2] == ("now", "video-text") and found.clips == 3
    assert found.own_cosine == pytest.approx(2 / 3) and found.others_cosine == pytest.approx(1 / 6)
    assert found.r1 == pytest.approx(2 / 3) and found.r10 == 1 and found.median_rank == 1


def test_a_sentence_finds_the_clips_nearest_to_it(run, prepared, embedded):
    sentences = ["a red ball bounces", "the blue cross"]
    found = inspection_clips.nearest_clips(run, embedded, sentences, count=3)
    query = run.model({"text": run.tokenizer(sentences)[None]})["video_text"]["text"][0].numpy()
    videos = embedded["video_text_video"]
    cosines = query @ videos.T / np.linalg.norm(query, axis=1)[:, None] / np.linalg.norm(videos, axis=1)
    for row, clips in zip(cosines, found, strict=True):
        assert list(clips) == np.argsort(-row)[:3].tolist()
        assert list(clips.values()) == pytest.approx(np.sort(row)[::-1][:3], abs=1e-5)
    cards = inspection_clips.read_cards(prepared, "test", {row: ["a note"] for row in found[0]})
    assert [card.clip_id for card in cards.values()] == embedded["clip_id"][list(found[0])].tolist()
    assert all(card.notes == ("a note",) and len(card.frames) == 4 for card in cards.values())


def test_a_search_with_weights_of_step_0_is_noted(run, embedded):
    note = inspection_clips.search_note(inspection.untrained(run), embedded, ["a red ball bounces"])
    assert "hardly trained (step 0, within its warm-up of 4 steps)" in note
    trained = inspection_clips.search_note(run, embedded, ["a red ball bounces"]) or ""
    assert "hardly trained" not in trained  # its recorded loss is low


def test_what_was_swapped_is_what_the_records_say(prepared, scored):
    records = tfds.builder_from_directory(prepared.directory).as_dataset(
        split="validation", decoders={"video": tfds.decode.SkipDecoding()}
    )
    truth = {r["clip_id"].numpy().decode(): (int(r["text_aligned"]), int(r["audio_aligned"])) for r in records}
    names = {(1, 1): "", (0, 1): "text", (1, 0): "sound", (0, 0): "text, sound"}
    assert scored.misaligned == [names[truth[clip_id]] for clip_id in scored.scores["clip_id"]]
    assert len(set(scored.misaligned)) > 2


def test_the_extremes_are_of_the_least_and_the_greatest_scores(scored):
    found = inspection_clips.extremes(scored, "summed_similarity", count=2)
    order = np.argsort(scored.scores["summed_similarity"]).tolist()
    assert [list(rows) for rows in found.values()] == [order[::-1][:2], order[:2]]
    for rows in found.values():
        for row, notes in rows.items():
            assert (f"{scored.misaligned[row]} swapped" in notes) == bool(scored.misaligned[row])
            assert f"text {scored.scores['video_text_similarity'][row]:+.2f}" in notes


def test_clips_are_drawn_with_frames_and_words(prepared):
    cards = inspection_clips.read_cards(prepared, "validation", {0: ["text swapped"], 2: ["cosine +0.10"]})
    figure = inspection_plots.clips_figure(list(cards.values()), "A title")
    assert sum(len(axes.images) for axes in figure.axes) == 8 and figure.get_suptitle() == "A title"
    texts = {text.get_text(): text for axes in figure.axes for text in axes.texts}
    assert texts["text swapped"].get_color() == MISALIGNED != texts["cosine +0.10"].get_color()
    assert any(next(iter(cards.values())).captions[0].text[:15] in text for text in texts)
    assert Image.open(io.BytesIO(inspection_plots.jpeg(figure))).format == "JPEG"
    silent = cards[0]._replace(outline=None, captions=(), frames=())
    texts = [text.get_text() for axes in inspection_plots.clips_figure([silent], "").axes for text in axes.texts]
    assert "no sound" in texts and "(no captions)" in texts


def test_scores_of_unknown_truth_are_drawn_without_it(scored):
    titles = {"summed_similarity": "the sum"}
    told = inspection_plots.scores_figure(scored.scores, scored.misaligned, titles)
    assert "The sum: AUC" in told.axes[0].get_title()
    untold = inspection_plots.scores_figure(scored.scores, [None] * len(scored.misaligned), titles)
    assert untold.axes[0].get_title() == "The sum"
    assert (
        sum(bar.get_height() for bar in untold.axes[0].patches) == np.isfinite(scored.scores["summed_similarity"]).sum()
    )


def test_embeddings_have_a_column_per_state_and_a_row_per_space(embedded):
    silent = {**embedded, "has_audio": np.zeros_like(embedded["has_audio"])}
    figure = inspection_plots.embeddings_figure({"before": embedded, "after": embedded})
    titles = [f"video and {other}, {state}" for other in ("audio", "text") for state in ("before", "after")]
    assert [axes.get_title() for axes in figure.axes] == titles
    first, second = (axes.collections[0].get_offsets() for axes in figure.axes[:2])
    np.testing.assert_array_equal(first, second)  # the projection is a function of the embeddings
    assert {axes.get_xlabel() for axes in figure.axes} == {"perplexity 7"}
    unmapped, mapped = inspection_plots.embeddings_figure({"now": silent}).axes
    assert [axes.get_title() for axes in (unmapped, mapped)] == ["video and audio, now", "video and text, now"]
    assert "space has no map" in unmapped.texts[0].get_text() and not unmapped.collections and mapped.collections


def test_layers_are_drawn_from_input_to_output(run, trained_run):
    values = inspection.layer_values(run.model)
    still = inspection.changes(run.model, run.model)
    records = RunDirectory(trained_run).read_metrics()
    for figure in (
        inspection_plots.weights_figure(values),
        inspection_plots.changes_figure({"first": still, "second": still}),
    ):
        names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
        assert names == [name.replace("_", " ") for name in values] and figure.axes[0].yaxis_inverted()
    bars = inspection_plots.conflicts_figure(inspection.conflicts(records)).axes[0].containers
    assert [[bar.get_width() for bar in container] for container in bars] == [[0.1] * 3, [0.0, 0.1, 0.1]]
    titles = [axes.get_title() for axes in inspection_plots.training_figure(records).axes]
    assert titles[:2] == ["Losses", "Cosine of the two gradients"] and len(titles) == len(inspection_plots.CURVES)
