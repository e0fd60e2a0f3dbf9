"""Serves data: other machines decode clips for training hosts that cannot keep up (tf.data service).

Example, with two workers on other machines and the dispatcher on any of them:
  python -m experiments.serve_data --role=dispatcher --port=5050 --workers=host1:5051,host2:5051
  python -m experiments.serve_data --role=worker --port=5051 --address=host1:5051 --dispatcher=host0:5050
  python -m experiments.serve_data --role=worker --port=5051 --address=host2:5051 --dispatcher=host0:5050
  python -m experiments.pretrain ... --data_service=grpc://host0:5050

The batches are those that the training host would make, bit for bit. Every machine must see --data_dir, and the training
host's --workdir (its vocabulary), under the same path, and have the same version of this package. Each worker reads all
records and decodes its share. SIGTERM or Ctrl-C ends the program.

In a private network only: TensorFlow's server listens on every network interface without authentication, and whoever
reaches its port can read and write the files of the user that runs it.
"""

from absl import flags

from experiments.running import command_line

flags.DEFINE_enum("role", None, ("dispatcher", "worker"), "The role of this process.")
flags.DEFINE_integer("port", None, "Port to listen on.", lower_bound=0, upper_bound=65_535)
flags.DEFINE_list("workers", [], "For a dispatcher: host:port of every worker.")
flags.DEFINE_string("dispatcher", "", "For a worker: host:port of the dispatcher.")
flags.DEFINE_string("address", "", "For a worker: host:port of this process, as in the dispatcher's --workers.")


def main(_: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    with command_line.loading():  # late: --help need not wait for TensorFlow
        from experiments.running.data_server import run

    return run()


if __name__ == "__main__":
    command_line.run(main)
