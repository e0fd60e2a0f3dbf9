"""`experiments.classify` and `experiments.compare_classifiers` as people meet them."""

import csv
import json
import os
import re
import shutil
import types

import numpy as np
import pytest

import data
from experiments.classifiers import config as classifier_config
from experiments.classifiers.progress import ClassifierProgress
from experiments.classifiers.recipes import RECIPES
from experiments.running import strategies
from experiments.running.jobs import FINISHED, Outcome
from experiments.running.run_directory import RunDirectory, operative_config

pytestmark = pytest.mark.slow

STEPS = 18  # 24 clips, 4 to a batch, 3 epochs
RUN = [
    "classify.dataset = 'synthetic'", "classify.method = 'mmpareto'", "classify.encoder = @VATTEncoder",
    "VATTEncoder.preset = 'ut_tiny'", "VATTEncoder.layers = 1", "VATTEncoder.width = 16", "VATTEncoder.heads = 2",
    "VATTEncoder.feed_forward = 32", "VATTEncoder.feature_dim = 8", "VATTEncoder.waveform_patch = 1280",
    "classify.clips = @ClipSpec()", "ClipSpec.frames = 2", "ClipSpec.sparse_seconds = 0.8", "ClipSpec.image_size = 32",
    "ClipSpec.sample_rate_hz = 16000", "classify.epochs = 3", "classify.decay_epochs = (2,)", "classify.batch_size = 4",
    "classify.seed = 3", "classify.learning_rate = 0.05", "classify.steps_per_loop = 4",
    "classify.checkpoint_every_steps = 4",
]  # fmt: skip


@pytest.fixture
def classify_here(run_here):
    """A function (*bindings, **flags) -> exit code, stdout and stderr of `experiments.classify`, run in this process."""
    return run_here("classify", RUN)


@pytest.fixture(scope="module")
def finished(start_program, tiny_data, tmp_path_factory):
    """An undisturbed run of the real command line, and what it printed."""
    directory = RunDirectory(tmp_path_factory.mktemp("finished") / "run")
    arguments = [f"--gin_bindings={binding}" for binding in RUN]
    process = start_program(
        "experiments.classify", f"--workdir={directory.path}", f"--data_dir={tiny_data}", *arguments
    )
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return directory, output, errors


def test_what_a_run_says_and_writes(finished):
    directory, output, errors = finished
    assert not errors
    lines = output.splitlines()
    assert re.fullmatch(
        r"1 replica\(s\) on CPU \| batch 4 \(4 per replica\) \| float32 \| 0\.\d\d M parameters \| "
        rf"mmpareto \(MMPareto\), concatenation \| data synthetic, 72 classes \| {directory.path}",
        lines[0],
    )
    assert re.match(
        r"step 1/18 5\.6% \| first step, .* \| loss multimodal \S+ audio \S+ video \S+ \| cos audio", lines[2]
    )
    assert [line.split(" | ")[0] for line in lines if line.startswith("epoch ")] == [
        "epoch 1/3",
        "epoch 2/3",
        "epoch 3/3",
    ]
    assert lines[-3].startswith("Done: 18 steps") and lines[-1].startswith("test, epoch 3, the last: multimodal ")
    assert lines[-1].endswith("% of 8 clips (chance 12.5%)") and lines[-2].endswith("% of 8 clips (chance 12.5%)")
    names = {name for name in os.listdir(directory.path) if not name.startswith("events.out.tfevents")}
    assert names == {
        "config.gin",
        "environment.json",
        "data.json",
        "metrics.jsonl",
        "checkpoints",
        "best",
        "result.json",
    }


def test_the_metrics_hold_steps_and_epochs(finished):
    records = finished[0].read_metrics()
    epochs = [record for record in records if "validation" in record]
    loops = [record for record in records if "validation" not in record]
    assert [record["step"] for record in loops] == [4, 6, 10, 12, 16, 18]  # no loop goes over an epoch's end
    assert [(record["step"], record["epoch"]) for record in epochs] == [(6, 1), (12, 2), (18, 3)]
    assert all(len(record["cosines_video"]) in (2, 4) and 0 <= record["conflict_rate_audio"] <= 1 for record in loops)
    assert {"weight_multimodal_audio", "gradient_norm_video_video", "loss_audio"} <= set(loops[0])
    np.testing.assert_allclose(loops[-1]["learning_rate"], 0.005, rtol=1e-6)


