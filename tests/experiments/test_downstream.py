"""The six downstream tasks, from small trees in the published layouts, against other libraries on the same features."""

import json
import pathlib
import runpy
import shutil

import numpy as np
import pytest
import tensorflow as tf
from scipy.spatial.distance import cdist
from scipy.stats import rankdata
from sklearn.metrics import top_k_accuracy_score
from sklearn.svm import LinearSVC

import data
from experiments import finetune_config
from experiments.command_line import BadInput
from experiments.downstream import DOWNSTREAM
from experiments.downstream_classification import constant_answer
from experiments.downstream_classifiers import LowRankClassifier
from experiments.downstream_windows import together
from experiments.evaluation import evaluate
from experiments.finetune_run import build_run
from experiments.result_grid import DOWNSTREAM as COLUMNS
from experiments.result_metrics import items
from experiments.result_table import format_table, rows
from experiments.run_directory import RunDirectory, operative_config
from experiments.trained_model import TrainedModel, open_run

TREES = runpy.run_path(str(pathlib.Path(__file__).parents[1] / "downstream_trees.py"))
BATCH = 20  # windows; no set is a multiple of the clips that this makes
EPOCHS = 2
WINDOWS = 4


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory) -> str:
    """The six sets, prepared by their builders."""
    directory = tmp_path_factory.mktemp("downstream")
    TREES["prepare_all"](directory / "source", directory / "data")
    return str(directory / "data")


@pytest.fixture(scope="module")
def directory(trained_run, tmp_path_factory) -> RunDirectory:
    """A copy of the run, not evaluated yet."""
    copy = RunDirectory(shutil.copytree(trained_run, tmp_path_factory.mktemp("runs") / "copy"))
    copy.result.unlink(missing_ok=True)
    return copy


@pytest.fixture(scope="module")
def run(directory) -> TrainedModel:
    return open_run(str(directory.path))


@pytest.fixture(scope="module")
def finetuned(directory, data_dir) -> RunDirectory:
    """A fine-tuning of the run on Kinetics-400 as if it had ended: other weights are the best than are the last."""
    bindings = [
        "finetune.modality = 'video'", "finetune.dataset = 'kinetics400'", "finetune.clips = @ClipSpec()",
        "ClipSpec.frames = 8", "ClipSpec.image_size = 32", "ClipSpec.sample_rate_hz = 16000",
    ]  # fmt: skip
    config = finetune_config.parse([], bindings, str(directory.path))
    prepared, there = data.open_dataset("kinetics400", data_dir), RunDirectory(directory.path / "kinetics400")
    state = build_run(config, tf.distribute.get_strategy(), len(prepared.class_names), False, config.checkpoint)
    there.start(operative_config(), {prepared.name: {"class_names": list(prepared.class_names)}}, None, False)
    there.write_model(state.model.backbone.get_config())
    state.model.classifier.kernel.assign(100 * state.model.classifier.kernel)
    tf.train.CheckpointManager(state.best_state, str(there.best), 1).save(8)
    state.model.classifier.kernel.assign(-state.model.classifier.kernel)
    tf.train.CheckpointManager(state.state, str(there.checkpoints), 1).save(12)
    there.write(there.result, "{}")
    return there


@pytest.fixture(scope="module")
def result(directory, finetuned, data_dir) -> dict:
    """All six tasks, evaluated once; the fine-tuning is found in the run's own directory."""
    found, notes = evaluate(directory, data_dir, tasks=list(DOWNSTREAM), batch_size=BATCH, epochs=EPOCHS)
    assert not notes and json.loads(directory.result.read_text()) == found
    return found


@pytest.fixture(scope="module")
def windows_of(run, data_dir):
    """A function (set, split, modality, windows) -> clips, all in one batch, and their windows' outputs by the model itself."""

    def embed(name, split, modality, windows):
        prepared, entry = data.open_dataset(name, data_dir), {"video": "video", "audio": "waveform"}[modality]
        batches = data.eval_batches(
            prepared, split, run.settings.clips, run.tokenizer, batch_size=100, windows=windows, video=modality == "video"
        )
        (batch,) = list(batches)
        views = [batch[entry]] if windows == 1 else tf.unstack(batch[entry], axis=1)
        return batch, [run.model({entry: view}) for view in views]

    return embed


