"""The work of `experiments.document_methods`: the methods' pages and pictures."""

import pathlib

from absl import flags

import harmonization
from experiments.method_docs import gallery as method_gallery
from experiments.method_docs.pages import pages
from experiments.method_docs.situations import updates_by_angle
from experiments.running.command_line import bad_input
from experiments.running.run_directory import RunDirectory

FLAGS = flags.FLAGS


def run() -> int:
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
