import json
import threading

import numpy as np
import pytest

import data.preparing.plan
from data.preparing.plan import identity_of, make_plan, read_plan, unit_path
from data.sets.synthetic import Synthetic, SyntheticConfig


class Sized(Synthetic):
    """Clips of about 1,000 bytes each."""

    @classmethod
    def make_records(cls, config, item, tally):
        yield {
            "clip_id": item,
            "source": "",
            "start_seconds": 0.0,
            "video": [],
            "audio": np.zeros(400, np.int16),
            "captions": {"text": [], "start_seconds": [], "end_seconds": []},
            "label": 0,
            "text_aligned": -1,
            "audio_aligned": -1,
        }


def plan(tmp_path, monkeypatch, unit_bytes, shard_bytes, **sizes):
    monkeypatch.setattr(data.preparing.plan, "UNIT_BYTES", unit_bytes)
    monkeypatch.setattr(data.preparing.plan, "SHARD_BYTES", shard_bytes)
    config = SyntheticConfig(**dict(train_clips=100, validation_clips=0, test_clips=7) | sizes)
    made = make_plan(Sized, Sized.items(config), identity_of(Sized, config), config, str(tmp_path))
    assert read_plan(str(tmp_path)) == made
    return made, [json.loads(open(unit_path(str(tmp_path), unit.number)).read()) for unit in made.units]


@pytest.mark.parametrize(
    ("unit_bytes", "units", "shards"), [(10**9, 1, 10), (40_000, 3, 3), (10_000, 11, 1), (1, 100, 1)]
)
def test_sizes_follow_from_an_estimate(tmp_path, monkeypatch, unit_bytes, units, shards):
    made, _ = plan(tmp_path, monkeypatch, unit_bytes, 10_500, test_clips=0)
    assert len(made.units) == pytest.approx(units, abs=1) and made.units[0].shards == pytest.approx(shards, abs=2)
    assert made.shards()["train"] == sum(unit.shards for unit in made.units)
    assert max(unit.items for unit in made.units) - min(unit.items for unit in made.units) <= 1


def test_every_item_is_in_one_unit_and_every_file_belongs_to_one(tmp_path, monkeypatch):
    made, items = plan(tmp_path, monkeypatch, 20_000, 5_000)
    for split, size in (("train", 100), ("test", 7)):
        units = [unit for unit in made.units if unit.split == split]
        names = [name for unit in units for name in items[unit.number]]
        assert len(names) == len(set(names)) == size and all(name.startswith(split) for name in names)
        assert names != sorted(names) and names == Synthetic.in_order(sorted(names))
        assert [unit.items for unit in units] == [len(items[unit.number]) for unit in units]
        files = [index for unit in units for index in range(unit.first_shard, unit.first_shard + unit.shards)]
        assert files == list(range(made.shards()[split]))
    assert [unit.number for unit in made.units] == list(range(len(made.units)))


def test_the_units_are_written_at_the_same_time(tmp_path, monkeypatch):
    """In remote storage each takes a while."""
    together, write_json = threading.Barrier(8), data.preparing.plan.write_json

    def write(path, content):
        if "/units/" in path:
            together.wait(timeout=30)
        write_json(path, content)

    monkeypatch.setattr(data.preparing.plan, "write_json", write)
    made, items = plan(tmp_path, monkeypatch, 1, 5_000, train_clips=16, test_clips=0)
    assert [unit.number for unit in made.units] == list(range(16)) and all(len(names) == 1 for names in items)


def test_a_plan_that_is_not_whole_is_none(tmp_path, monkeypatch):
    assert read_plan(str(tmp_path)) is None
    plan(tmp_path, monkeypatch, 20_000, 5_000)
    (tmp_path / "plan.json").write_text((tmp_path / "plan.json").read_text()[:-20])
    assert read_plan(str(tmp_path)) is None