@pytest.mark.parametrize(
    ("task", "modality", "splits", "train_clips"), [("ucf101", "video", 3, 18), ("hmdb51", "video", 3, 6), ("esc50", "audio", 5, 24)]
)
def test_frozen_features_agree_with_other_libraries(result, windows_of, task, modality, splits, train_clips):
    found, expected = result["tasks"][task], {"low_rank": {}, "svm": {}}
    low_rank = LowRankClassifier(16, 6, seed=1)
    for number in range(1, splits + 1):
        (learned, [middle]), (tested, views) = (
            windows_of(task, split, modality, windows) for split, windows in ((f"train{number}", 1), (f"test{number}", WINDOWS))
        )
        features, labels, answers = middle["features"][modality].numpy(), learned["label"].numpy(), tested["label"].numpy()
        low_rank.fit(features, labels, EPOCHS, "")
        svm = LinearSVC(C=6e-5, random_state=1).fit(features, labels)
        for name, classify in (("low_rank", low_rank.scores), ("svm", svm.decision_function)):
            scores = np.mean([classify(view["features"][modality].numpy()) for view in views], axis=0)
            tops = {f"top{k}": top_k_accuracy_score(answers, scores, k=k, labels=range(6)) for k in (1, 5)}
            expected[name][f"test{number}"] = {**tops, "items": 6, "train_clips": train_clips}
    for name, by_split in expected.items():
        assert found[name]["splits"] == by_split
        assert found[name]["top1"] == pytest.approx(np.mean([split["top1"] for split in by_split.values()]))
    assert (found["top1"], found["top5"]) == (found["low_rank"]["top1"], found["low_rank"]["top5"])
    assert found["items"] == 6 * splits and found["chance"] == {"top1": pytest.approx(1 / 6), "top5": pytest.approx(5 / 6)}


def test_every_clip_is_read_once_whatever_splits_it_is_in(data_dir):
    prepared = data.open_dataset("ucf101", data_dir)
    splits = [f"train{number}" for number in (1, 2, 3)]
    everything, found = together(prepared, splits)
    (name,) = everything.split_sizes
    assert everything.split_sizes[name] == 24 == len(set(everything.shard_paths[name])) * 6
    assert [len(set(found[split])) for split in splits] == [18, 18, 18]
    ids = {split: _clip_ids(prepared, split) for split in splits}
    together_ids = np.array(_clip_ids(everything, name))
    assert len(set(together_ids)) == 24
    assert {split: together_ids[found[split]].tolist() for split in splits} == ids


def _clip_ids(prepared, split):
    spec = data.ClipSpec(frames=1, image_size=8, sample_rate_hz=16000)
    return [clip_id.decode() for batch in data.eval_batches(prepared, split, spec, batch_size=50) for clip_id in batch["clip_id"].numpy()]


def brute_force(run, views, sentences, own):
    """Ranks by averaged embeddings and by averaged similarities, by SciPy alone."""
    windows = np.stack([view["video_text"]["video"].numpy() for view in views], axis=1)
    tokens = run.tokenizer(tf.constant(sentences))
    queries = run.model({"text": tokens[:, tf.newaxis]})["video_text"]["text"][:, 0].numpy()
    cosines = [1 - cdist(queries, windows.mean(axis=1), "cosine"), np.mean([1 - cdist(queries, w, "cosine") for w in windows.swapaxes(0, 1)], axis=0)]
    return [rankdata(-np.round(cosine, 6), method="max", axis=1)[np.arange(len(own)), own] for cosine in cosines]


def check_ranks(found, by_embedding, by_similarity, gallery):
    for figures, ranks in ((found, by_embedding), (found["similarities"], by_similarity)):
        assert [figures[f"r{k}"] for k in (1, 5, 10)] == [pytest.approx(np.mean(ranks <= k)) for k in (1, 5, 10)]
        assert figures["median_rank"] == np.median(ranks)
    assert (found["items"], found["gallery"]) == (len(by_embedding), gallery)
    assert found["chance"]["median_rank"] == (gallery + 1) / 2


def test_all_steps_of_youcook2_are_in_the_gallery(result, run, windows_of):
    """Seven clips in batches of five: the last two count as well."""
    batch, views = windows_of("youcook2", "validation", "video", WINDOWS)
    own = [int(clip_id.decode().rsplit("_", 1)[1]) for clip_id in batch["clip_id"].numpy()]
    assert sorted(own) == list(range(7))
    ranks = brute_force(run, views, [TREES["STEPS"][step] for step in own], np.arange(7))
    check_ranks(result["tasks"]["youcook2"], *ranks, gallery=7)
    assert len({*ranks[0]}) > 2


