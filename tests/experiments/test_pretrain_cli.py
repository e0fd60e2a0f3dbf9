"""`experiments.pretrain` as people meet it: what it prints, writes and answers to mistakes, and its exit codes."""

import contextlib
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request

import pytest
import tensorflow as tf

import data
from experiments.pretraining import config
from experiments.pretraining.assembly import build_run
from experiments.running.checkpoints import RunCheckpoints
from experiments.running.run_directory import RunDirectory, operative_config

pytestmark = pytest.mark.slow

LINE = re.compile(
    r"step \d+/40 \d+\.\d% \| (first step, compilation included: \d+\.\d s \| peak memory \d\.\d GiB|"
    r"[\d.e-]+ s/step \| [\d.]+ clips/s \| data \d+% \| ETA \d+m\d\ds( \| peak memory \d\.\d GiB)?) \| "
    r"loss va -?[\d.]+ vt -?[\d.]+ \| cos [+-]\d\.\d{3} \| kept \d+%"
)


@pytest.fixture(scope="module")
def stopped(start_pretrain, tmp_path_factory):
    """A run that SIGTERM has stopped at about step 6 of 40, and what it printed."""
    directory = RunDirectory(tmp_path_factory.mktemp("stopped"))
    process = start_pretrain(directory.path, "--gin_bindings=pretrain.checkpoint_every_steps = 4")
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip())
        if line.startswith("step 6/"):
            process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    return directory, lines, process.stderr.read()


@pytest.fixture
def copy(stopped, tmp_path) -> RunDirectory:
    """The stopped run, to do with as one likes."""
    shutil.copytree(stopped[0].path, tmp_path / "run")
    return RunDirectory(tmp_path / "run")


def step_of(directory: RunDirectory) -> int:
    """The step of the newest checkpoint."""
    newest = tf.train.latest_checkpoint(str(directory.checkpoints))
    return int(tf.train.load_checkpoint(newest).get_tensor("global_step/.ATTRIBUTES/VARIABLE_VALUE"))


def test_sigterm_saves_and_ends_well(stopped):
    directory, lines, errors = stopped
    assert "Traceback" not in errors and "rror" not in errors
    step = step_of(directory)
    assert 6 <= step < 40
    (answer,) = [line for line in lines if line.startswith("SIGTERM: finishing the current ")]
    assert answer.endswith("then saving a checkpoint. Ctrl-C now quits at once, without a checkpoint.")
    assert (
        lines[-1] == f"Stopped by SIGTERM at step {step}; a checkpoint is saved. Run the same command again to resume."
    )
    assert directory.read_metrics()[-1]["step"] == step


def test_it_says_what_runs_and_then_a_line_per_loop(stopped):
    directory, lines, _ = stopped
    assert re.fullmatch(
        r"1 replica\(s\) on CPU \| batch 4 \(4 per replica\) \| float32 \| 0\.\d\d M parameters \| Both \| "
        rf"data synthetic \| {directory.path}",
        lines[0],
    )
    assert lines[1].startswith("Compiling the training step")
    said = [line for line in lines[2:-1] if not line.startswith("SIGTERM: ")]
    assert len(said) > 3 and all(LINE.fullmatch(line) for line in said), lines
    assert [line.split("/")[0] for line in said[:4]] == ["step 1", "step 2", "step 4", "step 6"]


def test_the_run_directory_holds_what_it_should(stopped):
    directory, _, _ = stopped
    names = set(os.listdir(directory.path))
    events = {name for name in names if name.startswith("events.out.tfevents")}
    assert names - events == {
        "config.gin", "environment.json", "data.json", "model.json", "vocabulary.txt", "vocabulary.sha256",
        "metrics.jsonl", "checkpoints",
    }  # fmt: skip
    assert json.loads((directory.path / "environment.json").read_text())["packages"]["tf_keras"]
    keys = tf.train.load_checkpoint(str(directory.checkpoints)).get_variable_to_shape_map()
    for start in ("model/encoders/", "model/head/", "optimizer/_iterations", "optimizer/_variables/", "global_step"):
        assert any(key.startswith(start) for key in keys), start

    (path,) = [directory.path / name for name in events]
    histograms, scalars = set(), set()
    for event in tf.compat.v1.train.summary_iterator(str(path)):
        for value in event.summary.value:
            {"histograms": histograms, "scalars": scalars}[value.metadata.plugin_data.plugin_name].add(value.tag)
    assert histograms == {"cosines", "layer_cosine"}
    wanted = {
        f"{field}_{loss}" for field in ("loss", "gradient_norm", "weight") for loss in ("video_audio", "video_text")
    }
    assert scalars >= wanted | {"cosine", "conflict_rate", "keep", "learning_rate", "step_seconds"}
    assert not histograms & scalars, "TensorBoard shows only one of the two"
    by_layer = {
        f"{field}/block_0" for field in ("layer_cosine", "layer_conflict_rate", "layer_gradient_norm_video_text")
    }
    assert scalars >= by_layer and "layer_cosine/audio_patches" not in scalars


