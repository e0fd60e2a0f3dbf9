"""The tf.data service: other machines decode, and the batches still come in their order.

A worker makes every n-th batch: it reads all records, which is cheap, and decodes its share. TensorFlow's coordinated
reads ask the workers in turn, always in the same sequence, which need not be theirs; so n batches at a time are put in
order here, and are in memory at once.
"""

from __future__ import annotations

import dataclasses
import socket
import threading
import time
import urllib.parse
import uuid
from collections.abc import Callable

import tensorflow as tf

from data.errors import DataError

_HINT = tf.data.experimental.SHARD_HINT
_service = tf.data.experimental.service


@dataclasses.dataclass(frozen=True)
class DataService:
    """A dispatcher and its workers; see `connect`.

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
          The batches, which can be iterated over once. A worker that was lost and has started again
          would begin anew; that raises `tf.errors.InvalidArgumentError`.
        """
        shares = records.batch(batch_size, drop_remainder=True).shard(_HINT, _HINT)
        numbers = tf.data.Dataset.range(first, tf.int64.max).shard(_HINT, _HINT)
        numbered = tf.data.Dataset.zip((numbers, batches(shares.unbatch())))
        options = tf.data.Options()
        options.deterministic = True
        asked_in_turn = numbered.with_options(options).apply(
            _service.distribute(
                _service.ShardingPolicy.HINT,
                self.address,
                job_name=f"clips_{uuid.uuid4().hex}",
                consumer_index=0,
                num_consumers=1,
                compression=None,  # decoded clips hardly get smaller
            )
        )
        return sort_rounds(asked_in_turn, self.workers, first)


def sort_rounds(numbered: tf.data.Dataset, workers: int, first: int) -> tf.data.Dataset:
    """Puts the batches of each round in order.

    Args:
      numbered: (number int64, batch); of every `workers` elements, the numbers follow each other.
      workers: Batches in a round.
      first: The first number.

    Returns:
      The batches, without numbers. One that is missing raises `tf.errors.InvalidArgumentError`.
    """

    def sort(numbers: tf.data.Dataset, parts: dict[str, tf.data.Dataset]) -> tf.data.Dataset:
        batches = tf.data.Dataset.zip((numbers, tf.data.Dataset.zip(parts)))
        lowest = numbers.reduce(tf.int64.max, tf.minimum)
        places = tf.data.Dataset.range(workers)
        return places.flat_map(lambda place: batches.filter(lambda number, _: number == lowest + place))

    def check(expected: tf.Tensor, element: tuple) -> dict[str, tf.Tensor]:
        number, batch = element
        message = (
            "The data service gave another batch than the next one: a worker was lost or started anew. "
            "Run the same command again; it goes on from the newest checkpoint."
        )
        with tf.control_dependencies([tf.debugging.Assert(number == expected, [message, number, expected])]):
            return tf.nest.map_structure(tf.identity, batch)

    rounds = numbered.window(workers, drop_remainder=True)
    return rounds.flat_map(sort).enumerate(first).map(lambda place, element: check(place, element))


def connect(address: str, timeout_seconds: float = 60.0) -> DataService:
    """Finds a dispatcher and waits until each of its workers has answered.

    Args:
      address: `grpc://host:port`.
      timeout_seconds: How long to wait.

    Raises:
      DataError: It is no such address, there is no dispatcher, or workers are missing.
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
            "every worker that the dispatcher was told of: python -m experiments.serve_data --role=worker --help"
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
