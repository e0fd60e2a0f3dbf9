"""The batches of a data service, with its dispatcher and workers in this process, compared with those made here."""

import socket

import numpy as np
import pytest
import tensorflow as tf

import data
from data import DataError
from data.pipeline.service import connect_service

pytestmark = pytest.mark.slow

service = tf.data.experimental.service


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def dispatcher():
    """A dispatcher that waits for two workers, and their addresses."""
    addresses = [f"localhost:{free_port()}" for _ in range(2)]
    return service.DispatchServer(service.DispatcherConfig(port=0, worker_addresses=addresses)), addresses


@pytest.fixture(scope="module")
def start_worker(dispatcher):
    """A function (address) that starts a worker, which stays."""
    workers = []

    def start(address: str) -> None:
        config = service.WorkerConfig(
            dispatcher_address=dispatcher[0].target.removeprefix("grpc://"),
            worker_address=address,
            port=int(address.split(":")[1]),
            heartbeat_interval_ms=100,
        )
        workers.append(service.WorkerServer(config))

    return start


@pytest.fixture(scope="module")
def connected(dispatcher, start_worker):
    """The service with both workers, the second of which has come first."""
    start_worker(dispatcher[1][1])
    with pytest.raises(DataError, match="has a dispatcher, but 1 of 2 workers answered within 1 s"):
        connect_service(dispatcher[0].target, timeout_seconds=1.0)
    start_worker(dispatcher[1][0])
    return connect_service(dispatcher[0].target)


@pytest.mark.parametrize("augment_on", data.AUGMENT_ON)
def test_batches_are_those_of_the_local_pipeline(connected, tiny, tiny_spec, augment_on):
    assert connected.workers == 2
    halves = data.PairWeights([f"clip{number:03d}" for number in range(11)], np.full(11, 0.5), np.arange(11) / 10)
    options = dict(batch_size=3, seed=3, shuffle_window=4, start_step=5, weights=(2, 1), pair_weights=(halves, None))
    options |= dict(clip_slots=100, augment_on=augment_on)
    orders = {"video_box", "video_flip", "video_colors", "noise_key", "noise_deviation"}
    unfinished = orders if augment_on == "device" else set()

    def batches(**more):
        stream = data.train_batches([tiny[0], tiny[0]], tiny_spec, tiny[1], **options, **more)
        return list(stream.take(5).as_numpy_iterator())

    for found, expected in zip(batches(data_service=connected), batches(), strict=True):
        assert found.keys() == expected.keys() >= {"video", "text", "source", "text_weight", "clip_slot"} | unfinished
        for name in expected:
            np.testing.assert_array_equal(found[name], expected[name], err_msg=name, strict=True)


def test_a_batch_that_is_not_the_next_stops_the_run(connected, monkeypatch):
    """As if one of the workers had been restarted."""
    monkeypatch.setattr(data.pipeline.service.DataService, "_run_on", lambda _, worker, dataset: dataset.skip(worker))
    records = tf.data.Dataset.range(6, tf.int64.max)
    batches = connected.in_order(records, lambda part: part.batch(3).map(lambda x: {"x": x}), batch_size=3, first=2)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"a worker was lost or restarted.*\[3\] \[5\]"):
        list(batches.take(2))


@pytest.mark.parametrize(
    "address", ["localhost:5050", "grpc://localhost", "grpc://:5050", "grpc://h:port", "http://h:1"]
)
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(DataError, match="should be grpc://host:port. Found "):
        connect_service(address)


def test_a_missing_dispatcher_is_named():
    with pytest.raises(DataError, match="No data service answers at grpc://localhost:.*experiments.serve_data"):
        connect_service(f"grpc://localhost:{free_port()}", timeout_seconds=0.1)