def test_the_metrics_hold_every_layer(stopped):
    directory, _, _ = stopped
    text = directory.metrics.read_text()
    assert "NaN" not in text  # which is not JSON
    record = json.loads(text.splitlines()[-1])
    assert [*record["layer_cosines"]] == [
        "video_patches", "video_positions", "block_0", "encoder_norm", "video_features", "head_video_hidden",
        "head_video_to_audio",
    ]  # fmt: skip
    assert all(len(cosines) == 2 and -1 <= min(cosines) for cosines in record["layer_cosines"].values())
    norms = record["layer_gradient_norms"]
    assert set(norms) > set(record["layer_cosines"]) and norms["text_words"][0] == 0 < norms["text_words"][1]


@pytest.mark.usefixtures("quick_graphs")
def test_a_full_disk_stops_the_run_which_resumes_with_room(copy, pretrain_here, full_disk):
    before, step = sorted(os.listdir(copy.checkpoints)), step_of(copy)
    largest = max(file.stat().st_size for file in copy.checkpoints.iterdir())
    with full_disk(room_bytes=largest - 1000):
        code, _, errors = pretrain_here("pretrain.checkpoint_every_steps = 4", workdir=str(copy.path))
    assert code == 1
    assert re.match(r"error: a checkpoint could not be written to .*checkpoints: .", errors)
    assert (
        f"The last good checkpoint is: {copy.checkpoints}/ckpt-{step}. Free some space and run the same command again"
        in errors
    )
    assert sorted(os.listdir(copy.checkpoints)) == before

    code, output, errors = pretrain_here("pretrain.checkpoint_every_steps = 4", workdir=str(copy.path))
    assert code == 0 and not errors
    assert f"Resumed at step {step}, data position {4 * step} clips." in output
    assert f"Done: 40 steps. Checkpoints: {copy.checkpoints}\n" in output
    assert step_of(copy) == 40
    assert [record["step"] for record in copy.read_metrics()] == list(range(2, 41, 2))

    # Its own config.gin is the same run, of which nothing is left to do.
    written = {path: path.stat().st_mtime_ns for path in copy.checkpoints.iterdir()}
    code, output, errors = pretrain_here(workdir=str(copy.path), gin_file=[str(copy.config)], gin_bindings=[])
    assert code == 0 and "Done: 40 steps." in output, errors
    assert written == {path: path.stat().st_mtime_ns for path in copy.checkpoints.iterdir()}


@pytest.mark.usefixtures("quick_graphs")
def test_a_loss_that_is_not_a_number_stops_the_run(copy, pretrain_here):
    step = step_of(copy)
    poison(copy)
    before = {path.name: path.read_bytes() for path in copy.checkpoints.iterdir()}
    code, _, errors = pretrain_here("pretrain.checkpoint_every_steps = 4", workdir=str(copy.path))
    assert code == 1
    assert re.match(
        rf"error: step {step + 1} is not finite: loss video_audio = nan, loss video_text = [\d.]+; first in the gradient of "
        r"video_audio with respect to \S*audio\S*. The step was not applied",
        errors,
    ), errors
    assert before == {path.name: path.read_bytes() for path in copy.checkpoints.iterdir()}
    assert copy.read_metrics()[-1]["step"] == step


def poison(directory: RunDirectory) -> None:
    """Makes one weight of the sound's path NaN in the newest checkpoint."""
    settings = config.parse([str(directory.config)], [])
    words = data.WordPieceTokenizer(str(directory.vocabulary), settings.clips.words).vocabulary_size
    run = build_run(settings, tf.distribute.get_strategy(), words)
    path = RunCheckpoints(run.state, directory.checkpoints, run.trainer.global_step, 1, 3).restore_or_initialize()
    (bias,) = [weight for weight in run.model.head.audio_to_video.weights if "bias" in weight.name]
    bias.assign(tf.fill(bias.shape, math.nan))
    run.state.write(path)


