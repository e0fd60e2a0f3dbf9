"""Fixtures of the command lines' tests: a tiny prepared data set, a tiny run's bindings, command lines here and apart."""

import contextlib
import importlib
import json
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from absl import flags
from absl.testing import flagsaver
from tensorflow.python.framework.config import disable_op_determinism, enable_op_determinism

from experiments.running import command_line
from experiments.running.command_line import _guarded as guarded
from vatt.keras import keras

ROOT = pathlib.Path(__file__).parents[2]
FLAGS = flags.FLAGS


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory) -> str:
    """A data directory with the data set `synthetic`: 24 + 4 + 8 clips of 0.8 s, 32 x 32 pixels, 16 kHz."""
    from data.preparing.prepare import prepare
    from data.sets.synthetic import Synthetic, SyntheticConfig

    directory = str(tmp_path_factory.mktemp("data"))
    sizes = dict(train_clips=24, validation_clips=4, test_clips=8, image_size_px=32, clip_seconds=0.8)
    prepare(Synthetic, SyntheticConfig(**sizes), directory)
    return directory


@pytest.fixture(scope="session")
def tiny_run() -> list[str]:
    """Gin bindings of a run of `tiny_data` with everything on: both methods, DropToken, dropout."""
    return [
        "pretrain.model = @VATT", "VATT.preset = 'ut_tiny'", "VATT.waveform_patch = 1280",
        "VATT.layers = 1", "VATT.width = 16", "VATT.heads = 2", "VATT.head_dim = 8", "VATT.feed_forward = 32",
        "VATT.word_dim = 8", "VATT.feature_dim = 16", "VATT.video_audio_dim = 12", "VATT.video_text_dim = 8",
        "VATT.dropout = 0.1", "VATT.drop_token_rate = 0.5",
        "pretrain.clips = @ClipSpec()", "ClipSpec.frames = 8", "ClipSpec.image_size = 32",
        "ClipSpec.sample_rate_hz = 16000", "ClipSpec.candidates = 3", "ClipSpec.words = 6",
        "pretrain.steps = 40", "pretrain.batch_size = 4", "pretrain.seed = 3", "pretrain.warmup_steps = 4",
        "pretrain.learning_rate = 1e-3", "pretrain.final_learning_rate = 1e-4", "pretrain.harmonizer = 'both'",
        "pretrain.steps_per_loop = 2", "pretrain.checkpoint_every_steps = 2",
    ]  # fmt: skip


@pytest.fixture(scope="session")
def start_pretrain(tiny_run, tiny_data, start_program):
    """A function (workdir, *arguments) -> `experiments.pretrain`, started, on `tiny_data` with `tiny_run`'s bindings."""

    def start(workdir, *arguments) -> subprocess.Popen:
        bindings = [f"--gin_bindings={binding}" for binding in tiny_run]
        return start_program(
            "experiments.pretrain", f"--workdir={workdir}", f"--data_dir={tiny_data}", *bindings, *arguments
        )

    return start


