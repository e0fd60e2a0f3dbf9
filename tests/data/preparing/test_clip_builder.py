"""What is said of an error that nobody expected."""

import pytest

from data.preparing import clip_builder
from data.preparing.tally import Tally
from data.sets.synthetic import Synthetic, SyntheticConfig

pytestmark = pytest.mark.every_python


def test_an_unexpected_error_is_said_with_its_items_name(monkeypatch):
    def make_clip(config, split, index):
        return {}[index]

    said = []
    monkeypatch.setattr(Synthetic, "make_clip", make_clip)
    monkeypatch.setattr(clip_builder.logging, "error", lambda message, *values: said.append(message % values))
    with pytest.raises(KeyError):
        list(Synthetic.named_records(SyntheticConfig(), "train/000012", Tally()))
    assert said == ["train/000012: KeyError: 12"]
