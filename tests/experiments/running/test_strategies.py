"""What --strategy cannot use is one message."""

import json

import pytest
import tensorflow as tf

from experiments.running.command_line import BadInput
from experiments.running.strategies import create_strategy

ONE = {"worker": ["127.0.0.1:2222"]}
BAD = {
    "no JSON": ("nonsense", "Expecting value"),
    "a list": ("[]", "an object is expected, not list"),
    "no cluster": ({"task": {"type": "worker", "index": 0}}, "it has no `cluster`"),
    "no task": ({"cluster": ONE}, "must also specify `task_type`"),
    "a machine too many": ({"cluster": ONE, "task": {"type": "worker", "index": 3}}, "`task_id` 3 exceeds"),
    "another kind": ({"cluster": ONE, "task": {"type": "ps", "index": 0}}, "'ps' not found"),
    "no list of machines": ({"cluster": {"worker": "host"}, "task": {"type": "worker", "index": 0}}, "must be a list"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_cluster_that_cannot_be_used_is_explained(name, monkeypatch):
    config, message = BAD[name]
    monkeypatch.setenv("TF_CONFIG", config if isinstance(config, str) else json.dumps(config))
    with pytest.raises(BadInput, match=rf"^TF_CONFIG should name all machines .* cannot be used: .*{message}"):
        create_strategy("multi_worker")


def test_an_address_that_cannot_be_used_is_explained(monkeypatch):
    def refuse():
        raise tf.errors.InvalidArgumentError(None, None, 'Could not parse port from "host:xx".\nmore')

    monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", refuse)
    with pytest.raises(BadInput, match=r'cannot be used: Could not parse port from "host:xx"\.$'):
        create_strategy("multi_worker")
