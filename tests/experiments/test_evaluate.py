import dataclasses
import json
import pathlib
import re
import shutil
import sys

import numpy as np
import pytest

import data
from experiments.evaluation.alignment import INDICATORS
from experiments.evaluation.all_tasks import TASKS
from experiments.evaluation.evaluate import evaluate
from experiments.evaluation.own_data import OwnData
from experiments.evaluation.result import read_arrays, write_arrays
from experiments.evaluation.settings import Settings
from experiments.evaluation.table import format_table, rows
from experiments.evaluation.tasks import OWN_TASKS
from experiments.inference.directions import DIRECTIONS
from experiments.inference.file_embeddings import Embedder
from experiments.inference.linear_probe import linear_probe
from experiments.inference.prompts import PROMPTS
from experiments.inference.retrieval import ranks
from experiments.inference.split_embeddings import Embeddings
from experiments.inference.trained_model import open_run
from experiments.inference.zero_shot import class_embeddings
from experiments.running import command_line
from experiments.running.command_line import BadInput
from experiments.running.run_directory import RunDirectory
from experiments.training.history import harmonization_summary

pytestmark = pytest.mark.slow


@pytest.fixture
def directory(trained_run, evaluation) -> RunDirectory:
    """The evaluated run."""
    assert evaluation.returncode == 0, evaluation.stderr
    return RunDirectory(trained_run)


@pytest.fixture
def result(directory) -> dict:
    return json.loads(directory.result.read_text())


def test_nothing_but_the_program_itself_says_something(evaluation):
    progress = re.compile(r"((test|train|gradients per clip): .*(clips/s|s/ clips)\])?")
    strangers = [line for line in evaluation.stderr.splitlines() if not progress.fullmatch(line)]
    assert evaluation.returncode == 0 and not strangers and "gradients per clip" in evaluation.stderr


def test_result_has_the_promised_keys(result):
    assert result["step"] == 30 and result["dataset"] == "synthetic"
    figures = {"r1", "r5", "r10", "median_rank", "mean_rank"}
    assert list(result["retrieval"]) == list(DIRECTIONS)
    for found in result["retrieval"].values():
        assert set(found) == figures | {"gallery", "chance", "intervals"}
        assert set(found["chance"]) == set(found["intervals"]) == figures
    assert set(result["linear_probe"]) == {"video", "audio"}
    for probe in result["linear_probe"].values():
        assert {"top1", "chance"} <= set(probe) and 0 <= probe["top1"] <= 1
    assert set(result["harmonization"]) == {"mean_cosine", "conflict_rate", "kept_rate"}
    assert set(result["alignment"]["auc"]) == set(INDICATORS)
    assert set(result["zero_shot"]) == {"video", "audio", "prompts"} and result["zero_shot"]["video"]["classes"] == 72


def test_retrieval_counts_every_test_clip(directory, result):
    arrays, retrieval = read_arrays(directory), result["retrieval"]["text_to_video"]
    assert retrieval["gallery"] == len(arrays["rank"]) == 11
    found = ranks(arrays["video_text_text"], arrays["video_text_video"])
    assert arrays["rank"].tolist() == found.tolist()
    assert retrieval["r5"] == np.mean(found <= 5) and retrieval["median_rank"] == np.median(found)


def test_sound_and_text_find_each_other_where_the_head_takes_the_sound(directory, result):
    """No loss trains it: the embedding of sound passes through the video's map."""
    arrays, run = read_arrays(directory), open_run(str(directory.path))
    near_text = run.model.head.audio_near_text(arrays["video_audio_audio"])
    np.testing.assert_allclose(arrays["video_text_audio"], near_text, atol=1e-5)
    found = ranks(arrays["video_text_audio"], arrays["video_text_text"])
    assert result["retrieval"]["audio_to_text"]["mean_rank"] == np.mean(found)
    found = ranks(arrays["video_audio_video"], arrays["video_audio_audio"])
    assert result["retrieval"]["video_to_audio"]["r5"] == np.mean(found <= 5)


def test_classes_are_told_by_their_names(directory, result):
    arrays, run = read_arrays(directory), open_run(str(directory.path))
    classes = class_embeddings(Embedder(run.model), run.tokenizer, arrays["class_names"].tolist(), PROMPTS)
    for modality in ("video", "audio"):
        found = ranks(arrays[f"video_text_{modality}"], classes, arrays["label"])
        assert result["zero_shot"][modality]["top5"] == np.mean(found <= 5)
    assert result["zero_shot"]["prompts"] == list(PROMPTS)