def test_the_listed_sentences_of_msrvtt_and_all_of_its_test_split(result, run, windows_of):
    found, sentences, queries = result["tasks"]["msrvtt"], TREES["SENTENCES"], TREES["QUERIES"]
    batch, views = windows_of("msrvtt", "test_1k_a", "video", WINDOWS)
    names = [name.decode() for name in batch["clip_id"].numpy()]
    check_ranks(found, *brute_force(run, views, [queries[name] for name in names], np.arange(3)), gallery=3)
    batch, views = windows_of("msrvtt", "test", "video", WINDOWS)
    names = [name.decode() for name in batch["clip_id"].numpy()]
    # The 1k-A sentence of a clip is one of its own, or one more.
    asked = {name: dict.fromkeys([*([queries[name]] if name in queries else []), *sentences[name]]) for name in names}
    own, texts = zip(*((place, text) for place, name in enumerate(names) for text in asked[name]), strict=True)
    assert len(texts) == 12
    check_ranks(found["test"], *brute_force(run, views, list(texts), np.array(own)), gallery=5)


def test_kinetics_is_scored_by_the_best_weights_in_twelve_views(result, finetuned, data_dir):
    found = result["tasks"]["kinetics400"]
    config = finetune_config.parse([str(finetuned.config)], [])
    prepared = data.open_dataset("kinetics400", data_dir)
    state = build_run(config, tf.distribute.get_strategy(), 6, False, config.checkpoint)
    state.best_state.read(tf.train.latest_checkpoint(str(finetuned.best))).assert_existing_objects_matched()
    (batch,) = list(data.eval_batches(prepared, "validation", config.clips, batch_size=9, windows=4, crops=3))
    logits = np.mean([state.model(view) for view in tf.unstack(batch["video"], num=12, axis=1)], axis=0)
    for k in (1, 5):
        assert found[f"top{k}"] == top_k_accuracy_score(batch["label"], logits, k=k, labels=range(6))
    assert (found["items"], found["views"], found["checkpoint"]) == (7, 12, "best/ckpt-8")
    assert found["chance"] == {"top1": 1 / 6, "top5": 5 / 6}


def test_a_checkpoint_of_the_finetuning_can_be_named(result, directory, finetuned, data_dir):
    last = f"{finetuned.path}/checkpoints/ckpt-12"
    found, _ = evaluate(directory, data_dir, tasks=["kinetics400"], finetuned=last)
    # The last weights are the best ones with the sign turned: what was the first answer is the last one.
    assert found["tasks"]["kinetics400"]["checkpoint"] == "checkpoints/ckpt-12"
    assert found["tasks"]["kinetics400"]["top5"] == pytest.approx(1 - _last_answers(result, finetuned, data_dir))


def _last_answers(result, finetuned, data_dir):
    """Share of the clips whose class has the largest logit by the best weights, but for the bias, which is zero."""
    return result["tasks"]["kinetics400"]["top1"]


def test_a_later_evaluation_keeps_what_others_have_found(result, directory, data_dir, noisy_data, tmp_path):
    copy = RunDirectory(shutil.copytree(directory.path, tmp_path / "copy"))
    own, _ = evaluate(copy, noisy_data, tasks=["retrieval"], batch_size=4)
    assert own["tasks"] == json.loads(directory.result.read_text())["tasks"] and own["retrieval"]["text_to_video"]["gallery"] == 11
    again, _ = evaluate(copy, data_dir, tasks=["youcook2"], batch_size=BATCH)
    assert again == own | {"tasks": own["tasks"] | {"youcook2": result["tasks"]["youcook2"]}}
    shutil.rmtree(copy.path / "kinetics400")
    kept, notes = evaluate(copy, data_dir, tasks=["kinetics400"])
    assert kept == again and "kinetics400 is left out" in notes[0]
    other = json.loads(copy.result.read_text()) | {"checkpoint": "another one"}
    copy.write(copy.result, json.dumps(other))
    anew, _ = evaluate(copy, data_dir, tasks=["kinetics400"])
    assert anew["tasks"] == {"kinetics400": None} and anew["retrieval"]["text_to_video"]["r1"] is None


