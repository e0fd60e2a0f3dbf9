"""The tables of the page, which are also what is printed. No TensorFlow, no JAX."""

from collections.abc import Mapping, Sequence

from experiments.tpu_compiling.generations import GENERATIONS, GIB, parse_topology
from experiments.tpu_compiling.result import REFUSED, Compiled, Result

Rows = list[list[str]]


def summary(result: Result) -> Rows:
    """Returns a line per figure, a column per variant, with a head."""
    variants = list(result.variants.values())
    title = f"{result.topology}, {result.devices} replicas, {variants[0].clips} clips each"
    if result.blocks:
        title += f", {result.blocks} blocks of each encoder"
    return [
        [title, *result.variants],
        *([title, *(read(each) for each in variants)] for title, read in _FIGURES.items()),
        *(
            [title, *(read(each) if each.costs else "-" for each in variants)]
            for title, read in _FIGURES_OF_PROGRAM.items()
        ),
    ]


def by_part(result: Result, which: int) -> Rows:
    """Returns time, its share, matrix products and their share of the peak by part (0) or modality (1), for each variant."""
    peak = parse_topology(result.topology).peak_flops
    priced = {name: each.costs for name, each in result.variants.items() if each.costs}
    sums = {name: costs.by(which) for name, costs in priced.items()}
    keys = list(dict.fromkeys(key for each in sums.values() for key in each))
    head = [("part", "modality")[which]]
    for name in priced:
        head += [f"{name}: ms", "share", "TFLOP", "of peak"]
    return [head, *([key, *(cell for name in priced for cell in _part_cells(sums[name], key, peak))] for key in keys)]


def unpriced(variants: Mapping[str, Compiled]) -> Rows:
    """Returns what is not in the estimate, a line per variant and kind."""
    rows = [["variant", "operation", "count", "MB", "at least, ms"]]
    for name, each in variants.items():
        if each.costs:
            kinds = {"collectives": each.costs.collectives, **each.costs.unpriced}
            rows += [
                [name, kind, str(found.count), f"{found.bytes / 1e6:,.1f}", f"{found.least_milliseconds:.3f}"]
                for kind, found in kinds.items()
            ]
    return rows


def generations() -> Rows:
    """Returns what a core of each generation has."""
    head = ["generation", "GiB a core", "TFLOP/s a core", "GB/s a core", "cores a chip", "MHz"]
    return [
        head,
        *(
            [
                name, f"{one.memory_gib / one.cores:g}", f"{one.peak_tflops / one.cores:.1f}",
                f"{one.bandwidth_gb / one.cores:g}", str(one.cores), f"{one.clock_mhz:g}",
            ]
            for name, one in GENERATIONS.items()
        ),
    ]  # fmt: skip


def as_text(rows: Sequence[Sequence[str]]) -> str:
    """Returns a table for a terminal: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def verdict(compiled: Compiled) -> str:
    """Returns "fits", or why not."""
    if compiled.costs is None:
        return REFUSED
    return "fits" if compiled.fits else "does not fit"


def _part_cells(sums, key, peak):
    if key not in sums:
        return ["", "", "", ""]
    whole, part = sum(each.milliseconds for each in sums.values()), sums[key]
    share = part.milliseconds / whole if whole else 0.0
    of_peak = part.flops / (part.milliseconds / 1e3 * peak) if part.milliseconds else 0.0
    products = [f"{part.flops / 1e12:.3f}", f"{of_peak:.0%}"] if part.flops else ["", ""]
    return [f"{part.milliseconds:.2f}", f"{share:.1%}", *products]


_FIGURES = {
    "memory": verdict,
    "needed / there is, GiB": lambda each: f"{each.memory.needed / GIB:.2f} / {each.memory.capacity / GIB:.0f}",
    "arguments, GiB": lambda each: f"{each.memory.arguments / GIB:.2f}",
    "temporaries, GiB": lambda each: f"{each.memory.temporaries / GIB:.2f}",
    "most clips per core (estimate)": lambda each: str(each.most_clips),
    "graph nodes": lambda each: f"{each.nodes:,}",
    "lowering, s": lambda each: f"{each.lowering_seconds:.1f}",
}
_FIGURES_OF_PROGRAM = {
    "estimated ms per step": lambda each: f"{each.costs.milliseconds:.2f}",
    "estimated ms per clip": lambda each: f"{each.costs.milliseconds / each.clips:.2f}",
    "TFLOP": lambda each: f"{each.costs.flops / 1e12:.3f}",
    "share of peak": lambda each: f"{each.costs.peak_share:.1%}",
    "GB read and written": lambda each: f"{each.costs.bytes_accessed / 1e9:.2f}",
    "collectives, MB": lambda each: f"{each.costs.collectives.bytes / 1e6:.1f}",
    "padding of arrays": lambda each: f"{each.costs.padding.arrays:.1%}",
    "padding of matrix products": lambda each: f"{each.costs.padding.products:.1%}",
    "random generators (the device's own)": lambda each: f"{each.generators} ({each.device_generators})",
    "compiling, s": lambda each: f"{each.compile_seconds:.1f}",
}
