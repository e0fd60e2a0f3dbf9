"""`experiments.finetune` as people meet it."""

import json
import os
import re
import shutil
import signal
import types

import numpy as np
import pytest
import tensorflow as tf

import data
import vatt
from experiments.finetuning.config import Finetune
from experiments.finetuning.model import build_backbone
from experiments.finetuning.progress import FinetuneProgress
from experiments.running import strategies
from experiments.running.run_directory import RunDirectory
from experiments.training import progress
from experiments.training.best_weights import BestWeights

pytestmark = pytest.mark.slow

MODEL = dict(layers=1, width=16, heads=2, head_dim=8, feed_forward=32, word_dim=8, feature_dim=16, waveform_patch=1280)
CLIPS = [
    "finetune.clips = @ClipSpec()", "ClipSpec.frames = 8", "ClipSpec.image_size = 32", "ClipSpec.sample_rate_hz = 16000",
]  # fmt: skip
RUN = [
    *CLIPS, "finetune.modality = 'video'", "finetune.dataset = 'synthetic'", "finetune.steps = 12",
    "finetune.warmup_steps = 2", "finetune.batch_size = 4", "finetune.seed = 3", "finetune.learning_rate = 0.05",
    "finetune.drop_token_rate = 0.5", "finetune.backbone_clip_norm = 0.75", "finetune.evaluate_every_steps = 5",
    "finetune.test_windows = 2", "finetune.steps_per_loop = 2", "finetune.checkpoint_every_steps = 4",
]  # fmt: skip
SCRATCH = [
    "finetune.model = @VATT",
    "VATT.preset = 'ut_tiny'",
    *(f"VATT.{name} = {value}" for name, value in MODEL.items()),
]

SHORT = [
    "finetune.modality = 'audio'", "finetune.steps = 2", "finetune.warmup_steps = 0", "finetune.steps_per_loop = 1",
    "finetune.checkpoint_every_steps = 1", "finetune.test_windows = 1",
]  # fmt: skip


def save_run(path, **options) -> str:
    """Writes what `vatt.load` needs of a run of a new model; returns the directory."""
    directory = RunDirectory(path)
    vatt.set_initial_seed(7)
    model = vatt.VATT("ut_tiny", **MODEL, **options)
    model.create_variables()
    directory.write(directory.model, json.dumps(model.get_config()))
    tf.train.Checkpoint(model=model).save(str(directory.checkpoints / "ckpt"))
    return str(directory.path)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory) -> str:
    """Directory of a run whose model has seen smaller clips, with all three modalities."""
    sizes = dict(frames=4, image_size=16, waveform_samples=6400, words=6, vocabulary_size=50)
    return save_run(tmp_path_factory.mktemp("pretrained") / "run", **sizes)


@pytest.fixture
def finetune_here(run_here):
    """A function (*bindings, **flags) -> exit code, stdout and stderr of `experiments.finetune`, run in this process."""
    return run_here("finetune", RUN)


@pytest.fixture(scope="module")
def finished(start_program, pretrained, tiny_data, tmp_path_factory):
    """An undisturbed run of the real command line, and what it printed."""
    directory = RunDirectory(tmp_path_factory.mktemp("finished") / "run")
    arguments = [f"--workdir={directory.path}", f"--data_dir={tiny_data}", f"--checkpoint={pretrained}"]
    process = start_program("experiments.finetune", *arguments, *(f"--gin_bindings={binding}" for binding in RUN))
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return directory, output, errors


def test_what_a_run_says_and_writes(finished, pretrained):
    directory, output, errors = finished
    assert not errors
    lines = output.splitlines()
    assert re.fullmatch(
        r"1 replica\(s\) on CPU \| batch 4 \(4 per replica\) \| float32 \| 0\.0\d M parameters \| video, whole model, "
        rf"from {pretrained} \| data synthetic, 72 classes, single-label \| {directory.path}",
        lines[0],
    )
    assert re.match(r"step 1/12 8\.3% \| first step, .* \| loss \S+ \| gradient backbone \S+ classifier \S+", lines[2])
    validations = [line for line in lines if " | validation " in line]
    assert [line.split(" | ")[0] for line in validations] == ["step 5", "step 10", "step 12"]
    assert re.search(
        r"top1 \S+% top5 \S+% class_accuracy \S+% of 4 clips, \d classes \| best step \d+: top1", validations[0]
    )
    assert lines[-3].startswith("Done: 12 steps") and lines[-3].endswith(" s. 6 views per test clip.")
    # Eight clips of eight classes.
    assert re.search(
        r"last: top1 \S+% \(chance 12\.5%\) top5 \S+% \(chance 62\.5%\) class_accuracy \S+% of 8 clips", lines[-1]
    )
    names = {name for name in os.listdir(directory.path) if not name.startswith("events.out.tfevents")}
    assert names == {
        "config.gin", "environment.json", "data.json", "metrics.jsonl", "checkpoints", "best", "model.json", "result.json"
    }  # fmt: skip
    assert re.search(rf"finetune.checkpoint =[ \\\n]+'{pretrained}'", directory.config.read_text())