def test_without_a_finetuning_kinetics_says_how_to_make_one(directory, data_dir, finetuned, tmp_path):
    bare = RunDirectory(shutil.copytree(directory.path, tmp_path / "bare", ignore=shutil.ignore_patterns("kinetics400", "result.json")))
    found, [note] = evaluate(bare, data_dir, tasks=["kinetics400"])
    assert found["tasks"] == {"kinetics400": None}
    assert f"--checkpoint={bare.path} --data_dir={data_dir} --workdir={bare.path}/kinetics400" in note
    assert "K400" in format_table(rows(found))
    with pytest.raises(BadInput, match=f"--finetuned should have started from {bare.path}. .* started from {directory.path}"):
        evaluate(bare, data_dir, tasks=["kinetics400"], finetuned=str(finetuned.path))


def test_what_the_finetuning_lacks_is_named(directory, data_dir, finetuned, tmp_path):
    ongoing = RunDirectory(shutil.copytree(finetuned.path, tmp_path / "ongoing"))
    ongoing.result.unlink()
    with pytest.raises(BadInput, match="should have come to its end.*no result.json"):
        evaluate(directory, data_dir, tasks=["kinetics400"], finetuned=str(ongoing.path))
    ongoing.write(ongoing.result, "{}")
    ongoing.write(ongoing.data, json.dumps({"folder": {"class_names": ["a", "b"]}}))
    with pytest.raises(BadInput, match="should have learned the 6 classes.* has learned other classes, 2 of kinetics400"):
        evaluate(directory, data_dir, tasks=["kinetics400"], finetuned=str(ongoing.path))
    with pytest.raises(BadInput, match=f"{directory.path} has .*|--finetuned should"):
        evaluate(directory, data_dir, tasks=["kinetics400"], finetuned=str(tmp_path / "nothing"))


def test_missing_sets_are_all_named_before_anything_is_done(directory, data_dir, tmp_path, monkeypatch):
    partly = tmp_path / "data"
    shutil.copytree(f"{data_dir}/youcook2", partly / "youcook2")
    monkeypatch.setattr("experiments.downstream_retrieval.Retrieval.__call__", lambda self: pytest.fail("it began"))
    with pytest.raises(BadInput) as error:
        evaluate(directory, str(partly), tasks=["youcook2", "ucf101", "esc50"])
    lines = str(error.value).splitlines()
    assert len(lines) == 2
    for name, line in zip(("ucf101", "esc50"), lines, strict=True):
        assert line.endswith(f"Prepare it first: python -m experiments.prepare_data --dataset={name} --data_dir={partly}")


def test_the_rate_of_the_frames_can_be_another_and_must_divide_the_records(result, directory, data_dir):
    with pytest.raises(BadInput, match="holds 10 frames/s, which is no whole multiple of the 4 asked for"):
        evaluate(directory, data_dir, tasks=["youcook2"], frames_per_second=4.0)
    found, _ = evaluate(directory, data_dir, tasks=["youcook2"], frames_per_second=5.0)
    assert found["tasks"]["youcook2"]["clip_seconds"] == 1.6 and result["tasks"]["youcook2"]["clip_seconds"] == 0.8


def test_the_papers_table_finds_its_figures(result):
    for name, column in COLUMNS.items():
        assert column.value(result) is not None and items(result, column) > 0, name


def test_the_printed_table_has_every_figure_with_its_items_and_its_chance(result):
    lines = format_table(rows(result)).splitlines()
    ucf, kinetics, youcook = (result["tasks"][name] for name in ("ucf101", "kinetics400", "youcook2"))
    place = lines.index("UCF101, linear classifiers on frozen features, mean of 3 splits, 18 test clips in all")
    assert lines[place + 1].split()[-4:] == f"{100 * ucf['top1']:.1f} % {100 / 6:.1f} %".split()
    assert lines[place + 3].split("  ")[1] == "linear SVM, top-1"
    assert f"K400, fine-tuned, 12 views of {kinetics['items']} clips" in lines
    place = lines.index("YouCook2, 7 sentences, 7 clips")
    assert lines[place + 4].split() == ["median", "rank", f"{youcook['median_rank']:g}", "4"]
    assert lines[place + 8].split()[-2:] == [f"{youcook['similarities']['median_rank']:g}", "4"]
    assert {"MSR-VTT, 3 sentences, 3 clips", "MSR-VTT test, all sentences, 12 sentences, 5 clips"} <= set(lines)


def test_the_best_constant_answer():
    labels = np.repeat([0, 2, 3, 4, 5, 7], [1, 4, 2, 2, 2, 1])
    assert constant_answer(labels) == {"top1": 4 / 12, "top5": 11 / 12}
