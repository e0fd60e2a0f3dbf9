"""The six downstream tasks, from small trees in the published layouts, against other libraries on the same features."""

import dataclasses
import json
import pathlib
import re
import runpy
import shutil
import sys
import types

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import top_k_accuracy_score
from sklearn.svm import LinearSVC

import data
from experiments.evaluation.all_tasks import TASKS
from experiments.evaluation.evaluate import evaluate, open_tasks
from experiments.evaluation.feature_classifiers import LowRankClassifier
from experiments.evaluation.metrics import PAPER_COLUMNS
from experiments.evaluation.result import Found, add_to_result, read_arrays
from experiments.evaluation.settings import Settings
from experiments.evaluation.table import format_table, rows
from experiments.evaluation.task import DownstreamTask
from experiments.evaluation.tasks import DOWNSTREAM_TASKS, OWN_TASKS
from experiments.evaluation.windows import together
from experiments.finetuning import config as finetune_config
from experiments.finetuning.run import FinetuneRun, build_run
from experiments.inference.trained_model import TrainedModel, open_run
from experiments.running import command_line
from experiments.running.command_line import BadInput
from experiments.running.run_directory import RunDirectory, operative_config

COUNTS = runpy.run_path(str(pathlib.Path(__file__).with_name("independent_counts.py")))
part_of, check_zero_shot, brute_force, check_backwards, check_ranks = (
    COUNTS[name] for name in ("part_of", "check_zero_shot", "brute_force", "check_backwards", "check_ranks")
)
TREES = runpy.run_path(str(pathlib.Path(__file__).parents[2] / "downstream_trees.py"))
BATCH = 20  # windows; no set is a multiple of the clips that this makes
EPOCHS = 2
WINDOWS = 4
pytestmark = [pytest.mark.usefixtures("quick_graphs"), pytest.mark.slow]


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
def low_rank() -> LowRankClassifier:
    return LowRankClassifier(16, 6, seed=1)


@pytest.fixture(scope="module")
def settings(run, data_dir):
    """A function (changes) -> what all tasks are given."""
    return lambda **changes: Settings(**{"run": run, "data_dir": data_dir} | changes)


@pytest.fixture(scope="module")
def best(directory, data_dir) -> FinetuneRun:
    """A fine-tuning of the run on Kinetics-400 as if it had ended; the weights that it holds are the best, not the last ones."""
    bindings = [
        "finetune.modality = 'video'", "finetune.dataset = 'kinetics400'", "finetune.clips = @ClipSpec()",
        "ClipSpec.frames = 4", "ClipSpec.image_size = 32", "ClipSpec.sample_rate_hz = 16000",
    ]  # fmt: skip
    config = finetune_config.parse([], bindings, str(directory.path))
    prepared, there = data.open_dataset("kinetics400", data_dir), RunDirectory(directory.path / "kinetics400")
    state = build_run(config, tf.distribute.get_strategy(), len(prepared.class_names), False, config.checkpoint)
    there.start(operative_config(), {prepared.name: {"class_names": list(prepared.class_names)}}, None, False)
    there.write_model(state.model.backbone.get_config())
    tf.train.CheckpointManager(state.state, str(there.checkpoints), 1).save(12)
    state.model.classifier.kernel.assign(-100 * state.model.classifier.kernel)
    tf.train.CheckpointManager(state.best_state, str(there.best), 1).save(8)
    there.write(there.result, "{}")
    return state


@pytest.fixture(scope="module")
def finetuned(directory, best) -> RunDirectory:
    """Where `best` has its checkpoints: where it is looked for."""
    return RunDirectory(directory.path / "kinetics400")