def test_the_result_holds_the_test_of_the_best_and_the_last(finished, pretrained):
    directory = finished[0]
    result = json.loads(directory.result.read_text())
    validations = {
        record["step"]: record["validation"] for record in directory.read_metrics() if "validation" in record
    }
    top1 = {step: scores["top1"] for step, scores in validations.items()}
    assert list(top1) == [5, 10, 12] and result["best_step"] == max(top1, key=top1.get)
    assert result["validation"] == validations[result["best_step"]]
    assert set(result["test"]) == {"best", "last"}
    names = {"top1", "top5", "class_accuracy", "loss", "classes", "clips", "clips_left_out"}
    assert all(set(scores) == names and scores["clips"] == 8 for scores in result["test"].values())
    (best,) = [name for name in os.listdir(directory.best) if name.endswith(".index")]
    assert best == f"ckpt-{result['best_step']}.index"
    assert result["chance"] == {"top1": 1 / 8, "top5": 5 / 8, "items": 8}
    assert (result["views"], result["checkpoint"], result["frozen"], result["multi_label"]) == (
        6,
        pretrained,
        False,
        False,
    )


def test_the_model_started_where_pre_training_ended_and_can_be_loaded(finished, pretrained):
    directory = finished[0]
    before, after = (vatt.load(path) for path in (pretrained, directory.path))
    assert before.modalities == ("video", "audio", "text") and after.modalities == ("video",)
    assert after.get_config()["drop_token_rate"] == 0.5
    one, other = (
        np.concatenate([w.ravel() for w in model.encoder.get_weights() if w.ndim > 1]) for model in (before, after)
    )
    assert np.abs(one - other).max() > 0 and np.corrcoef(one, other)[0, 1] > 0.9, "of another start it would be about 0"
    (best,) = [name.removesuffix(".index") for name in os.listdir(directory.best) if name.endswith(".index")]
    assert vatt.load(directory.best / best).feature_dims == {"video": 16}


DRAWS = ("finetune.classifier_dropout = 0.5", "finetune.mixup_alpha = 5.0", "finetune.steps_per_loop = 4")


@pytest.fixture(scope="module")
def start(pretrained, tmp_path_factory) -> str:
    """A copy of the pre-trained run, which a test may put out of the way."""
    return str(shutil.copytree(pretrained, tmp_path_factory.mktemp("start") / "pretrained"))


@pytest.fixture(scope="module")
def undisturbed_directory(tmp_path_factory) -> RunDirectory:
    return RunDirectory(tmp_path_factory.mktemp("undisturbed") / "run")


@pytest.fixture
def undisturbed(undisturbed_directory, finetune_here, start, deterministic, quick_graphs) -> RunDirectory:
    """An undisturbed run with everything drawn, the same for all tests."""
    if not undisturbed_directory.result.exists():
        assert finetune_here(*DRAWS, workdir=str(undisturbed_directory.path), checkpoint=start)[0] == 0
    return undisturbed_directory


def test_a_killed_run_ends_where_an_undisturbed_one_ends(
    undisturbed, finetune_here, start, tmp_path, killed_at, same_runs
):
    killed = RunDirectory(tmp_path / "killed")
    with killed_at(FinetuneProgress, 9):
        finetune_here(*DRAWS, workdir=str(killed.path), checkpoint=start)
    assert not killed.result.exists() and killed.read_metrics()[-1]["step"] == 9
    os.rename(start, f"{start} elsewhere")  # the run itself has all that it needs
    code, output, errors = finetune_here(*DRAWS, workdir=str(killed.path), checkpoint=start)
    os.rename(f"{start} elsewhere", start)
    assert code == 0 and "Resumed at step 4, data position 16 clips" in output, output + errors

    same_runs(undisturbed, killed, least=40)