def test_a_damaged_checkpoint_is_not_trained_on(copy, pretrain_here):
    newest = tf.train.latest_checkpoint(str(copy.checkpoints))
    file = f"{newest}.data-00000-of-00001"
    os.truncate(file, os.path.getsize(file) // 2)
    code, _, errors = pretrain_here("pretrain.checkpoint_every_steps = 4", workdir=str(copy.path))
    assert code == 1
    assert errors.startswith(f"error: the checkpoint {newest} cannot be restored into this run: ")
    assert "is damaged" in errors and f"name it in {copy.checkpoints}/checkpoint" in errors
    assert os.path.exists(file)


def test_the_workdir_of_another_configuration_is_refused(copy, pretrain_here):
    code, _, errors = pretrain_here("VATT.width = 24", "pretrain.seed = 4", workdir=str(copy.path))
    assert code == 2
    assert errors.startswith(f"error: {copy.path} holds a run with another configuration:\n")
    assert "  VATT.width: 16 there, 24 now\n" in errors and "  pretrain.seed: 3 there, 4 now\n" in errors
    assert len([line for line in errors.splitlines() if " there, " in line]) == 2
    assert "Use another --workdir" in errors and "--allow_config_change" in errors


MISTAKES = {
    "a missing data directory": ((), dict(data_dir="/nowhere"), "No prepared data set .*synthetic.*/nowhere"),
    "a data set that is not prepared": (("pretrain.datasets = ('howto100m',)",), {}, "No prepared data set .*howto100m"),
    "a misspelt binding": (("pretrain.stepps = 5",), {}, r"Did you mean `pretrain\.steps`\?"),
    "a wrong type": (("pretrain.steps = 'five'",), {}, r"`pretrain\.steps` should be of type int\. Found 'five' of type str"),
    "a truth value": (("pretrain.steps = True",), {}, r"`pretrain\.steps` should be of type int\. Found True of type bool"),
    "a wrong range": (("pretrain.batch_size = 0",), {}, r"`pretrain\.batch_size` should be at least 1\. Found 0"),
    "an unknown method": (("pretrain.harmonizer = 'bth'",), {}, "Unknown method 'bth'.*nearest is 'both'"),
    "a missing gin file": ((), dict(gin_file=["nowhere.gin"]), r"nowhere\.gin"),
    "a missing workdir": ((), dict(workdir=""), "--data_dir and --workdir are needed"),
    "a batch that does not divide": (
        ("pretrain.batch_size = 6",), dict(strategy="mirrored"), "multiple of the number of replicas, 4. Found 6"
    ),
    "XLA on several replicas": (("pretrain.jit_compile = True",), dict(strategy="mirrored"), "Found 4 replicas"),
    "an unknown model": (("VATT.preset = 'huge'",), {}, "`preset` should be one of ut_tiny, .*mbs.*Found `preset = 'huge'`"),
    "a single tower": (("VATT.preset = 'vit_base'",), {}, "should have towers for video, audio, text. Found one with video"),
    "a wrong type in the model": (("VATT.layers = 'one'",), {}, r"`VATT\.layers` should be of type .*Found 'one' of type str"),
    "patches larger than the clip": (("VATT.waveform_patch = 100000",), {}, "audio.*holds no whole patch"),
    "another rate of frames": (("ClipSpec.frames_per_second = 12.5",), {}, "holds 10 frames/s"),
    "another sample rate": (("ClipSpec.sample_rate_hz = 8000", "VATT.waveform_patch = 640"), {}, "16000.*8000|8000.*16000"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_answered_with_one_message(mistake, is_one_message, pretrain_here, tmp_path):
    bindings, values, message = MISTAKES[mistake]
    is_one_message(pretrain_here(*bindings, **(dict(workdir=str(tmp_path / "run")) | values)), message)
    assert os.listdir(tmp_path) == [], "a start that is refused leaves nothing that counts as a run"


@pytest.mark.usefixtures("eager")
def test_the_corrected_command_starts_where_the_first_was_refused(pretrain_here, tmp_path):
    refused = {"ClipSpec.frames_per_second = 4.0": {}, "pretrain.steps = 3": dict(data_service="localhost:1")}
    for binding, values in refused.items():
        assert pretrain_here(binding, workdir=str(tmp_path / "run"), **values)[0] == 2
        assert os.listdir(tmp_path) == []
    code, output, errors = pretrain_here(
        "pretrain.steps = 2", "pretrain.warmup_steps = 0", workdir=str(tmp_path / "run")
    )
    assert code == 0 and "Done: 2 steps." in output, errors


@pytest.mark.usefixtures("eager")
def test_a_run_whose_warm_up_was_the_earlier_default_resumes(pretrain_here, tiny_run, tmp_path):
    bindings = [binding for binding in tiny_run if "warmup" not in binding and "pretrain.steps =" not in binding]
    short = dict(workdir=str(tmp_path), gin_bindings=[*bindings, "pretrain.steps = 100"])
    config.parse([], short["gin_bindings"])
    directory = RunDirectory(tmp_path)
    directory.write(directory.config, operative_config().replace("warmup_steps = None", "warmup_steps = 50"))
    assert directory.earlier_defaults("pretrain") == ["pretrain.warmup_steps = 50"]
    settings = config.parse([], short["gin_bindings"], directory.earlier_defaults("pretrain"))
    assert settings.warmup_steps == 50 and not directory.difference(operative_config(), None)
    code, _, errors = pretrain_here(
        "pretrain.warmup_steps = 4",
        **(short | dict(gin_bindings=[*short["gin_bindings"], "pretrain.warmup_steps = 4"])),
    )
    assert code == 2 and "  pretrain.warmup_steps: 50 there, 4 now\n" in errors


def test_the_process_exits_with_these_codes(start_pretrain, tmp_path):
    processes = {
        "binding": start_pretrain(tmp_path, "--gin_bindings=pretrain.stepps = 5"),
        "flag": start_pretrain(tmp_path, "--strategy=telepathy"),
        "help": start_pretrain(tmp_path, "--help"),
    }
    answers = {name: (*process.communicate(timeout=120), process.returncode) for name, process in processes.items()}
    for name in ("binding", "flag"):
        output, errors, code = answers[name]
        assert code == 2 and not output
        assert errors.startswith("error: ") and "Traceback" not in errors, errors
    assert "telepathy" in answers["flag"][1] and "one_device" in answers["flag"][1]
    output, errors, code = answers["help"]
    assert code == 0 and "python -m experiments.pretrain --gin_file=" in output and "dry_run" in output
    assert os.listdir(tmp_path) == []


def test_two_replicas_end_to_end(start_pretrain, tmp_path):
    bindings = ["pretrain.steps = 4", "pretrain.warmup_steps = 1"]
    process = start_pretrain(
        tmp_path, "--strategy=mirrored", "--cpu_replicas=2", *(f"--gin_bindings={binding}" for binding in bindings)
    )
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert output.startswith("2 replica(s) on CPU | batch 4 (2 per replica)") and "Done: 4 steps." in output
    assert [record["step"] for record in RunDirectory(tmp_path).read_metrics()] == [2, 4]
    assert step_of(RunDirectory(tmp_path)) == 4


@pytest.mark.every_python
def test_tensorboard_shows_the_run(stopped):
    directory, _, _ = stopped
    with tensorboard(directory.path) as address:
        scalars = f"{address}/data/plugin/scalars"
        run = wait_for(lambda: [name for name, tags in json_of(f"{scalars}/tags").items() if "cosine" in tags])
        points = json_of(f"{scalars}/scalars?run={run[0]}&tag=cosine")
    recorded = {record["step"]: record["cosine"] for record in directory.read_metrics()}
    assert len(points) > 1
    assert {step: value for _, step, value in points} == pytest.approx({step: recorded[step] for _, step, _ in points})


@contextlib.contextmanager
def tensorboard(directory):
    """TensorBoard on a free port of this machine; yields its address."""
    command = [sys.executable, "-m", "tensorboard.main", f"--logdir={directory}", "--host=127.0.0.1", "--port=0"]
    with subprocess.Popen(command, text=True, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if found := re.search(r"at (http://127\.0\.0\.1:\d+)", line):
                break
        try:
            assert found, "".join(lines)
            yield found[1]
        finally:
            process.kill()  # its handler of SIGTERM may raise where the exception is ignored, and then it never ends


def json_of(address: str):
    with urllib.request.urlopen(address, timeout=30) as answer:
        return json.load(answer)


def wait_for(found, seconds: float = 60):
    """Asks until there is something."""
    end = time.monotonic() + seconds
    while not (answer := found()) and time.monotonic() < end:
        time.sleep(0.2)
    return answer
