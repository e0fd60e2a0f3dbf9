"""Saving and restoring: all of it or a message."""

import os

import pytest
import tensorflow as tf

from experiments.running.checkpoints import RunCheckpoints
from experiments.running.command_line import BadInput, RunFailed


def state(step=0, size=4, **more) -> tf.train.Checkpoint:
    variables = {name: tf.Variable(value) for name, value in more.items()}
    weights = tf.Variable(tf.fill([size], float(step)))
    return tf.train.Checkpoint(weights=weights, step=tf.Variable(step, dtype=tf.int64), **variables)


def manage(directory, held, every=10, keep=2) -> RunCheckpoints:
    return RunCheckpoints(held, directory, held.step, every, keep)


def save_at(manager, held, step) -> str | None:
    held.step.assign(step)
    held.weights.assign(tf.fill(held.weights.shape, float(step)))
    return manager.save(checkpoint_number=step, check_interval=True)


@pytest.fixture
def saved(tmp_path):
    """A directory with the checkpoints 10 and 20."""
    held = state()
    manager = manage(tmp_path, held)
    for step in (10, 20):
        assert save_at(manager, held, step)
    return tmp_path


def test_they_come_at_the_interval_and_the_oldest_go(tmp_path):
    held = state()
    manager = manage(tmp_path, held)
    assert manager.restore_or_initialize() is None
    written = [step for step in range(5, 50, 5) if save_at(manager, held, step)]
    assert written == [10, 20, 30, 40]
    assert [os.path.basename(path) for path in manager.checkpoints] == ["ckpt-30", "ckpt-40"]
    assert sorted(os.listdir(tmp_path)) == sorted(
        ["checkpoint", *(f"ckpt-{step}.{end}" for step in (30, 40) for end in ("index", "data-00000-of-00001"))]
    )


def test_restoring_takes_the_newest_and_keeps_the_rhythm(saved):
    held = state()
    manager = manage(saved, held)
    assert os.path.basename(manager.restore_or_initialize()) == "ckpt-20"
    assert int(held.step) == 20 and held.weights.numpy().tolist() == [20.0] * 4
    before = os.stat(saved / "ckpt-20.index").st_mtime_ns
    assert manager.save(checkpoint_number=20, check_interval=False) is None
    assert os.stat(saved / "ckpt-20.index").st_mtime_ns == before, "the last good one must not be at stake"
    assert save_at(manager, held, 25) is None and save_at(manager, held, 30)


@pytest.mark.parametrize("other", [dict(bias=1.0), dict(size=5)], ids=str)
def test_a_run_with_other_variables_is_refused(saved, other):
    with pytest.raises(RunFailed, match="ckpt-20 cannot be restored into this run: .*\n.*another configuration"):
        manage(saved, state(**other)).restore_or_initialize()


def test_a_checkpoint_with_more_than_the_run_has_is_refused(tmp_path):
    held = state(bias=1.0)
    save_at(manage(tmp_path, held), held, 10)
    with pytest.raises(RunFailed, match="ckpt-10 cannot be restored into this run"):
        manage(tmp_path, state()).restore_or_initialize()


def test_a_damaged_or_missing_checkpoint_is_named(saved):
    data = saved / "ckpt-20.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:10])
    message = "ckpt-20 cannot be restored .*\n.*is damaged. .* name it in .*checkpoint"
    with pytest.raises(RunFailed, match=message):
        manage(saved, state()).restore_or_initialize()
    (saved / "ckpt-20.index").unlink()
    with pytest.raises(RunFailed, match="ckpt-20 cannot be restored"):
        manage(saved, state()).restore_or_initialize()


def test_the_advice_to_name_an_older_checkpoint_works(saved, full_disk):
    (saved / "checkpoint").write_text('model_checkpoint_path: "ckpt-10"\n')
    held = state()
    manager = manage(saved, held)
    assert os.path.basename(manager.restore_or_initialize()) == "ckpt-10" and int(held.step) == 10
    with full_disk():
        with pytest.raises(RunFailed, match="last good checkpoint is: .*ckpt-10. Free some space"):
            save_at(manager, held, 20)
    assert (saved / "ckpt-10.index").exists()
    manager = manage(saved, held)
    assert os.path.basename(manager.restore_or_initialize()) == "ckpt-10"
    assert save_at(manager, held, 20) and os.path.basename(tf.train.latest_checkpoint(saved)) == "ckpt-20"


