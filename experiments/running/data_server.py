"""The work of `experiments.serve_data`: a dispatcher or a worker of tf.data's service."""

import sys
import time

import tensorflow as tf
import tensorflow_text  # noqa: F401 (the operations that make tokens, which a worker runs)
from absl import flags

from experiments.running.command_line import BadInput, RunFailed
from experiments.running.stop_signal import StopSignal

# TensorFlow's server binds to no single address and knows no credentials.
_OPEN = (
    "TensorFlow's server listens on every network interface and asks nobody who they are. Whoever reaches the port can read "
    "and write this user's files. Use it in a private network only."
)
_LOOK_SECONDS = 0.2  # how often it looks whether it is to stop

FLAGS = flags.FLAGS


def run() -> int:
    """Serves until it is told to stop; returns the exit code."""
    _check_flags()
    with StopSignal() as stop:
        try:
            server = _dispatcher() if FLAGS.role == "dispatcher" else _worker()
        except tf.errors.OpError as error:
            raise RunFailed(f"port {FLAGS.port} cannot be served: {error.message}") from error
        print(f"Note: {_OPEN}", file=sys.stderr, flush=True)
        print(f"The {FLAGS.role} is serving at {FLAGS.address or server.target}. Stop it with SIGTERM.", flush=True)
        while not stop.received:
            time.sleep(_LOOK_SECONDS)
    server._stop()  # what the server's own destructor calls
    print("Stopped.", flush=True)
    return 0


def _check_flags():
    if FLAGS.role is None or FLAGS.port is None:
        raise BadInput("--role and --port are needed; see --help for an example.")
    needed, other = (("workers",), ("dispatcher", "address")) if FLAGS.role == "dispatcher" else (
        ("dispatcher", "address"), ("workers",)
    )  # fmt: skip
    missing = [name for name in needed if not FLAGS[name].value]
    if missing:
        raise BadInput(f"A {FLAGS.role} needs --{' and --'.join(missing)}; see --help for an example.")
    for name in other:
        if FLAGS[name].value:
            raise BadInput(f"--{name} is not for a {FLAGS.role}.")


def _dispatcher():
    service = tf.data.experimental.service
    return service.DispatchServer(service.DispatcherConfig(port=FLAGS.port, worker_addresses=FLAGS.workers))


def _worker():
    service = tf.data.experimental.service
    return service.WorkerServer(
        service.WorkerConfig(dispatcher_address=FLAGS.dispatcher, worker_address=FLAGS.address, port=FLAGS.port)
    )
