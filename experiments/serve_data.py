"""Serves data: machines that decode clips for training hosts which cannot keep up (tf.data service).

Example, with two workers on other machines and the dispatcher on any of them:
  python -m experiments.serve_data --role=dispatcher --port=5050 --workers=host1:5051,host2:5051
  python -m experiments.serve_data --role=worker --port=5051 --address=host1:5051 --dispatcher=host0:5050
  python -m experiments.serve_data --role=worker --port=5051 --address=host2:5051 --dispatcher=host0:5050
  python -m experiments.pretrain ... --data_service=grpc://host0:5050

The batches are those that the training host would make, bit for bit. Every machine must see --data_dir, and the training
host's --workdir (its vocabulary), under the same path, and have the same version of this package. Each worker reads all
records and decodes its share. SIGTERM or Ctrl-C ends the program.
"""

import time

import tensorflow as tf
import tensorflow_text  # noqa: F401 (the operations that make tokens, which a worker runs)
from absl import flags

from experiments.running import command_line
from experiments.running.command_line import BadInput, RunFailed
from experiments.running.stop_signal import StopSignal

_LOOK_SECONDS = 0.2  # how often it looks whether it is to stop

FLAGS = flags.FLAGS
flags.DEFINE_enum("role", None, ("dispatcher", "worker"), "What this process is.")
flags.DEFINE_integer("port", None, "Port to listen on.", lower_bound=0, upper_bound=65_535)
flags.DEFINE_list("workers", [], "Of a dispatcher: host:port of every worker.")
flags.DEFINE_string("dispatcher", "", "Of a worker: host:port of the dispatcher.")
flags.DEFINE_string("address", "", "Of a worker: its own host:port, as the dispatcher's --workers has it.")


def main(_: list[str]) -> int:
    """Serves until it is told to stop; returns the exit code."""
    _check_flags()
    with StopSignal() as stop:
        try:
            server = _dispatcher() if FLAGS.role == "dispatcher" else _worker()
        except tf.errors.OpError as error:
            raise RunFailed(f"port {FLAGS.port} cannot be served: {error.message}") from error
        print(f"The {FLAGS.role} is serving at {FLAGS.address or server.target}. SIGTERM ends it.", flush=True)
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


if __name__ == "__main__":
    command_line.run(main)