def test_a_lost_worker_is_not_taken_for_a_full_disk(saved, monkeypatch):
    held = state()
    manager = manage(saved, held)

    def lose(*_, **__):
        raise tf.errors.UnavailableError(None, None, "Collective ops is aborted by: /job:worker/task:1")

    monkeypatch.setattr(tf.train.CheckpointManager, "save", lose)
    with pytest.raises(tf.errors.UnavailableError):
        save_at(manager, held, 30)


@pytest.mark.parametrize("room_bytes", [0, 300, 20_000])
def test_a_full_disk_leaves_the_last_good_checkpoint_and_nothing_else(tmp_path, full_disk, room_bytes):
    held = state(size=10_000)
    manager = manage(tmp_path, held)
    save_at(manager, held, 10)
    before = sorted(os.listdir(tmp_path))
    with full_disk(room_bytes):
        with pytest.raises(
            RunFailed, match="could not be written to .*\n.*is: .*ckpt-10. Free some space and run the same"
        ):
            save_at(manager, held, 20)
    assert sorted(os.listdir(tmp_path)) == before
    again = state(size=10_000)
    assert manage(tmp_path, again).restore_or_initialize() and int(again.step) == 10


def test_a_full_disk_at_the_first_checkpoint(tmp_path, full_disk):
    held = state(size=10_000)
    with full_disk(20_000):
        with pytest.raises(RunFailed, match="none; the run starts from scratch"):
            save_at(manage(tmp_path, held), held, 10)
    assert not [name for name in os.listdir(tmp_path) if name.startswith("ckpt")]


def test_what_a_killed_run_left_unfinished_goes(saved):
    (saved / "ckpt-30_temp").mkdir()
    (saved / "ckpt-30_temp" / "part-00000-of-00001.data-00000-of-00001").write_text("half")
    (saved / "ckpt-30.data-00000-of-00001").write_text("whole, but without an index")
    before = set(os.listdir(saved))
    manage(saved, state())
    assert before - set(os.listdir(saved)) == {"ckpt-30_temp", "ckpt-30.data-00000-of-00001"}


def test_the_weights_of_a_listed_checkpoint_whose_index_is_lost_stay(saved):
    (saved / "ckpt-20.index").unlink()
    manage(saved, state())
    assert (saved / "ckpt-20.data-00000-of-00001").exists()


def test_weights_whose_index_is_a_broken_link_stay(saved):
    (saved / "ckpt-30.data-00000-of-00001").write_text("weights")
    (saved / "ckpt-30.index").symlink_to("/not/mounted/ckpt-30.index")
    manage(saved, state())
    assert (saved / "ckpt-30.data-00000-of-00001").exists()


def test_reading_restores_nothing_and_names_a_damaged_file(saved, tmp_path_factory):
    held = state()
    manager = manage(saved, held)
    manager.require_readable()
    assert int(held.step) == 0
    manage(tmp_path_factory.mktemp("empty"), state()).require_readable()
    weights = saved / "ckpt-20.data-00000-of-00001"
    weights.write_bytes(bytes([weights.read_bytes()[0] ^ 1]) + weights.read_bytes()[1:])
    with pytest.raises(RunFailed, match=f"^the checkpoint {saved}/ckpt-20 cannot be restored"):
        manager.require_readable()


@pytest.fixture
def three(tmp_path):
    """A directory with the checkpoints 10, 20 and 30."""
    held = state()
    manager = manage(tmp_path, held, keep=3)
    for step in (10, 20, 30):
        assert save_at(manager, held, step)
    return tmp_path


def lose_list(directory, how):
    listed = directory / "checkpoint"
    if how == "missing":
        listed.unlink()
    elif how == "a folder":
        listed.unlink()
        listed.mkdir()
    else:
        listed.write_bytes({"empty": b"", "binary": bytes(range(256)), "cut": listed.read_bytes()[:9]}[how])


