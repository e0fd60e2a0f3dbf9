"""The page on a compiled step."""

import html

from experiments.reports.html import page, plots, table
from experiments.tpu_compiling import tables
from experiments.tpu_compiling.plots import memory_plot, parts_plot, step_plot
from experiments.tpu_compiling.result import Result
from experiments.tpu_compiling.variants import VARIANTS

_HOW_TO_READ = """\
<p>All figures are of one replica. The time is the sum of what the compiler estimates for each operation, in cycles of the
core's clock; it is not measured. It does not cover collectives, sorting, and drawing random bits, for which the compiler has
no estimate: see below. An operation that the compiler fused from several counts where its matrix product belongs, if it has
one, or else its result.</p>"""
_UNPRICED = """\
<p>Not part of the estimate. At least: what is written over the bandwidth of the memory; for collectives, a sum over all
replicas in a ring, over all links of a chip. They may overlap with computation. Of branches that are seldom taken
(attention's exact maxima, where scores may be large): how much longer than the others they take.</p>"""
_SOURCES = """\
<p class="soft">Sources: cloud.google.com/tpu/docs (system architecture of each generation); Jouppi et al., A domain-specific
supercomputer for training deep neural networks, CACM 2020 (v2, v3).</p>"""


def build_page(result: Result) -> str:
    """Returns the page as HTML that needs nothing else."""
    priced = {name: each.costs for name, each in result.variants.items() if each.costs}
    memory = {name: each.memory for name, each in result.variants.items()}
    sections = {"Summary": _table(tables.summary(result)) + _variants(result)}
    if priced:
        sections["The step"] = _HOW_TO_READ + plots([step_plot(priced), memory_plot(memory)])
        sections["Part by part"] = plots([parts_plot(priced)], "plots wide") + _table(tables.by_part(result, 0))
        sections["By modality"] = _table(tables.by_part(result, 1))
        sections["Not in the estimate"] = _UNPRICED + _table(tables.unpriced(result.variants), (0, 1))
    else:
        sections["Memory"] = plots([memory_plot(memory)])
    sections["Largest batch"] = _largest_batch(result)
    sections["Generations"] = _table(tables.generations()) + _SOURCES
    sections["Configuration"] = (
        f'<details class="card"><summary>config.gin</summary><pre>{html.escape(result.config)}</pre></details>'
    )
    versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    return page(f"The training step on {result.topology}", html.escape(f"Compiled with {versions}."), sections)


def _variants(result):
    items = "".join(f"<li>{name}: {html.escape(VARIANTS[name])}</li>" for name in result.variants)
    return f"<ul class='soft'>{items}</ul>"


def _largest_batch(result):
    text = "<p>The estimate in the summary takes all temporaries to grow with the clips, but for both gradients and the update.</p>"
    if not result.trials:
        return text + "<p>It was not put to the test; --batch_trials=4 does.</p>"
    rows = [
        [str(trial.clips), f"{trial.needed_bytes / 2**30:.2f}", "yes" if trial.fits else "no"]
        for trial in result.trials
    ]
    return text + _table([["clips per core, compiled", "GiB needed", "fits"], *rows])


def _table(rows, texts=(0,)):
    head, *lines = rows
    return table(head, {"": lines}, texts)