@pytest.fixture(scope="module")
def result(quick_graphs, directory, run, finetuned, data_dir) -> dict:
    """All six tasks, evaluated once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("experiments.evaluation.evaluate.open_run", {str(directory.path): run}.get)
        found, notes = evaluate(directory, data_dir, tasks=list(DOWNSTREAM_TASKS), batch_size=BATCH, epochs=EPOCHS)
    assert not notes and json.loads(directory.result.read_text()) == found
    return found


@pytest.fixture(scope="module")
def outputs_of(run, data_dir):
    """A function (set, modality, windows) -> clip id -> label and the model's own outputs of the clip's windows, all clips."""

    def embed(name, modality, windows):
        prepared, entry = data.open_dataset(name, data_dir), {"video": "video", "audio": "waveform"}[modality]
        files = sorted(str(path) for path in pathlib.Path(prepared.directory).glob("*.tfrecord*"))
        lengths = {
            path: length
            for split, paths in prepared.shard_paths.items()
            for path, length in zip(paths, prepared.shard_lengths[split], strict=True)
        }
        everything = dataclasses.replace(
            prepared,
            split_sizes={"all": 1},
            shard_paths={"all": files},
            shard_lengths={"all": [lengths[path] for path in files]},
        )
        options = dict(batch_size=100, windows=windows, video=modality == "video")
        (batch,) = list(data.eval_batches(everything, "all", run.settings.clips, run.tokenizer, **options))
        flat = tf.reshape(batch[entry], [-1, *run.model.input_shapes[entry]])
        outputs = tf.nest.map_structure(lambda values: np.split(values, len(batch["label"])), run.model({entry: flat}))
        return {
            clip_id.decode(): (
                int(label),
                {space: found[modality][row] for space, found in outputs.items() if modality in found},
            )
            for row, (clip_id, label) in enumerate(zip(batch["clip_id"].numpy(), batch["label"].numpy(), strict=True))
        }

    return embed


@pytest.mark.parametrize(
    ("task", "modality", "splits", "train_clips"),
    [("ucf101", "video", 3, 18), ("hmdb51", "video", 3, 6), ("esc50", "audio", 5, 24)],
)
def test_frozen_features_agree_with_other_libraries(
    result, run, data_dir, outputs_of, low_rank, task, modality, splits, train_clips
):
    found, expected = result["tasks"][task], {"low_rank": {}, "svm": {}}
    middles, windows = outputs_of(task, modality, 1), outputs_of(task, modality, WINDOWS)
    for split in range(1, splits + 1):
        # In the order of the files, which that of the training follows.
        files = [clip_id for clip_id in windows if part_of(task, clip_id, split) == "test"]
        learned = [middles[clip_id] for clip_id in middles if part_of(task, clip_id, split) == "train"]
        labels, outputs = zip(*learned, strict=True)
        features, labels = np.concatenate([found_in["features"] for found_in in outputs]), np.array(labels)
        answers, tested = zip(*(windows[clip_id] for clip_id in files), strict=True)
        low_rank.fit(features, labels, EPOCHS, "")
        svm = LinearSVC(C=6e-5, random_state=1).fit(features, labels)
        for name, classify in (("low_rank", low_rank.scores), ("svm", svm.decision_function)):
            scores = [classify(outputs["features"]).mean(axis=0) for outputs in tested]
            tops = {f"top{k}": top_k_accuracy_score(answers, scores, k=k, labels=range(6)) for k in (1, 5)}
            expected[name][f"test{split}"] = {**tops, "items": 6, "train_clips": train_clips}
    for name, by_split in expected.items():
        assert found[name]["splits"] == by_split
        assert found[name]["top1"] == pytest.approx(np.mean([split["top1"] for split in by_split.values()]))
    assert (found["top1"], found["top5"]) == (found["low_rank"]["top1"], found["low_rank"]["top5"])
    names = data.open_dataset(task, data_dir).class_names
    check_zero_shot(found["zero_shot"], run, names, task, modality, splits, windows)
    chance = {"top1": pytest.approx(1 / 6), "top5": pytest.approx(5 / 6), "items": 6 * splits}
    assert found["items"] == 6 * splits and found["chance"] == chance


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
    (batch,) = list(data.eval_batches(prepared, split, spec, batch_size=50, video=False))
    return [clip_id.decode() for clip_id in batch["clip_id"].numpy()]


def test_all_steps_of_youcook2_are_in_the_gallery(result, run, outputs_of):
    """Seven clips in batches of five: the last two count as well."""
    outputs = outputs_of("youcook2", "video", WINDOWS)
    asked = [(f"abcdefghijk_{step}", sentence) for step, sentence in enumerate(TREES["STEPS"])]
    ranks = brute_force(run, outputs, asked)
    check_ranks(result["tasks"]["youcook2"], *ranks, gallery=7)
    assert len({*ranks[0]}) > 2
    check_backwards(result["tasks"]["youcook2"]["video_to_text"], run, outputs, asked)


def test_the_listed_sentences_of_msrvtt_and_all_of_its_test_split(result, run, outputs_of):
    found, sentences, queries = result["tasks"]["msrvtt"], TREES["SENTENCES"], TREES["QUERIES"]
    outputs = outputs_of("msrvtt", "video", WINDOWS)
    listed = {name: outputs[name] for name in queries}
    check_ranks(found, *brute_force(run, listed, list(queries.items())), gallery=3)
    # The sentence of the list 1k-A is one of a clip's own, or one more.
    asked = [(name, text) for name in outputs for text in {queries.get(name, sentences[name][0]), *sentences[name]}]
    assert len(asked) == 12 == found["test"]["items"]
    check_ranks(found["test"], *brute_force(run, outputs, asked), gallery=5)
    check_backwards(found["test"]["video_to_text"], run, outputs, asked)


def test_kinetics_is_scored_by_the_best_weights_in_twelve_views(result, best, data_dir):
    found, prepared = result["tasks"]["kinetics400"], data.open_dataset("kinetics400", data_dir)
    (batch,) = list(data.eval_batches(prepared, "validation", best.config.clips, batch_size=9, windows=4, crops=3))
    views = tf.reshape(batch["video"], [-1, *best.config.clip_shape])
    logits = best.model(views).numpy().reshape(7, 12, 6).mean(axis=1)
    for k in (1, 5):
        assert found[f"top{k}"] == top_k_accuracy_score(batch["label"], logits, k=k, labels=range(6))
    assert (found["items"], found["views"], found["checkpoint"]) == (7, 12, "best/ckpt-8")
    assert found["chance"] == {"top1": 2 / 7, "top5": 6 / 7, "items": 7}  # seven clips of six classes


def test_a_checkpoint_of_the_finetuning_can_be_named(settings, finetuned):
    last = f"{finetuned.path}/checkpoints/ckpt-12"
    assert TASKS["kinetics400"].open(settings(finetuned=last)).checkpoint == last


def test_another_evaluation_keeps_what_others_have_found(result, run, directory, tmp_path):
    copy = RunDirectory(shutil.copytree(directory.path, tmp_path / "copy"))
    own = {"retrieval": {"text_to_video": {"r1": 0.5}}}
    first = add_to_result(copy, run, Found("synthetic", own, {"rank": np.arange(3)}, {}))
    assert result["evaluated"] == [] and first == result | own | {"evaluated": ["retrieval"]}
    second = add_to_result(copy, run, Found("synthetic", {"alignment": {"auc": {}}}, {"label": np.arange(2)}, {}))
    both = {"alignment": {"auc": {}}, "evaluated": ["retrieval", "alignment"]}
    assert second == first | both and set(read_arrays(copy)) == {"rank", "label"}
    downstream = {"youcook2": {"r1": 1.0}, "kinetics400": None}
    third = add_to_result(copy, run, Found("never opened", {}, {}, downstream))
    kept = {"kinetics400": result["tasks"]["kinetics400"]}
    assert third == second | {"tasks": result["tasks"] | downstream | kept} == json.loads(copy.result.read_text())
    other_set = add_to_result(copy, run, Found("another", own, {}, {}))
    assert other_set == third | {
        "dataset": "another",
        "alignment": None,
        "evaluated": ["retrieval"],
    } and not read_arrays(copy)


def test_a_killed_evaluation_keeps_the_tasks_that_are_done(result, run, directory, data_dir, monkeypatch, tmp_path):
    def killed():
        raise KeyboardInterrupt

    copy = RunDirectory(shutil.copytree(directory.path, tmp_path / "copy"))
    copy.result.unlink()
    tasks = {"esc50": lambda: result["tasks"]["esc50"], "ucf101": killed}
    monkeypatch.setattr("experiments.evaluation.evaluate.open_run", lambda _: run)
    monkeypatch.setattr("experiments.evaluation.evaluate.open_tasks", lambda *_: tasks)
    with pytest.raises(KeyboardInterrupt):
        evaluate(copy, data_dir, tasks=list(tasks))
    assert json.loads(copy.result.read_text())["tasks"] == {"esc50": result["tasks"]["esc50"]}


def test_another_checkpoint_starts_anew(result, run, directory, tmp_path):
    copy = RunDirectory(shutil.copytree(directory.path, tmp_path / "copy"))
    copy.write(copy.result, json.dumps(result | {"checkpoint": "another", "alignment": {"auc": {}}}))
    anew = add_to_result(copy, run, Found("synthetic", {}, {}, {"kinetics400": None}))
    assert anew == result | {"tasks": {"kinetics400": None}}
    assert "K400" in format_table(rows(anew))


def test_the_command_line(result, trained_run, data_dir, only_flags_of, monkeypatch, capfd, tmp_path):
    """On a run that has no fine-tuning, which a note says how to make."""
    bare = RunDirectory(shutil.copytree(trained_run, tmp_path / "bare"))
    module = only_flags_of("experiments.evaluate")
    flags = [
        f"--workdir={bare.path}",
        f"--data_dir={data_dir}",
        "--tasks=esc50,kinetics400",
        "--batch_size=20",
        "--epochs=2",
    ]
    monkeypatch.setattr(sys, "argv", ["evaluate", *flags])
    with pytest.raises(SystemExit) as stop:
        command_line.run(module.main)
    output, errors = capfd.readouterr()
    assert stop.value.code == 0, errors
    found = json.loads(bare.result.read_text())
    assert found["tasks"] == {"esc50": result["tasks"]["esc50"], "kinetics400": None}
    assert (
        format_table(rows(found)) in output
        and "ESC-50, linear classifiers on frozen features, mean of 5 splits" in output
    )
    assert "Note: kinetics400 is skipped: its figures come from a fine-tuning, and this run has none yet." in output
    assert f"--checkpoint={bare.path} --data_dir={data_dir} --workdir={bare.path}/kinetics400" in output
    for title in ("esc50, train", "esc50, test", "esc50, test5, low-rank classifier"):
        assert f"{title}: 100%" in errors


def test_what_is_wrong_with_a_finetuning_is_named(settings, run, directory, finetuned, tmp_path):
    def message(path, **changes) -> str:
        with pytest.raises(BadInput) as error:
            TASKS["kinetics400"].open(settings(finetuned=str(path), **changes))
        return str(error.value)

    copy = RunDirectory(shutil.copytree(finetuned.path, tmp_path / "copy"))
    other = dataclasses.replace(run, checkpoint=str(copy.path / "best/ckpt-8"))
    assert message(finetuned.path, run=other) == (
        f"--finetuned should have started from {copy.path}. {finetuned.path} started from {directory.path}."
    )
    copy.write(copy.data, json.dumps({"folder": {"class_names": ["a", "b"]}}))
    assert re.search(
        "should have learned the 6 classes.* has learned other classes, 2 of kinetics400", message(copy.path)
    )
    copy.result.unlink()
    assert re.search("should be .* that is finished", message(copy.path))
    assert "Found no checkpoint there" in message(tmp_path / "nothing")
    assert "that is finished" in message(directory.path)


def test_every_task_is_found_by_its_own_name():
    assert list(TASKS) == [*OWN_TASKS, *DOWNSTREAM_TASKS]
    assert all(task.name == name and task.title and task.metrics for name, task in TASKS.items())
    assert all(isinstance(TASKS[name], DownstreamTask) for name in DOWNSTREAM_TASKS)
    assert all(metric.path[0] == name for name in OWN_TASKS for metric in TASKS[name].metrics)


def test_missing_sets_are_all_named_before_anything_is_done(settings, data_dir, tmp_path):
    shutil.copytree(f"{data_dir}/youcook2", tmp_path / "youcook2")
    with pytest.raises(BadInput) as error:
        open_tasks(["youcook2", "ucf101", "esc50"], settings(data_dir=str(tmp_path)))
    lines = str(error.value).splitlines()
    assert len(lines) == 2
    for name, line in zip(("ucf101", "esc50"), lines, strict=True):
        assert line.endswith(
            f"Prepare it first: python -m experiments.prepare_data --dataset={name} --data_dir={tmp_path}"
        )


def test_the_frame_rate_must_divide_that_of_the_records(settings):
    with pytest.raises(BadInput, match="holds 10 frames/s, which is not a whole multiple of the requested 4"):
        TASKS["youcook2"].open(settings(frames_per_second=4.0))
    assert TASKS["youcook2"].open(settings(frames_per_second=5.0)).clips.clip_seconds == 1.6
    # Without frames, the length of the sound stays the run's own.
    assert TASKS["esc50"].open(settings(frames_per_second=5.0)).clips.clip_seconds == 0.8


def test_a_model_without_the_modality_is_refused(settings, run):
    silent = dataclasses.replace(run, model=types.SimpleNamespace(modalities=("video",)))
    with pytest.raises(BadInput, match="esc50 needs a model with audio. .* has no audio; remove esc50 from --tasks"):
        TASKS["esc50"].open(settings(run=silent))


def test_the_papers_table_finds_its_figures(result):
    for name, column in PAPER_COLUMNS.items():
        assert column.value(result) is not None and column.items(result) > 0, name


def test_chance_of_an_older_result_is_named_for_what_it_is(result):
    older = {**result["tasks"]["kinetics400"], "chance": {"top1": 1 / 6, "top5": 5 / 6}}
    lines = format_table(rows({**result, "tasks": {"kinetics400": older}})).splitlines()
    place = lines.index("K400, fine-tuned, 12 views of 7 clips; chance: 1 / classes")
    assert lines[place + 1].endswith(f" {100 / 6:.1f} %")


def test_the_printed_table_has_every_figure_with_its_items_and_its_chance(result):
    lines = format_table(rows(result)).splitlines()
    ucf, kinetics, youcook = (result["tasks"][name] for name in ("ucf101", "kinetics400", "youcook2"))
    place = lines.index("UCF101, linear classifiers on frozen features, mean of 3 splits, 18 test clips in all")
    assert lines[place + 1].split()[-4:] == f"{100 * ucf['top1']:.1f} % {100 / 6:.1f} %".split()
    assert lines[place + 3].split("  ")[1] == "linear SVM, top-1"
    assert f"K400, fine-tuned, 12 views of {kinetics['items']} clips" in lines
    place = lines.index("YouCook2, 7 sentences, 7 clips")
    interval = [f"{youcook['intervals']['median_rank'][end]:g}" for end in ("low", "high")]
    median = ["median", "rank", f"{youcook['median_rank']:g}", "4", interval[0], "to", interval[1]]
    assert lines[place + 4].split() == median
    assert lines[place + 9].split()[4:6] == [f"{youcook['similarities']['median_rank']:g}", "4"]
    assert {"YouCook2, video to text, 7 clips", "MSR-VTT test, all sentences, video to text, 5 clips"} <= set(lines)
    place = lines.index("ESC-50, zero-shot by 5 prompts, which no loss trained, 30 test clips")
    assert lines[place + 1].split()[0] == "top-1"
    assert {"MSR-VTT, 3 sentences, 3 clips", "MSR-VTT test, all sentences, 12 sentences, 5 clips"} <= set(lines)
