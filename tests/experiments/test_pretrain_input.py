"""What `experiments.pretrain` trains on: mixtures, a data service, damaged records."""

import json
import pathlib
import shutil
import signal
import socket

import numpy as np
import pytest
import tensorflow as tf

import data
from experiments.running.run_directory import RunDirectory
from experiments.training.progress import Progress

pytestmark = pytest.mark.slow

SHORT = ["pretrain.steps = 2", "pretrain.warmup_steps = 1"]
service = tf.data.experimental.service


@pytest.fixture(scope="module")
def service_address():
    """Address of a data service of one worker in this process."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    dispatcher = service.DispatchServer(service.DispatcherConfig(port=0, worker_addresses=[f"localhost:{port}"]))
    target = dispatcher.target.removeprefix("grpc://")
    worker = service.WorkerServer(
        service.WorkerConfig(dispatcher_address=target, worker_address=f"localhost:{port}", port=port)
    )
    yield dispatcher.target
    del worker, dispatcher


@pytest.mark.usefixtures("quick_graphs")
def test_a_mixture_trains_alike_here_and_on_a_data_service(pretrain_here, service_address, tmp_path, same_checkpoints):
    mixture = ["pretrain.datasets = ('synthetic', 'synthetic/default')", "pretrain.dataset_weights = (3, 1)"]
    directories = [RunDirectory(tmp_path / name) for name in ("here", "service")]
    for directory, address in zip(directories, ("", service_address), strict=True):
        code, _, errors = pretrain_here(*SHORT, *mixture, workdir=str(directory.path), data_service=address)
        assert code == 0, errors
        assert [record["clips"] for record in directory.read_metrics()] == [{"synthetic": 6, "synthetic/default": 2}]
    same_checkpoints(*directories, least=100)


@pytest.mark.usefixtures("quick_graphs")
def test_frames_that_are_finished_in_the_step_train_alike(pretrain_here, tmp_path, killed_at, same_checkpoints):
    host, device, killed = (RunDirectory(tmp_path / name) for name in ("host", "device", "killed"))
    steps = (
        "pretrain.steps = 3",
        "pretrain.warmup_steps = 1",
        "pretrain.steps_per_loop = 1",
        "pretrain.checkpoint_every_steps = 1",
    )

    def train(directory: RunDirectory, place: str) -> str:
        code, output, errors = pretrain_here(*steps, f"pretrain.augment_on = '{place}'", workdir=str(directory.path))
        assert code == 0, errors
        return output

    train(host, "host")
    train(device, "device")
    with killed_at(Progress, 2):
        train(killed, "device")
    assert "Resumed at step 1" in train(killed, "device")
    same_checkpoints(device, killed, least=100)
    losses = [[row["loss_video_audio"] for row in each.read_metrics()] for each in (host, device, killed)]
    assert losses[1] == losses[2]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


@pytest.mark.usefixtures("quick_graphs")
def test_a_damaged_record_ends_the_run_by_name(pretrain_here, tiny_data, tmp_path):
    shutil.copytree(tiny_data, tmp_path / "data")
    (path,) = pathlib.Path(tmp_path / "data").glob("synthetic/*/*/*train*")
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    code, _, errors = pretrain_here(*SHORT, workdir=str(tmp_path / "run"), data_dir=str(tmp_path / "data"))
    assert code == 1
    assert errors.startswith(
        f"error: {path}: record 0, at byte 0, is damaged: its content has changed. Put an undamaged copy"
    )
    assert "--drop_damaged" in errors and "Traceback" not in errors


@pytest.fixture
def table(tiny_data, tmp_path):
    """A table of all clips; those whose number is even have the worse text, the others the worse sound."""
    shards = data.shards_of(data.open_dataset("synthetic", tiny_data), ["train"])
    ids = [clip.clip_id for shard in shards for clip in data.read_stored_clips(shard)]
    lines = [f"{clip_id},{number % 2},{-(number % 2)}\n" for number, clip_id in enumerate(ids)]
    path = tmp_path / "clips.csv"
    path.write_text("".join(["clip_id,video_text_similarity,video_audio_similarity\n", *lines]))
    return path


@pytest.mark.usefixtures("quick_graphs")
def test_a_run_on_measured_clips_describes_its_table_and_refuses_another(
    pretrain_here, table, tmp_path, is_one_message
):
    run = RunDirectory(tmp_path / "run")
    bindings = [
        *SHORT, "pretrain.harmonizer = 'sum'",
        "pretrain.clip_weights = @ClipWeights()", f"ClipWeights.path = '{table}'", "ClipWeights.drop_below = 0.0",
    ]  # fmt: skip
    code, output, errors = pretrain_here(*bindings, workdir=str(run.path))
    assert code == 0, errors
    assert "the sound of 12 of 24 is dropped, mean weight 0.5." in output
    described = json.loads(run.data.read_text())["synthetic"]["clip_weights"]
    assert described["clips"] == 24 and described["sound"] == {"clips": 24, "dropped": 12, "mean_weight": 0.5}
    content = table.read_text()
    table.write_text(content.replace(",1,-1", ",2,-1", 1))
    is_one_message(pretrain_here(*bindings, workdir=str(run.path)), "data: .*sha256.* there, .*sha256.* now")
    table.write_text(content.replace("\n", "\nanother,1,1\n", 1))
    is_one_message(
        pretrain_here(*bindings, workdir=str(tmp_path / "new")),
        r"clips\.csv should list the 24 clips.*such as 'another'",
    )
    assert not (tmp_path / "new").exists()
    longer = pretrain_here(*bindings, "pretrain.steps = 9", workdir=str(run.path), allow_config_change=True)
    is_one_message(longer, r"clips\.csv should list the 24 clips.*such as 'another'")


MISTAKES = {
    "no such service": ((), dict(data_service="localhost:1"), "should be grpc://host:port. Found 'localhost:1'"),
    "too few weights": (
        ("pretrain.dataset_weights = (1, 2)",), {}, r"`pretrain.dataset_weights` should have one number for each of"
    ),
    "no table": (("pretrain.clip_weights = 'none.csv'",), {}, "should be a table that experiments.rank_clips wrote"),
    "a weight of nothing": (("pretrain.dataset_weights = (0,)",), {}, "weights of a mixture should be numbers > 0"),
}  # fmt: skip


@pytest.mark.usefixtures("quick_graphs")
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_answered_with_one_message(mistake, is_one_message, pretrain_here, tmp_path):
    bindings, values, message = MISTAKES[mistake]
    is_one_message(pretrain_here(*SHORT, *bindings, workdir=str(tmp_path / "run"), **values), message)
    assert not (tmp_path / "run").exists(), "a start that is refused leaves nothing that counts as a run"


def test_a_dispatcher_serves_until_sigterm(start_program):
    process = start_program("experiments.serve_data", "--role=dispatcher", "--port=0", "--workers=localhost:1")
    assert process.stdout.readline().startswith("The dispatcher is serving at grpc://localhost:")
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and output == "Stopped.\n"