def test_a_run_stopped_inside_a_loop_resumes_exactly(
    undisturbed, finetune_here, start, tmp_path, monkeypatch, same_checkpoints
):
    stopped = RunDirectory(tmp_path / "stopped")
    values = dict(checkpoint=start, workdir=str(stopped.path))
    before_step = FinetuneProgress.before_step

    def signal_at_seven(told, done, remaining):
        if told.run.trainer.global_step.numpy() == 7:
            os.kill(os.getpid(), signal.SIGTERM)
        before_step(told, done, remaining)

    with monkeypatch.context() as patch:
        patch.setattr(FinetuneProgress, "before_step", signal_at_seven)
        patch.setattr(progress, "STOP_SECONDS", 0.0)
        code, output, _ = finetune_here(*DRAWS, **values)
    assert code == 0 and "SIGTERM: finishing the current step, then saving a checkpoint." in output
    assert "Stopped by SIGTERM at step 7; a checkpoint is saved." in output
    code, output, errors = finetune_here(*DRAWS, **values)
    assert code == 0 and "Resumed at step 7, data position 28 clips" in output, errors
    same_checkpoints(undisturbed, stopped, least=40)


@pytest.mark.usefixtures("eager")
def test_a_run_from_scratch_is_resumed_by_its_own_command(finetune_here, tmp_path, killed_at, monkeypatch):
    bindings = (*SCRATCH, *SHORT)
    with killed_at(FinetuneProgress, 2):
        finetune_here(*bindings, workdir=str(tmp_path))
    model, config = ((tmp_path / name).read_text() for name in ("model.json", "config.gin"))
    monkeypatch.setattr(BestWeights, "resume", lambda best, number: f"the best, and those of step {number}")
    code, output, errors = finetune_here(*bindings, workdir=str(tmp_path))
    assert code == 0 and "Resumed at step 1, data position 4 clips." in output, output + errors
    assert "the best, and those of step 1\n" in output
    assert [(tmp_path / name).read_text() for name in ("model.json", "config.gin")] == [model, config]


@pytest.fixture(scope="module")
def multi_label_data(tmp_path_factory) -> str:
    """A data directory with a multi-label folder: 10 + 3 + 3 synthetic videos, labeled by color and by shape."""
    from data.preparing.prepare import prepare
    from data.sets.folder import Folder, FolderConfig
    from data.sets.synthetic import Synthetic, SyntheticConfig

    root = tmp_path_factory.mktemp("media")
    sizes = dict(train_clips=10, validation_clips=3, test_clips=3, image_size_px=32, clip_seconds=0.8)
    prepare(Synthetic, SyntheticConfig(source_dir=str(root / "videos"), **sizes), str(root / "data"))
    files = sorted(path.relative_to(root / "videos") for path in root.rglob("*.mp4"))
    splits = ["train"] * 10 + ["validation"] * 3 + ["test"] * 3
    labels = [f"{('even', 'odd')[number % 2]}|{('low', 'high')[number % 3 == 0]}" for number in range(16)]
    rows = [",".join(map(str, row)) for row in zip(files, labels, splits, strict=True)]
    (root / "labels.csv").write_text("\n".join(["file,labels,split", *rows]))
    config = FolderConfig(
        source_dir=str(root / "videos"), labels=str(root / "labels.csv"), image_size_px=32, sample_rate_hz=16000
    )
    prepare(Folder, config, str(root / "data"))
    return str(root / "data")


@pytest.mark.usefixtures("quick_graphs")
def test_a_multi_label_set_from_scratch_on_two_replicas(
    finetune_here, multi_label_data, tmp_path, mirrored, monkeypatch
):
    monkeypatch.setattr(strategies, "create_strategy", lambda name, *_: mirrored({"mirrored": 2}[name]))
    bindings = [
        "finetune.modality = 'audio'",
        "finetune.dataset = 'folder'",
        "finetune.balance_classes = True",
        *SCRATCH,
    ]
    values = dict(workdir=str(tmp_path / "run"), strategy="mirrored", data_dir=multi_label_data)
    code, output, errors = finetune_here(*bindings, "finetune.mixup_alpha = 5.0", **values)
    assert code == 0, errors
    lines = output.splitlines()
    assert lines[0] == "No --checkpoint: training FROM SCRATCH, on random weights."
    assert lines[1].startswith("2 replica(s) on CPU | batch 4 (2 per replica)") and "4 classes, multi-label" in lines[1]
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["multi_label"] and result["views"] == 2
    assert (
        set(result["chance"]) == {"map", "auc", "d_prime_mean", "d_prime_of_mean", "items"}
        and result["chance"]["items"] == 3
    )
    assert f"map {result['test']['last']['map']:.1%} (chance {result['chance']['map']:.1%})" in lines[-1]
    names = {
        "map",
        "auc",
        "d_prime_mean",
        "d_prime_of_mean",
        "loss",
        "classes",
        "classes_left_out",
        "clips",
        "clips_left_out",
    }
    assert all(set(scores) == names and scores["clips"] == 3 for scores in result["test"].values())