@pytest.fixture
def eager():
    """Runs functions as they are called: for a step or two that takes a tenth of the time of tracing them."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def deterministic():
    """What the programs that train switch on, for one test."""
    enable_op_determinism()  # not by its public name, which `run_here` replaces
    yield
    disable_op_determinism()


@pytest.fixture
def only_flags_of():
    """A function (module) -> that command line's module, imported; only its flags exist until the test ends.

    Several command lines have flags of the same name, which absl does not allow in one process.
    """

    def remove() -> list:
        found = [
            (module, flag)
            for module, defined in list(FLAGS.flags_by_module_dict().items())
            if module.startswith("experiments.")
            for flag in list(defined)
        ]
        for _, flag in found:
            delattr(FLAGS, flag.name)
        return found

    def load(name: str):
        remove()
        sys.modules.pop(name, None)
        module = importlib.import_module(name)
        FLAGS([name])
        return module

    put_aside = remove()
    yield load
    remove()
    for module, flag in put_aside:
        FLAGS[flag.name] = flag
        FLAGS.register_flag_by_module(module, flag)


@pytest.fixture
def run_here(only_flags_of, monkeypatch, capsys, tiny_data):
    """A function (program, default bindings) -> function (*bindings, **flags) -> exit code, stdout and stderr, in this process."""
    handler = signal.getsignal(signal.SIGTERM)
    # It would stay on, for all tests after this one.
    monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", lambda: None)

    def runner(program: str, defaults):
        module = only_flags_of(f"experiments.{program}")

        def run(*bindings, **values) -> tuple[int, str, str]:
            values = dict(gin_bindings=[*defaults, *bindings], data_dir=tiny_data) | values
            capsys.readouterr()
            with flagsaver.flagsaver(**values):
                code = guarded(module.main, [program])
            return code, *capsys.readouterr()

        return run

    yield runner
    signal.signal(signal.SIGTERM, handler)
    keras.mixed_precision.set_global_policy("float32")


@pytest.fixture
def pretrain_here(run_here, tiny_run):
    """A function (*bindings, **flags) -> exit code, stdout and stderr of `experiments.pretrain`, run in this process."""
    return run_here("pretrain", tiny_run)


@pytest.fixture
def is_one_message():
    """A function (answer, pattern) that checks that a program gave up with exit code 2 and one message, which says so."""

    def check(answer: tuple[int, str, str], pattern: str) -> None:
        code, output, errors = answer
        assert code == 2
        assert errors.startswith("error: ") and re.search(pattern, errors, re.DOTALL), errors
        assert errors.count("error: ") == 1 and "Traceback" not in errors and not output

    return check


class Killed(BaseException):
    """Stands in for a kill: nothing that the program could still do is done."""


@pytest.fixture
def killed_at():
    """A function (train action, step) -> context in which a run dies after it reported that step."""

    @contextlib.contextmanager
    def kill(action: type, step: int):
        call = action.__call__

        def report_and_die(progress, output):
            call(progress, output)
            if progress.run.trainer.global_step.numpy() == step:
                raise Killed

        with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
            patch.setattr(action, "__call__", report_and_die)
            yield

    return kill


@pytest.fixture
def same_checkpoints(checkpoint_values):
    """A function (two run directories, least values) that checks that their newest checkpoints are alike, bit for bit."""

    def check(*directories, least: int) -> None:
        one, other = map(checkpoint_values, directories)
        assert one.keys() == other.keys() and len(one) > least
        for name in one:
            np.testing.assert_array_equal(one[name], other[name], err_msg=name, strict=True)

    return check


@pytest.fixture
def same_runs(same_checkpoints):
    """A function (two run directories, least values) that checks that they ended alike: weights bit for bit, metrics, results."""
    times = ("step_seconds", "data_wait_share")

    def measured(directory) -> list[dict]:
        return [
            {key: value for key, value in record.items() if key not in times} for record in directory.read_metrics()
        ]

    def check(*directories, least: int) -> None:
        same_checkpoints(*directories, least=least)
        one, other = map(measured, directories)
        assert one == other
        one, other = (json.loads(each.result.read_text()) | {"seconds_spent": 0} for each in directories)
        assert one == other

    return check


@pytest.fixture
def full_disk():
    """A function (room_bytes) -> context in which no file of this process can grow beyond so much."""

    @contextlib.contextmanager
    def limit(room_bytes: int = 0):
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room_bytes, limits[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    return limit


@pytest.fixture
def checkpoint_values():
    """A function (run directory) -> its newest checkpoint's arrays by name, without those that measure time or count saves."""

    def read(directory) -> dict:
        reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(directory.checkpoints)))
        volatile = ("_CHECKPOINTABLE_OBJECT_GRAPH", "seconds_spent", "save_counter")
        names = [name for name in reader.get_variable_to_shape_map() if not name.startswith(volatile)]
        return {name: reader.get_tensor(name) for name in names}

    return read


@pytest.fixture(scope="session")
def noisy_data(tmp_path_factory) -> str:
    """A data directory with the data set `synthetic`: 12 clips to train on, 18 noisy ones to validate, 11 to test."""
    from data.preparing.prepare import prepare
    from data.sets.synthetic import Synthetic, SyntheticConfig

    directory = str(tmp_path_factory.mktemp("data"))
    sizes = dict(train_clips=12, validation_clips=18, test_clips=11, image_size_px=32, clip_seconds=0.8)
    prepare(Synthetic, SyntheticConfig(text_noise=0.5, audio_noise=0.5, **sizes), directory)
    return directory


