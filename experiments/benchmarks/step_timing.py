"""The work of `experiments.benchmarks.step`."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from absl import flags

from experiments.benchmarks.checkouts import THIS, Checkout
from experiments.benchmarks.measure import medians
from experiments.benchmarks.step_worker import PLAIN
from experiments.running.command_line import BadInput

FLAGS = flags.FLAGS
CONFIGURED = "configured"
NEVER = 2**31 - 1
_WIDTH = 24


def bound(flops: Mapping[str, float]) -> float:
    """Returns the least ratio of the harmonized step's time to the plain step's; see the module.

    Args:
      flops: Of each modality's forward pass.
    """
    video_share = flops["video"] / sum(flops.values())
    return (1 + 2 * (1 + video_share)) / 3


def run() -> None:
    """Prints the table.

    Raises:
      BadInput: A method or checkout is none, or the configuration is wrong.
    """
    if FLAGS.compiling:
        _report_compiling()
        return
    ways = _ways()
    with ExitStack() as stack:
        checkouts = [
            stack.enter_context(Checkout(root, FLAGS.gin_file, FLAGS.gin_bindings, ways))
            for root in [THIS, *([FLAGS.against] if FLAGS.against else [])]
        ]
        calls = {
            (checkout.root, step): checkout.step(step) for step in checkouts[0].steps for checkout in checkouts
            if step in checkout.steps
        }  # fmt: skip
        seconds = medians(calls, FLAGS.repeats)
    shares, least = _bound()
    print(f"shares of the forward pass  {shares}")
    print(f"bound of two gradients      {least:.3f} of a plain step: 1 + 2 (1 + v) over 3")
    for index, clock in enumerate(("by the clock", "processor time")):
        of_clock = {place: each[index] for place, each in seconds.items()}
        print("\n".join([f"\n{clock}", *table(of_clock, [checkout.root for checkout in checkouts])]))
    _print_refused(checkouts[0].refused)


def _print_refused(refused: Mapping[str, str]) -> None:
    for method, reason in refused.items():
        print(f"{method:<{_WIDTH}} not timed: {reason}")


def _report_compiling() -> None:
    from experiments.benchmarks.compile_timing import median_compilations, table

    if FLAGS.against:
        raise BadInput("`--compiling` should be used without `--against`. Found both.")
    ways = {name: [*FLAGS.gin_bindings, *bindings] for name, bindings in _measured().items()}
    found, refused = median_compilations(FLAGS.gin_file, ways, FLAGS.repeats)
    print("\n".join(table(found, reference="sum")))
    _print_refused(refused)


def table(seconds: Mapping[tuple, float], roots: Sequence) -> list[str]:
    """Returns the lines of the table: a step each, with its time in every checkout and the ratios that matter.

    Args:
      seconds: Of each step, by (checkout, step).
      roots: The checkouts, this one first.
    """
    new, *old = roots
    heads = ["seconds", "/ plain", *(["older s", "older / plain", "older / new"] if old else [])]
    lines = [f"{'step':<{_WIDTH}} " + " ".join(f"{head:>13}" for head in heads)]
    for root, step in seconds:
        if root == new:
            cells = [seconds[new, step], seconds[new, step] / seconds[new, PLAIN]]
            if old and (old[0], step) in seconds:
                older = seconds[old[0], step]
                cells += [older, older / seconds[old[0], PLAIN], older / seconds[new, step]]
            lines.append(f"{step:<{_WIDTH}} " + " ".join(f"{cell:13.4f}" for cell in cells))
    return lines


def _ways() -> dict[str, list[str]]:
    """The steps to time: methods, the configured one by its cheaper Gram matrices, and those without one not measured."""
    import harmonization
    from experiments.pretraining.step import CUTS

    measured = _measured()
    cheaper = {f"{CONFIGURED}, {gram}": [f"pretrain.gram = '{gram}'"] for gram in CUTS}
    unmeasured = {
        f"{name}, unmeasured": [*bindings, f"pretrain.measure_gradients_every = {NEVER}"]
        for name, bindings in measured.items()
        if name != CONFIGURED and not _example(harmonization.METHODS[name]).needs_gram(None)
    }
    return measured | (cheaper if CONFIGURED in measured else {}) | unmeasured


def _measured() -> dict[str, list[str]]:
    """The methods to time, and the bindings of each; both gradients are taken in every step."""
    import harmonization

    return {
        name: [] if name == CONFIGURED else [f"pretrain.harmonizer = '{name}'"]
        for name in _methods(harmonization.METHODS)
    }


def _example(method: type):
    return method(**method.example_options(2))


def _methods(known: Mapping[str, type]) -> list[str]:
    if FLAGS.methods == ["all"]:
        return [CONFIGURED, *known]
    if unknown := sorted(set(FLAGS.methods) - {CONFIGURED, *known}):
        raise BadInput(f"`--methods` should name some of {', '.join(known)}, or all. Found {unknown}.")
    return FLAGS.methods


def _bound() -> tuple[str, float]:
    from experiments.benchmarks.flops import training_flops
    from experiments.pretraining import config
    from experiments.pretraining.assembly import build_model

    settings = config.parse(FLAGS.gin_file, FLAGS.gin_bindings)
    flops = training_flops(build_model(settings, 1000), settings.clips.candidates)
    return ", ".join(f"{name} {value / sum(flops.values()):.3f}" for name, value in flops.items()), bound(flops)