def test_a_classifier_of_single_labels_refuses_a_multi_label_set(multi_label_data):
    assert data.open_labeled("folder", multi_label_data, multi_label=True).class_names == ("even", "high", "low", "odd")
    with pytest.raises(data.DataError, match="should have one class per clip .* Found a multi-label set"):
        data.open_labeled("folder", multi_label_data)


def test_only_spectrograms_keep_the_rate_of_pre_training(tmp_path, pretrained):
    spectrograms = save_run(tmp_path, waveform_samples=16_000, audio="spt_base", modalities=("audio",))
    clips = data.ClipSpec(frames=1, sparse_seconds=1.0, sample_rate_hz=16_000)
    config = Finetune("audio", "a set", checkpoint="a run", clips=clips)
    assert build_backbone(config, pretrained).modalities == ("audio",)
    with pytest.raises(ValueError, match="`ClipSpec.sample_rate_hz` should be 48000, the rate .* Found 16000"):
        build_backbone(config, spectrograms)


MISTAKES = {
    "a missing data directory": ((), dict(data_dir="/nowhere"), "No prepared data set .*synthetic.*/nowhere"),
    "a misspelt binding": (("finetune.step = 5",), {}, r"Did you mean `finetune\.steps`\?"),
    "an unknown modality": (("finetune.modality = 'smell'",), {}, "should be one of video, audio. Found 'smell'"),
    "no model": ((), dict(checkpoint=""), "Give --checkpoint=RUN; or, to start from scratch"),
    "no checkpoint there": ((), dict(checkpoint="/nowhere"), "/nowhere should be a run directory"),
    "a missing workdir": ((), dict(workdir=""), "--data_dir and --workdir are needed"),
    "a batch that does not divide": (
        ("finetune.batch_size = 6",), dict(strategy="mirrored"), "multiple of the number of replicas, 4. Found 6"
    ),
    "another rate of frames": (
        ("ClipSpec.frames_per_second = 12.5",), {}, r"Set `ClipSpec.frames_per_second = 10`.*--frames_per_second=12.5 --overwrite"
    ),
    "another rate of sound": (("ClipSpec.sample_rate_hz = 8000",), {}, "holds audio at 16000 Hz"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_answered_with_one_message(mistake, is_one_message, finetune_here, pretrained, tmp_path):
    bindings, values, message = MISTAKES[mistake]
    is_one_message(
        finetune_here(*bindings, **(dict(workdir=str(tmp_path / "run"), checkpoint=pretrained) | values)), message
    )
    assert os.listdir(tmp_path) == [], "a start that is refused leaves nothing that counts as a run"


def test_a_set_without_sound_is_refused_for_sound_before_the_training(
    is_one_message, finetune_here, pretrained, tmp_path, monkeypatch
):
    silent = types.SimpleNamespace(labels=(0,), audio=np.zeros(0, np.int16))
    monkeypatch.setattr(data, "read_split", lambda prepared, split: [silent])
    answer = finetune_here("finetune.modality = 'audio'", workdir=str(tmp_path / "run"), checkpoint=pretrained)
    is_one_message(answer, "should have labeled clips with sound in the split 'train'. Found none")


def test_another_checkpoint_is_refused(finished, finetune_here, pretrained, tmp_path):
    shutil.copytree(finished[0].path, tmp_path / "run")
    code, _, errors = finetune_here(workdir=str(tmp_path / "run"), checkpoint="runs/another")
    assert code == 2 and f"  finetune.checkpoint: '{pretrained}' there, 'runs/another' now\n" in errors, errors


def test_weights_that_are_not_finite_stop_the_run(finetune_here, pretrained, tmp_path):
    bindings = ("finetune.learning_rate = 1e30", "finetune.backbone_clip_norm = None")
    code, _, errors = finetune_here(*bindings, workdir=str(tmp_path), checkpoint=pretrained)
    assert code == 1 and "is not finite" in errors and "Lower `finetune.learning_rate`" in errors, errors
