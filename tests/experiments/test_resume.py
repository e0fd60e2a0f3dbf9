"""A run that is killed and started again ends where one that was not ends, bit for bit."""

import os
import pathlib
import random
import re
import signal
import time

import numpy as np
import pytest
import tensorflow as tf

import data
from experiments.running.run_directory import RunDirectory

pytestmark = pytest.mark.slow

STEPS = 40
KILLS = int(os.environ.get("VATT_TEST_KILLS", "2"))  # at random steps; one more comes during a write
SEED = int(os.environ.get("VATT_TEST_KILL_SEED", "0"))
TIMES = ("step_seconds", "data_wait_share")


def run_to_the_end(process) -> str:
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert f"Done: {STEPS} steps." in output
    return output


def lines_until(process, step: int) -> list[str]:
    """Reads what a run says until it has done `step`."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if (found := re.match(r"step (\d+)/", line)) and int(found[1]) >= step:
            return lines
    raise AssertionError(f"ended before step {step}: {lines} {process.communicate()}")


def kill(process) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def unfinished(checkpoints: pathlib.Path) -> list[str]:
    """Temporary files of checkpoints, and data that no index belongs to."""
    names = set(os.listdir(checkpoints))
    lonely = {name for name in names if ".data-" in name and f"{name.split('.')[0]}.index" not in names}
    return sorted(lonely | {name for name in names if name.endswith("_temp")})


def kill_while_it_saves(start, directory: RunDirectory, after_step: int) -> list[str]:
    """Kills the run when an incomplete checkpoint appears, again and again until one is left; returns its files."""
    for _ in range(5):
        process = start(directory.path)
        lines_until(process, after_step)
        deadline = time.monotonic() + 60
        while not unfinished(directory.checkpoints) and time.monotonic() < deadline:
            assert process.poll() is None, "the run ended before it could be killed"
        kill(process)
        if left := unfinished(directory.checkpoints):
            return left
        after_step += 2
    raise AssertionError("a write was always over before the kill came")


@pytest.fixture(scope="module")
def reference(start_pretrain, tmp_path_factory) -> RunDirectory:
    """A run that nothing disturbed."""
    directory = RunDirectory(tmp_path_factory.mktemp("reference"))
    run_to_the_end(start_pretrain(directory.path))
    return directory


def latest(directory: RunDirectory) -> str:
    return tf.train.latest_checkpoint(str(directory.checkpoints))


def test_a_killed_run_ends_where_an_undisturbed_one_ends(
    start_pretrain, reference, tmp_path, checkpoint_values, same_checkpoints
):
    directory = RunDirectory(tmp_path / "run")
    steps = sorted(random.Random(SEED).sample(range(2, STEPS - 4), KILLS + 1))
    during_write = random.Random(SEED).randrange(KILLS + 1)
    for number, step in enumerate(steps):
        if number == during_write:
            print(f"killed while writing {kill_while_it_saves(start_pretrain, directory, step)}")
            continue
        process = start_pretrain(directory.path)
        lines_until(process, step)
        kill(process)
        print(f"killed after step {step}; newest checkpoint: {latest(directory)}")
    output = run_to_the_end(start_pretrain(directory.path))
    assert re.search(r"Resumed at step \d+, data position \d+ clips", output)

    values = checkpoint_values(reference)
    assert values["global_step/.ATTRIBUTES/VARIABLE_VALUE"] == STEPS
    assert {"model", "optimizer"} <= {name.split("/")[0] for name in values}
    same_checkpoints(reference, directory, least=100)
    assert not unfinished(directory.checkpoints)
    assert what_was_measured(directory) == what_was_measured(reference)


def what_was_measured(directory: RunDirectory) -> list[dict]:
    records = directory.read_metrics()
    assert [record["step"] for record in records] == list(range(2, STEPS + 1, 2))
    return [{key: value for key, value in record.items() if key not in TIMES} for record in records]


def test_the_undisturbed_run_trains_and_gates(reference, checkpoint_values):
    # Else equal weights would say little.
    values = checkpoint_values(reference)
    records = reference.read_metrics()
    updates = round(sum(2 * record["keep"] for record in records))
    assert 0 < updates < STEPS
    (iterations,) = [value for name, value in values.items() if name.startswith("optimizer/_iterations")]
    assert iterations == updates
    assert len({record["loss_video_text"] for record in records}) == len(records)


@pytest.mark.parametrize("replicas", [1, 2])
def test_the_next_batch_after_a_restart_is_the_next_batch(tiny_data, mirrored, replicas):
    prepared = data.open_dataset("synthetic", tiny_data)
    spec = data.ClipSpec(frames=8, image_size=32, sample_rate_hz=16000, candidates=3, words=6)
    tokenizer = data.WordPieceTokenizer(prepared.wordpiece_vocabulary_path, spec.words)
    strategy, restart = mirrored(replicas), 8  # in the second epoch of 24 clips

    def batches(start_step):
        options = dict(batch_size=4, seed=3, shuffle_window=12, start_step=start_step)
        return iter(data.distributed_train_batches(strategy, prepared, spec, tokenizer, **options))

    undisturbed, restarted = batches(0), batches(restart)
    for _ in range(restart):
        next(undisturbed)
    for _ in range(2):
        expected, found = next(undisturbed), next(restarted)
        assert expected.keys() == found.keys() >= {"video", "waveform", "text"}
        for name in expected:
            pairs = zip(*(strategy.experimental_local_results(batch[name]) for batch in (expected, found)), strict=True)
            for one, other in pairs:
                np.testing.assert_array_equal(one.numpy(), other.numpy(), err_msg=name, strict=True)
