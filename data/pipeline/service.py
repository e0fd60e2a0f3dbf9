"""The tf.data service: other machines decode, and the batches still come in their order.

A worker makes every n-th batch: it reads all records, which is cheap, and decodes its share. Every worker has a job of its
own, which the other workers are told to leave alone, and the jobs are read in turn. (TensorFlow's coordinated reads will
not do: they pass over a worker that is late.)
"""

from __future__ import annotations

import dataclasses
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable

import tensorflow as tf

from data.errors import DataError
from data.pipeline.options import input_options

_HINT = tf.data.experimental.SHARD_HINT
_service = tf.data.experimental.service
_REQUESTS_TO_A_WORKER = 2

OUT_OF_STEP = (
    "The data service returned a batch out of order: a worker was lost or restarted. "
    "Run the same command again; it resumes from the newest checkpoint."
)
"""What the error of `DataService.in_order` says."""


@dataclasses.dataclass(frozen=True)
class DataService:
    """A dispatcher and its workers; see `connect_service`.

    Attributes:
      address: `grpc://host:port` of the dispatcher.
      workers: How many workers it knows of.
    """

    address: str
    workers: int

    def in_order(
        self,
        records: tf.data.Dataset,
        batches: Callable[[tf.data.Dataset], tf.data.Dataset],
        batch_size: int,
        first: int,
    ) -> tf.data.Dataset:
        """Lets the workers make batches; what comes is `batches(records)`, bit for bit.

        Args:
          records: Infinite; the workers must be able to read the files that it reads.
          batches: Makes batches of records, element by element.
          batch_size: Records in a batch.
          first: Number of the first batch in the run, for messages.

        Returns:
          The batches. A worker that was restarted begins from the start; that raises
          `tf.errors.InvalidArgumentError`.
        """
        groups = records.batch(batch_size, drop_remainder=True)
        jobs = []
        for worker in range(self.workers):
            numbers = tf.data.Dataset.range(first, tf.int64.max).shard(self.workers, worker)
            own = batches(groups.shard(self.workers, worker).unbatch())
            jobs.append(self._run_on(worker, tf.data.Dataset.zip((numbers, own))))
        turns = tf.data.Dataset.range(self.workers).repeat()
        numbered = tf.data.Dataset.choose_from_datasets(jobs, turns)
        return numbered.enumerate(first).map(lambda expected, element: _require_number(expected, *element))

    def _run_on(self, worker: int, dataset: tf.data.Dataset) -> tf.data.Dataset:
        # One number of as many as there are workers: the index of the worker that this runs on.
        here = tf.data.Dataset.range(self.workers).shard(_HINT, _HINT)
        only_here = here.filter(lambda index: index == worker).repeat()
        elements = tf.data.Dataset.zip((only_here, dataset)).map(lambda _, element: element)
        return elements.with_options(input_options()).apply(
            _service.distribute(
                _service.ShardingPolicy.HINT,
                self.address,
                max_outstanding_requests=_REQUESTS_TO_A_WORKER,
                compression=None,  # decoded clips hardly get smaller
            )
        )


def _require_number(expected: tf.Tensor, number: tf.Tensor, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    check = tf.debugging.Assert(number == expected, [OUT_OF_STEP, "Expected and found:", expected, number])
    with tf.control_dependencies([check]):
        return tf.nest.map_structure(tf.identity, batch)


def connect_service(address: str, timeout_seconds: float = 60.0) -> DataService:
    """Finds a dispatcher and waits until each of its workers has answered.

    Args:
      address: `grpc://host:port`.
      timeout_seconds: How long to wait.

    Raises:
      DataError: The address is malformed, no dispatcher answers, or workers are missing.
    """
    _require_dispatcher(address, timeout_seconds)
    seen, workers = set(), []

    def listen() -> None:
        # Of numbers dealt out to n workers, the first two of worker i are i and i + n.
        numbers = tf.data.Dataset.range(tf.int64.max).shard(_HINT, _HINT).batch(2)
        shares = numbers.apply(_service.distribute(_service.ShardingPolicy.HINT, address, max_outstanding_requests=1))
        for index, following in shares.as_numpy_iterator():
            workers[:] = [int(following - index)]
            seen.add(int(index) % workers[0])
            if len(seen) == workers[0]:
                return

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    thread.join(timeout_seconds)
    if not workers or len(seen) < workers[0]:
        known = f"{len(seen)} of {workers[0]} workers" if workers else "no worker"
        raise DataError(
            f"The data service {address} has a dispatcher, but {known} answered within {timeout_seconds:g} s. Start "
            "every worker in the dispatcher's --workers: python -m experiments.serve_data --role=worker --help"
        )
    return DataService(address, workers[0])


def _require_dispatcher(address: str, timeout_seconds: float) -> None:
    parts = urllib.parse.urlsplit(address)
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme != "grpc" or not parts.hostname or port is None or parts.path:
        raise DataError(f"The address of a data service should be grpc://host:port. Found {address!r}.")
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            socket.create_connection((parts.hostname, port), timeout=timeout_seconds).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise DataError(
                    f"No data service answers at {address} ({error}). Start its dispatcher: "
                    "python -m experiments.serve_data --role=dispatcher --help"
                ) from error
            time.sleep(0.2)