def test_the_result_is_that_of_the_best_epoch_on_validation(finished):
    directory = finished[0]
    result = json.loads(directory.result.read_text())
    validations = [record["validation"] for record in directory.read_metrics() if "validation" in record]
    accuracies = [scores["multimodal"]["accuracy"] for scores in validations]
    assert result["best_epoch"] == 1 + int(np.argmax(accuracies))
    assert result["validation"] == validations[result["best_epoch"] - 1]
    assert set(result["test"]) == {"best", "last"}
    assert result["clips"] == dict.fromkeys(("multimodal", "audio", "video"), 8)
    assert result["clips_left_out"] == dict.fromkeys(("multimodal", "audio", "video"), 0)
    assert result["chance"] == {"top1": 1 / 8, "top5": 5 / 8, "items": 8}  # eight clips of eight classes
    for scores in result["test"].values():
        assert set(scores) == {"multimodal", "audio", "video"}
        assert all(set(found) == {"accuracy", "class_accuracy", "loss"} for found in scores.values())
    (best,) = [name for name in os.listdir(directory.best) if name.endswith(".index")]
    assert best == f"ckpt-{result['best_epoch']}.index"
    assert set(result["gradients"]) == {"audio", "video"} and result["alone"] == "head"


@pytest.mark.usefixtures("deterministic", "quick_graphs")
def test_a_killed_run_ends_where_an_undisturbed_one_ends(classify_here, tmp_path, killed_at, same_runs):
    undisturbed, killed = (RunDirectory(tmp_path / name) for name in ("undisturbed", "killed"))
    assert classify_here(workdir=str(undisturbed.path))[0] == 0
    with killed_at(ClassifierProgress, 12):
        classify_here(workdir=str(killed.path))
    assert not killed.result.exists() and killed.read_metrics()[-1]["step"] == 12
    code, output, errors = classify_here(workdir=str(killed.path))
    assert code == 0 and "Resumed at step 10, data position 40 clips" in output, (
        output + errors
    )  # amid the second epoch

    same_runs(undisturbed, killed, least=50)


