"""Two processes under `--strategy=multi_worker`, killed and started again, train as one process does."""

import json
import signal
import socket

import pytest

from experiments.running.run_directory import RunDirectory

pytestmark = pytest.mark.slow

# What one process draws per replica, and one input pipeline per clip, differs from what two draw.
NOTHING_DRAWN = [
    "VATT.dropout = 0.0", "VATT.drop_token_rate = 0.0", "pretrain.augmentation = @Augmentation()",
    "Augmentation.crop_area = (1.0, 1.0)", "Augmentation.crop_aspect = (1.0, 1.0)", "Augmentation.flip_probability = 0.0",
    "Augmentation.jitter_probability = 0.0", "Augmentation.audio_noise = 0.0",
    "pretrain.steps = 4", "pretrain.warmup_steps = 2",
]  # fmt: skip


@pytest.fixture
def start_workers(start_pretrain, tmp_path, monkeypatch):
    """A function () -> the two processes of a run on this machine, in the directory `workers`."""

    def start() -> list:
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]  # held together, so that the ports differ
        addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
        for one in sockets:
            one.close()
        started = []
        for index in range(2):
            task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            monkeypatch.setenv("TF_CONFIG", json.dumps(task))
            bindings = [f"--gin_bindings={binding}" for binding in NOTHING_DRAWN]
            started.append(start_pretrain(tmp_path / "workers", "--strategy=multi_worker", *bindings))
        return started

    yield start
    monkeypatch.delenv("TF_CONFIG", raising=False)


def wait_for_step(process, step: int) -> None:
    assert any(line.startswith(f"step {step}/") for line in process.stdout), process.communicate()


@pytest.mark.usefixtures("quick_graphs")
def test_two_killed_processes_end_where_one_undisturbed_one_ends(
    start_workers, run_here, tiny_run, tmp_path, same_checkpoints
):
    survivor, killed = start_workers()
    wait_for_step(survivor, 2)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    output, errors = survivor.communicate(timeout=300)
    assert survivor.returncode == 1 and "error: a worker of this run is lost: " in errors + output, errors
    assert "Traceback" not in errors + output
    for process in start_workers():
        output, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        assert "Done: 4 steps" in output
    chief = RunDirectory(tmp_path / "workers")
    together = [json.loads(line) for line in chief.metrics.read_text().splitlines()]

    code, _, errors = run_here("pretrain", tiny_run)(*NOTHING_DRAWN, workdir=str(tmp_path / "alone"))
    assert code == 0, errors
    alone = [json.loads(line) for line in RunDirectory(tmp_path / "alone").metrics.read_text().splitlines()]
    assert [line["step"] for line in together] == [line["step"] for line in alone] == [2, 4]
    for ours, expected in zip(together, alone, strict=True):
        for name in ("loss_video_audio", "loss_video_text", "gradient_norm_video_audio", "cosine"):
            assert ours[name] == pytest.approx(expected[name], rel=1e-3, abs=1e-3), (ours["step"], name)
    same_checkpoints(chief, chief.of_worker(1), least=100)
