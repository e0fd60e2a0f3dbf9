import itertools
import os

import pytest

import data.preparing.publishing
from data.preparing.plan import Plan, plan_path
from data.preparing.publishing import place_of, settle
from data.source.written_files import write_json

IDENTITY = {"config": "default", "version": "1.0.0", "parameters": {"image_size_px": 16}}


def write(path, content):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    write_json(path, content)


def versions(directory):
    """What is in the files that stand for a data set."""
    return (open(f"{directory}/dataset_info.json").read().strip(), sorted(os.listdir(directory)))


OLD, NEW = ('"old"', ["dataset_info.json", "old.tfrecord"]), ('"new"', ["dataset_info.json", "new.tfrecord"])


def made(root, has_old):
    """A data set that is ready to be published, perhaps in the place of another one."""
    place = place_of(str(root), IDENTITY)
    for directory, name in [(place.final, "old")] * has_old + [(place.records, "new")]:
        write(f"{directory}/dataset_info.json", name)
        write(f"{directory}/{name}.tfrecord", name)
    write(f"{place.staging}/units/000000.done.json", {})
    write(plan_path(place.staging), Plan(IDENTITY, [])._asdict())
    return place


class _Killed(BaseException):
    pass


def killed_at(step, monkeypatch):
    """Everything that changes files stops before its step; a directory is by then half removed."""
    steps = itertools.count()

    def wrap(module, name):
        original = getattr(module, name)

        def stop_or_do(*arguments, **options):
            if next(steps) == step:
                if name == "rmtree":
                    os.remove(next(os.path.join(top, files[0]) for top, _, files in os.walk(arguments[0]) if files))
                raise _Killed
            return original(*arguments, **options)

        monkeypatch.setattr(module, name, stop_or_do)

    for module, name in [
        (os, "rename"),
        *((data.preparing.publishing.tf.io.gfile, name) for name in ("rmtree", "remove")),
    ]:
        wrap(module, name)


@pytest.mark.parametrize("has_old", [False, True])
def test_wherever_it_is_killed_publishing_loses_nothing(tmp_path, monkeypatch, has_old):
    for step in itertools.count():
        place = made(tmp_path / str(step), has_old)
        with monkeypatch.context() as patch:
            killed_at(step, patch)
            try:
                place.publish()
                break
            except _Killed:
                pass
        begun = settle(place.root)
        if begun.plan is None:  # Published: only what it took is gone.
            assert versions(place.final) == NEW and os.listdir(place.root) == ["default"]
            assert begun.published in (IDENTITY, None)
        else:
            assert begun.published is None and versions(place.records) == NEW
            assert versions(place.final) == OLD if has_old else not os.path.exists(place.final)
            place.publish()
            assert versions(place.final) == NEW and os.listdir(place.root) == ["default"]
    assert step == 3 + has_old


def test_a_place_that_is_cleared_for_another_plan_keeps_the_old_data_set(tmp_path):
    place = made(tmp_path, has_old=True)
    os.rename(place.final, f"{place.staging}/replaced")  # where it had been killed
    assert settle(place.root).plan is not None
    place.clear()
    assert versions(place.final) == OLD
    assert os.listdir(place.staging) == ["records"] and not os.listdir(place.records)


def test_a_plan_whose_records_are_still_to_be_made_is_not_published(tmp_path):
    place = made(tmp_path, has_old=True)
    place.clear()
    write(plan_path(place.staging), Plan(IDENTITY, [])._asdict())
    assert settle(place.root).plan == Plan(IDENTITY, [])


def test_leftovers_of_another_config_do_not_hide_what_is_there(tmp_path):
    place = made(tmp_path, has_old=True)
    other = place_of(place.root, IDENTITY | {"config": "balanced"})
    begun = settle(place.root)
    assert place.is_taken(begun.plan) and not other.is_taken(begun.plan)