def test_embeddings_are_those_of_the_checkpoint(directory, noisy_data):
    run, arrays = open_run(str(directory.path)), read_arrays(directory)
    prepared = data.open_dataset("synthetic", noisy_data)
    batch = next(iter(data.eval_batches(prepared, "test", run.settings.clips, run.tokenizer, batch_size=11)))
    assert arrays["clip_id"].tolist() == [clip_id.decode() for clip_id in batch["clip_id"].numpy()]
    np.testing.assert_allclose(arrays["video_audio_audio"], run.model(batch)["video_audio"]["audio"], atol=1e-4)


def test_truth_of_the_misaligned_clips_is_that_of_the_records(directory, result, noisy_data):
    report = json.loads(next(pathlib.Path(noisy_data).rglob("prepare_report.json")).read_text())
    planted, counts = report["misaligned"]["validation"], result["alignment"]["clips"]
    both = counts["misaligned"] - counts["text_only"] - counts["audio_only"]
    assert counts["all"] == 18
    assert counts["text_only"] + both == planted["text"] and counts["audio_only"] + both == planted["audio"]


def test_the_table_shows_each_figure_beside_its_chance(evaluation, directory, result):
    assert format_table(rows(result)) in evaluation.stdout
    probe = result["linear_probe"]["audio"]
    line = next(line for line in evaluation.stdout.splitlines() if line.startswith("  audio"))
    clips = probe["test_clips"]
    assert line.split()[1:] == f"{clips} clips {100 * probe['top1']:.1f} % {100 * probe['chance']:.1f} %".split()
    assert str(directory.result) in evaluation.stdout


def test_nothing_but_the_result_is_left_behind(directory):
    assert not [path for path in directory.path.rglob(".*")]
    assert sorted(path.name for path in directory.report.iterdir() if path.suffix == ".npz") == ["evaluation.npz"]


def test_longer_loops_weigh_more():
    short = {"cosines": [0.4], "cosine": 0.4, "conflict_rate": 0.0, "keep": 1.0}
    long = {"cosines": [-0.1] * 3, "cosine": -0.1, "conflict_rate": 1.0, "keep": 1 / 3}
    expected = {"mean_cosine": 0.025, "conflict_rate": 0.75, "kept_rate": 0.5}
    assert harmonization_summary([short, long]) == pytest.approx(expected)
    judged = [
        record | {"clip_alignment": weight - 1, "clip_weight": weight} for record, weight in ((short, 1.0), (long, 0.2))
    ]
    assert harmonization_summary(judged) == pytest.approx(expected | {"clip_alignment": -0.6, "clip_weight": 0.4})
    assert harmonization_summary([]) == {"mean_cosine": None, "conflict_rate": None, "kept_rate": None}


def test_a_task_alone_leaves_the_others_empty(trained_run, noisy_data, tmp_path):
    copy = RunDirectory(shutil.copytree(trained_run, tmp_path / "copy"))
    copy.metrics.unlink()
    copy.result.unlink(missing_ok=True)
    result, notes = evaluate(copy, noisy_data, tasks=["retrieval"], batch_size=4)
    assert result["retrieval"]["text_to_video"]["gallery"] == 11 and not notes
    assert result["linear_probe"]["video"] == {"top1": None, "chance": None}
    assert result["alignment"] is None and result["harmonization"]["mean_cosine"] is None
    older = {name: result[name] for name in result if name != "zero_shot"}
    older["retrieval"] = {
        "text_to_video": {
            name: result["retrieval"]["text_to_video"][name] for name in TASKS["retrieval"].nothing["text_to_video"]
        }
    }
    assert "text to video retrieval, 11 clips" in format_table(rows(older)) and "95 %" not in format_table(rows(older))
    assert json.loads(copy.result.read_text()) == result
    table = format_table(rows(result))
    assert table.count(" -") == 4 + 3  # two probes with their chances, three means over the steps


@pytest.fixture
def settings(trained_run, noisy_data) -> Settings:
    return Settings(open_run(str(trained_run)), noisy_data, batch_size=4)


@pytest.fixture
def unlabeled(settings, monkeypatch) -> Settings:
    """For an evaluation on a data set without classes, and with a training split only."""
    prepared = data.open_dataset("synthetic", settings.data_dir)
    prepared = dataclasses.replace(prepared, class_names=(), split_sizes={"train": 12})
    monkeypatch.setattr(data, "open_dataset", lambda *_: prepared)
    return settings


