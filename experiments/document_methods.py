"""Writes the pages about the harmonization methods, from their docstrings, and draws their pictures.

Example:
  python -m experiments.document_methods

Writes <name>.md and <name>.png for every method, README.md (the index) and gallery.png into --outdir. `make docs` does
the same.
"""

import pathlib

from absl import flags

from experiments.running import command_line

_DOCS = pathlib.Path(__file__).parents[1] / "docs"  # of a checkout
flags.DEFINE_string(
    "outdir", str((_DOCS if _DOCS.is_dir() else pathlib.Path("docs")) / "methods"), "Directory of the pages."
)
flags.DEFINE_bool("pictures", True, "Whether to draw the pictures as well, which takes half a minute.")


def main(_: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    with command_line.loading():  # late: --help need not wait for TensorFlow
        from experiments.method_docs.program import run

    return run()


if __name__ == "__main__":
    command_line.run(main)