MISTAKES = {
    "a missing data directory": ((), dict(data_dir="/nowhere"), "No prepared data set .*synthetic.*/nowhere"),
    "a misspelt binding": (("classify.epoch = 5",), {}, r"Did you mean `classify\.epochs`\?"),
    "an unknown method": (("classify.method = 'mmparto'",), {}, "`classify.method` should be one of joint, .*'mmparto'"),
    "an unknown fusion": (("classify.fusion = 'film'",), {}, "one of concatenation, sum, gated, bilinear. Found 'film'"),
    "a wrong type": (("classify.epochs = 'five'",), {}, r"`classify\.epochs` should be of type int\. Found 'five'"),
    "a wrong range": (("classify.decay_epochs = (3, 2)",), {}, "should be increasing numbers of at least 1"),
    "a missing workdir": ((), dict(workdir=""), "--data_dir and --workdir are needed"),
    "a batch that does not divide": (
        ("classify.batch_size = 6",), dict(strategy="mirrored"), "multiple of the number of replicas, 4. Found 6"
    ),
    "another rate of frames": (("ClipSpec.sparse_seconds = None", "ClipSpec.frames_per_second = 4.0"), {}, "holds 10 frames/s"),
    "an encoder's patch": (("VATTEncoder.waveform_patch = 100000",), {}, "audio.*holds no whole patch"),
    "a method that asks for more": (("classify.harmonizer = @FAMO()",), {}, "should not need the losses after the step"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_answered_with_one_message(mistake, is_one_message, classify_here, tmp_path):
    bindings, values, message = MISTAKES[mistake]
    is_one_message(classify_here(*bindings, **(dict(workdir=str(tmp_path / "run")) | values)), message)
    assert os.listdir(tmp_path) == [], "a start that is refused leaves nothing that counts as a run"


def test_a_set_without_sound_is_refused_before_the_training(is_one_message, classify_here, tmp_path, monkeypatch):
    silent = types.SimpleNamespace(labels=(0,), audio=np.zeros(0, np.int16))
    monkeypatch.setattr(data, "read_split", lambda prepared, split: [silent])
    answer = classify_here(workdir=str(tmp_path / "run"))
    is_one_message(answer, "should have labeled clips with sound in the split 'train'. Found none")


def test_another_configuration_is_refused(finished, classify_here, tmp_path):
    shutil.copytree(finished[0].path, tmp_path / "run")
    code, _, errors = classify_here("classify.method = 'dgl'", workdir=str(tmp_path / "run"))
    assert code == 2 and "  classify.method: 'mmpareto' there, 'dgl' now\n" in errors, errors


@pytest.mark.usefixtures("quick_graphs")
def test_gradient_blending_on_two_replicas_end_to_end(
    classify_here, tmp_path, checkpoint_values, mirrored, monkeypatch
):
    monkeypatch.setattr(strategies, "create_strategy", lambda name, *_: mirrored({"mirrored": 2}[name]))
    bindings = ["classify.method = 'gradient_blending'", "classify.harmonizer = @GradientBlending()"]
    bindings += ["GradientBlending.super_epoch = 1", "classify.epochs = 2", "classify.decay_epochs = ()"]
    code, output, errors = classify_here(*bindings, workdir=str(tmp_path), strategy="mirrored")
    assert code == 0, errors
    assert output.startswith("2 replica(s) on CPU | batch 4 (2 per replica)") and "Done: 12 steps" in output
    values = checkpoint_values(RunDirectory(tmp_path))
    blend = values["harmonizer/blend/.ATTRIBUTES/VARIABLE_VALUE"]
    np.testing.assert_allclose(blend.sum(), 3, rtol=1e-5)
    assert (values["harmonizer/previous/.ATTRIBUTES/VARIABLE_VALUE"] != np.float32(np.log(72))).all()


@pytest.fixture
def compare_here(run_here, tmp_path, monkeypatch):
    """A function (*bindings, **flags) -> exit code, stdout and stderr of `experiments.compare_classifiers`; returns the runs too.

    The runs are not trained: each leaves what a run leaves, with made up figures.
    """
    started = []

    def run_jobs(jobs, at_a_time, show):
        started.extend(run(job) for job in jobs if job.left())
        return [Outcome(job, FINISHED) for job in jobs]

    def run(job):
        (command,) = job.programs.values()
        method, seed = command[4].split("/")[-2:]
        value = {"uniform": 0.5, "mmpareto": 0.6}[method] + 0.1 * int(seed)
        scores = {
            name: {"accuracy": value, "class_accuracy": value, "loss": 1.0} for name in ("multimodal", "audio", "video")
        }
        result = dict(
            method=method, seed=int(seed), best_epoch=1, epochs=2, alone="head", validation=scores,
            chance={"top1": 0.1, "top5": 0.5, "items": 80}, test={"best": scores, "last": scores}, seconds_spent=1.0,
            gradients={part: {"mean_cosine": 0.1, "conflict_rate": 0.25} for part in ("audio", "video")},
        )  # fmt: skip
        directory = RunDirectory(tmp_path / method / seed)
        directory.write(directory.result, json.dumps(result))
        options = [argument.removeprefix("--").split("=", 1) for argument in command[3:]]
        files, bindings = (
            [value for name, value in options if name == wanted] for wanted in ("gin_file", "gin_bindings")
        )
        settings = classifier_config.parse(files, bindings)
        for modality in ("audio", "video"):
            settings.encoder(modality, settings.clips)
        prepared = data.open_labeled(settings.dataset, dict(options)["data_dir"])
        directory.start(operative_config(), {prepared.name: prepared.describe()}, None, False)
        return command

    monkeypatch.setattr("experiments.sweeps.classifier_comparison.run_jobs", run_jobs)
    path = tmp_path / "tiny.gin"
    path.write_text("\n".join(RUN))
    compare = run_here("compare_classifiers", [])
    values = dict(gin_file=[str(path)], outdir=str(tmp_path), methods=["uniform", "mmpareto"], seeds=["0", "1"])
    return lambda *bindings, **others: compare(*bindings, **(values | others)), started


def test_a_comparison_runs_what_is_missing_and_makes_a_table(compare_here, tmp_path):
    compare, started = compare_here
    for expected in (4, 4):
        code, output, errors = compare()
        assert code == 0 and len(started) == expected, errors
    assert "| mmpareto | 65.0 ± 7.1 | 65.0 ± 7.1 | 65.0 ± 7.1 | +10.0 ± 0.0 (2/2) | 25 % | 25 % | 2 |" in output
    with open(tmp_path / "runs.csv", newline="") as file:
        assert [(row["method"], row["seed"]) for row in csv.DictReader(file)] == [
            ("uniform", "0"), ("mmpareto", "0"), ("uniform", "1"), ("mmpareto", "1")
        ]  # fmt: skip
    tables = {path: path.read_bytes() for path in tmp_path.glob("*.[cm]*") if path.suffix != ".gin"}
    assert compare(methods=["mmpareto"], seeds=["1"])[0] == 0  # what is not asked for is not lost
    assert len(tables) == 3 and {path: path.read_bytes() for path in tables} == tables
    code, _, errors = compare("classify.epochs = 1")
    assert code == 2 and "holds a comparison with" in errors


def test_a_comparison_refuses_what_would_mix_runs_of_different_settings(
    compare_here, is_one_message, tmp_path, noisy_data
):
    compare, started = compare_here
    assert compare(seeds=["3"])[0] == 0
    is_one_message(compare(seeds=["3", "4"], data_dir=noisy_data), "uniform/3 holds a run with another .*  data: ")
    # Also where the runs that are there are not asked for.
    is_one_message(compare(seeds=["4"], methods=["mmpareto"], data_dir=noisy_data), "uniform/3 holds a run")
    with (tmp_path / "tiny.gin").open("a") as file:
        file.write("\nVATTEncoder.width = 32\n")
    is_one_message(
        compare(seeds=["4"]), r"uniform/3 holds .*  VATTEncoder\.width: 16 there, 32 now\n.*another --outdir"
    )
    assert len(started) == 2


COMPARISONS = {
    "an unknown method": ((), dict(methods=["unifrm"]), f"--methods should be some of {', '.join(RECIPES)}, each once"),
    "a method twice": ((), dict(methods=["dgl", "dgl"]), "each once. Found .'dgl', 'dgl'"),
    "a seed twice": ((), dict(seeds=["1", "01"]), "--seeds should name each seed once. Found .'1', '01'"),
    "no seed": ((), dict(seeds=[]), "--seeds should be whole numbers"),
    "a seed that is no number": ((), dict(seeds=["1", "-1"]), "--seeds should be whole numbers from 0"),
    "a seed that is too great": ((), dict(seeds=["1", "4294967296"]), r"`classify.seed` should be .*4294967296"),
    "a method among the bindings": (
        ("classify.method = 'joint'",), {}, "`classify.method` should come from --methods, 'uniform' here. Found 'joint'"
    ),
    "a misspelt binding": (("classify.epoch = 5",), {}, r"Did you mean `classify\.epochs`\?"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", COMPARISONS)
def test_a_mistake_in_a_comparison_is_found_before_anything_runs(mistake, compare_here, is_one_message, tmp_path):
    bindings, values, message = COMPARISONS[mistake]
    compare, started = compare_here
    is_one_message(compare(*bindings, **values), message)
    assert not started and os.listdir(tmp_path) == ["tiny.gin"]