def test_tasks_that_the_data_lack_are_skipped_with_a_reason(unlabeled):
    found = {task: TASKS[task].open(unlabeled)() for task in OWN_TASKS}
    assert found == {task: TASKS[task].nothing for task in OWN_TASKS}
    assert found["retrieval"]["text_to_video"]["r1"] is None and found["alignment"] is None
    assert found["linear_probe"]["audio"] == {"top1": None, "chance": None}
    assert [note.split(" is skipped: ")[0] for note in unlabeled.notes] == list(OWN_TASKS)
    assert "no clips in test" in unlabeled.notes[0] and "no classes" in unlabeled.notes[1]


def test_the_probe_of_sound_leaves_silent_clips_out(settings, monkeypatch):
    generator = np.random.default_rng(0)

    def embedded(_, split, *modalities):
        features = {name: generator.normal(size=(20, 6)) for name in ("video", "audio")}
        facts = {"label": np.arange(20) % 3, "has_audio": np.arange(20) % 2 == 0}
        return splits.setdefault(split, Embeddings(facts, features, {}, {}))

    splits = {}
    monkeypatch.setattr(OwnData, "embed", embedded)
    monkeypatch.setattr(OwnData, "embedded_test", lambda self: self.embed("test"))
    found = TASKS["linear_probe"].open(settings)()
    assert (found["video"]["train_clips"], found["audio"]["train_clips"]) == (20, 10)
    train, test = splits["train"], splits["test"]
    heard = [values for split in (train, test) for values in (split.features["audio"][::2], split.facts["label"][::2])]
    assert found["audio"] == linear_probe(*heard)


def test_a_run_without_its_vocabulary_is_not_evaluated_on_captions(settings):
    for task in OWN_TASKS:
        with pytest.raises(BadInput, match=r"should have vocabulary\.txt"):
            TASKS[task].open(dataclasses.replace(settings, run=dataclasses.replace(settings.run, tokenizer=None)))


def test_arrays_come_back_as_they_went_and_need_no_pickle(tmp_path):
    directory = RunDirectory(tmp_path / "run")
    assert read_arrays(directory) == {}
    write_arrays(directory, {"names": np.array(["ä", "b"], dtype=str), "step": np.array(3)})
    assert read_arrays(directory)["names"].tolist() == ["ä", "b"]
    with pytest.raises(ValueError, match="allow_pickle"):
        write_arrays(directory, {"objects": np.array([{}], dtype=object)})


def test_bad_input_is_named(trained_run, noisy_data, tmp_path):
    run = RunDirectory(trained_run)
    with pytest.raises(BadInput, match="--tasks should be some of retrieval,.*,ucf101,.*,msrvtt. Found retreival"):
        evaluate(run, noisy_data, tasks=["retreival"])
    with pytest.raises(BadInput, match="--prompt should have one {}, for the class's name. Found 'a dog'"):
        evaluate(run, noisy_data, tasks=["zero_shot"], prompts=["a dog"])
    with pytest.raises(BadInput, match="--frames_per_second should be above 0. Found -1"):
        evaluate(run, noisy_data, tasks=["esc50"], frames_per_second=-1.0)
    with pytest.raises(
        BadInput, match="--frames_per_second should be used with .*: ucf101,.*,msrvtt. Found kinetics400"
    ):
        evaluate(run, noisy_data, tasks=["kinetics400"], frames_per_second=12.5)
    with pytest.raises(
        BadInput, match="--finetuned should be used with --tasks that use it: kinetics400. Found retrieval,"
    ):
        evaluate(run, noisy_data, finetuned=str(tmp_path / "nope"))
    with pytest.raises(BadInput, match="No prepared data set at .*nothing.*Prepare it first"):
        evaluate(run, str(tmp_path / "nothing"))
    with pytest.raises(BadInput, match="should be the directory of a run.*experiments.pretrain"):
        evaluate(RunDirectory(tmp_path), noisy_data)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--workdir and --data_dir are needed"),
        (["--workdir={here}", "--data_dir={here}"], "{here} should be the directory of a run"),
        (["--workdir={here}", "--data_dir={here}", "--batch_size=0"], "--batch_size"),
    ],
)
def test_bad_arguments_exit_with_2(arguments, message, only_flags_of, monkeypatch, capsys, tmp_path):
    module = only_flags_of("experiments.evaluate")
    monkeypatch.setattr(sys, "argv", ["evaluate", *(argument.format(here=tmp_path) for argument in arguments)])
    with pytest.raises(SystemExit) as stop:
        command_line.run(module.main)
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert error.startswith("error: ") and message.format(here=tmp_path) in error and "Traceback" not in error
