"""Writes the pages about the harmonization methods, from their docstrings, and draws their pictures.

Example:
  python -m experiments.document_methods

Writes <name>.md and <name>.png for every method, README.md (the index) and gallery.png into --outdir. `make docs` does
the same.
"""

import pathlib

from absl import flags

import harmonization
from experiments.method_docs import gallery as method_gallery
from experiments.method_docs.pages import pages
from experiments.method_docs.situations import updates_by_angle
from experiments.running import command_line
from experiments.running.command_line import bad_input
from experiments.running.gin_config import ROOT
from experiments.running.run_directory import RunDirectory

FLAGS = flags.FLAGS
flags.DEFINE_string("outdir", str(ROOT / "docs" / "methods"), "Where the pages go.")
flags.DEFINE_bool("pictures", True, "Whether to draw the pictures as well, which takes half a minute.")


def main(_) -> int:
    """Runs the command line; returns the exit code."""
    outdir = RunDirectory(FLAGS.outdir)
    with bad_input():
        texts = pages()
    for name, text in texts.items():
        outdir.write(outdir.path / name, text)
    if FLAGS.pictures:
        draw(outdir.path)
    print(f"Methods: {outdir.path / 'README.md'}")
    return 0


def draw(directory: pathlib.Path) -> None:
    """Draws the gallery and the picture of every method into a directory."""
    turned = {name: updates_by_angle(name) for name in harmonization.METHODS}
    for name, one in turned.items():
        method_gallery.draw_method(name, one, directory / f"{name}.png")
    method_gallery.draw_gallery(turned, directory / "gallery.png")


if __name__ == "__main__":
    command_line.run(main)