@pytest.fixture(scope="session")
def trained_run(noisy_data, tiny_run, tmp_path_factory) -> pathlib.Path:
    """Directory of a run as if trained for 30 steps: configuration, checkpoint, vocabulary, two lines of metrics."""
    import data
    from experiments.pretraining import config
    from experiments.pretraining.assembly import build_run
    from experiments.running.checkpoints import RunCheckpoints
    from experiments.running.run_directory import RunDirectory, operative_config

    directory = RunDirectory(tmp_path_factory.mktemp("runs") / "tiny_run")
    vocabulary = pathlib.Path(data.open_dataset("synthetic", noisy_data).wordpiece_vocabulary_path)
    settings = config.parse([], tiny_run)
    run = build_run(settings, tf.distribute.get_strategy(), len(vocabulary.read_text().splitlines()))
    directory.start(operative_config(), {}, vocabulary, allow_config_change=False)
    directory.write_model(run.model.get_config())
    run.trainer.global_step.assign(30)
    RunCheckpoints(run.state, directory.checkpoints, run.trainer.global_step, every_steps=10, keep=1).save()
    fields = [f"{name}_video_{other}" for name in ("loss", "gradient_norm", "weight") for other in ("audio", "text")]
    others = dict.fromkeys([*fields, "learning_rate", "step_seconds", "data_wait_share"], 0.1)
    norms = {"audio_patches": [0.1, 0.0], "block_0": [0.1, 0.1], "head_video_hidden": [0.1, 0.1]}
    for step, cosine, steps, keep in ((10, 0.5, 10, 1.0), (30, -0.25, 20, 0.5)):
        shares = {"cosine": cosine, "conflict_rate": float(cosine < 0), "keep": keep}
        layers = {"block_0": [cosine] * steps, "head_video_hidden": [None, *[-cosine] * (steps - 1)]}
        lists = {"cosines": [cosine] * steps, "layer_cosines": layers, "layer_gradient_norms": norms}
        directory.append_metrics({"step": step, **others, **shares, **lists})
    return directory.path


@pytest.fixture(scope="session")
def start_program():
    """A function (module, *arguments) -> that command line, started as a user would."""

    def start(module: str, *arguments: str) -> subprocess.Popen:
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
        command = [sys.executable, "-m", module, *arguments]
        return subprocess.Popen(
            command, cwd=ROOT, text=True, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    return start


@pytest.fixture(scope="session")
def evaluation(trained_run, noisy_data, start_program) -> subprocess.CompletedProcess:
    """What `experiments.evaluate` printed for `trained_run`, into whose directory it has written its result."""
    program = start_program("experiments.evaluate", f"--workdir={trained_run}", f"--data_dir={noisy_data}")
    stdout, stderr = program.communicate()
    return subprocess.CompletedProcess(program.args, program.returncode, stdout, stderr)


class SmallEncoder(keras.layers.Layer):
    """A classifier's encoder of two dense layers, which is traced and run at once: 4 features."""

    def __init__(self, modality: str, clips):
        super().__init__(name=f"{modality}_encoder")
        self.dense = [keras.layers.Dense(6, "tanh"), keras.layers.Dense(4, "tanh")]

    def call(self, raw, training=False, seed=None):
        return self.dense[1](self.dense[0](tf.reshape(raw, [-1, raw.shape[1:].num_elements()])))


@pytest.fixture
def small_encoder() -> type[SmallEncoder]:
    """Makes the smallest encoder of a classifier."""
    return SmallEncoder


@pytest.fixture
def run_report(only_flags_of, monkeypatch, capsys):
    """A function (*arguments) -> exit code, standard output and standard error of `experiments.report`."""

    def run(*arguments: str) -> tuple[int, str, str]:
        module = only_flags_of("experiments.report")
        monkeypatch.setattr(sys, "argv", ["report", *arguments])
        with pytest.raises(SystemExit) as stop:
            command_line.run(module.main)
        return stop.value.code, *capsys.readouterr()

    return run


@pytest.fixture(scope="session")
def last_row():
    """A function (trainer) -> what the trainer's log holds of its last step, by name."""

    def read(trainer) -> dict[str, float]:
        return {name: float(column[-1]) for name, column in trainer.log.read().items()}

    return read