@pytest.mark.parametrize("how", ["missing", "empty", "binary", "cut", "a folder"])
def test_a_lost_list_stops_the_run_and_names_what_is_there(three, how):
    lose_list(three, how)
    before = sorted(os.listdir(three))
    with pytest.raises(RunFailed, match=r"ckpt-10, ckpt-20, ckpt-30\. Add --resume_from=ckpt-NUMBER") as refusal:
        manage(three, state())
    assert str(three / "checkpoint") in str(refusal.value) and sorted(os.listdir(three)) == before
    held = state()
    manager = resumed(three, held, "ckpt-20")
    assert int(held.step) == 20
    assert save_at(manager, held, 30) and held.weights.numpy().tolist() == [30.0] * 4
    again = state()
    assert manage(three, again).restore_or_initialize() and int(again.step) == 30


def resumed(directory, held, name) -> RunCheckpoints:
    manager = RunCheckpoints(held, directory, held.step, 10, 2, resume_from=name)
    assert os.path.basename(manager.restore_or_initialize()) == name
    return manager


def test_the_chosen_checkpoint_stays_the_newest_until_the_next(three):
    resumed(three, state(), "ckpt-20")
    held = state()
    manager = manage(three, held)
    assert os.path.basename(manager.restore_or_initialize()) == "ckpt-20"
    assert save_at(manager, held, 30)
    assert [os.path.basename(path) for path in manager.checkpoints] == ["ckpt-20", "ckpt-30"]
    assert not (three / "ckpt-10.index").exists()


@pytest.mark.parametrize("name", ["ckpt-15", "20", "../ckpt-20", "checkpoint"])
def test_only_a_checkpoint_that_is_there_can_be_chosen(three, name):
    with pytest.raises(BadInput, match="--resume_from should name .*: ckpt-10, ckpt-20, ckpt-30. Found"):
        RunCheckpoints(state(), three, tf.Variable(0), 10, 2, resume_from=name)


def test_a_run_that_was_killed_before_it_listed_its_first_checkpoint_resumes(tmp_path):
    held = state()
    save_at(manage(tmp_path, held), held, 10)
    (tmp_path / "checkpoint").unlink()
    held = state()
    manager = manage(tmp_path, held, keep=1)
    assert manager.restore_or_initialize() and int(held.step) == 10
    assert save_at(manager, held, 20) and not (tmp_path / "ckpt-10.index").exists()


@pytest.mark.parametrize("entry", ["{other}/ckpt-10", "../other/ckpt-10", "/ckpt-10", "../ckpt-10"])
@pytest.mark.parametrize("field", ["model_checkpoint_path", "all_model_checkpoint_paths"])
def test_a_list_that_names_files_elsewhere_is_refused(three, tmp_path_factory, field, entry):
    other = three.parent / "other"
    other.mkdir(exist_ok=True)
    held = state()
    save_at(manage(other, held), held, 10)
    before = sorted(os.listdir(other))
    listed = '\nall_model_checkpoint_paths: "ckpt-20"\nall_model_checkpoint_paths: "ckpt-30"\n'
    first = "" if field == "model_checkpoint_path" else 'model_checkpoint_path: "ckpt-30"\n'
    (three / "checkpoint").write_text(f'{first}{field}: "{entry.format(other=other)}"{listed}')
    with pytest.raises(RunFailed, match=r"names .*ckpt-10, which lies outside of its directory"):
        manage(three, state(), keep=1)
    assert sorted(os.listdir(other)) == before


@pytest.mark.parametrize("name", ["lr=[1e-3]", "a*b", "what?", "back\\slash", "{a,b}"])
def test_a_directorys_name_is_never_a_pattern(tmp_path, name):
    directory, decoy = tmp_path / name, tmp_path / "lr=1"
    for place in (decoy, directory):
        held = state()
        manager = manage(place, held, keep=1)
        for step in (10, 20, 30):
            assert save_at(manager, held, step)
    assert sorted(os.listdir(directory)) == ["checkpoint", "ckpt-30.data-00000-of-00001", "ckpt-30.index"]
    assert len(os.listdir(decoy)) == 3
    again = state()
    assert manage(directory, again).restore_or_initialize() == str(directory / "ckpt-30")
    assert int(again.step) == 30 and again.weights.numpy().tolist() == [30.0] * 4
