"""The work of `experiments.benchmarks.harmonize`."""

import functools
import json
import math
from collections.abc import Callable

from absl import flags

from experiments.benchmarks.measure import median_seconds, peak_bytes, run_worker, seconds_of

FLAGS = flags.FLAGS
FLOAT_BYTES = 4
_DECISIONS = 100  # in a call, to tell what a decision takes from what a call takes


def ways() -> list[str]:
    """Rows of the table: the bound, the literal way, every method, and some of these under XLA."""
    import harmonization

    every = ["bound", "flat", *harmonization.METHODS, "bound XLA", "flat XLA", "gr XLA"]
    return [way for way in every if FLAGS.ways is None or way in ["bound", *FLAGS.ways]]


def shapes_of(parameters: int) -> list[list[int]]:
    """Shapes of the weights of a Transformer of about that many parameters.

    Args:
      parameters: Wanted number of weights.

    Returns:
      The shapes. Width 1024 (VATT-Medium's) from 50 million on, else the widest that makes for at
      least three layers.
    """
    widths = [64, 128, 256, 512] + ([1024] if parameters >= 50_000_000 else [])
    width = max([w for w in widths if 3 * 12 * w * w <= parameters], default=widths[0])
    matrices = [[width, width]] * 4 + [[width, 4 * width], [4 * width, width]]
    layer = matrices + [[width]] * 9 + [[4 * width]]
    return layer * max(1, round(parameters / (12 * width * width)))


def build(way: str, objectives: int) -> Callable:
    """The compiled function of a way, from the objectives' gradients to the update."""
    import tensorflow as tf

    name = way.removesuffix(" XLA")
    if name == "bound":
        update = plain_sum
    elif name == "flat":
        update = _flattened
    else:
        update = harmonized(name, objectives)
    return tf.function(update, autograph=False, jit_compile=way.endswith("XLA") or None)


def plain_sum(gradients):
    """The bound: what any update must do."""
    import tensorflow as tf

    return [tf.add_n(list(column)) for column in zip(*gradients, strict=True)]


def _flattened(gradients):
    """Gradient realignment as most code does it: one matrix of all gradients, and back."""
    import tensorflow as tf

    import harmonization
    from harmonization import reference

    jacobian = tf.stack([reference.flatten(row) for row in gradients])
    weights = harmonization.GradientRealignment().weights(jacobian @ tf.transpose(jacobian))
    return reference.unflatten(tf.linalg.matvec(jacobian, weights, transpose_a=True), like=gradients[0])


def harmonized(name: str, objectives: int) -> Callable:
    """The function of a method from the objectives' gradients to the update, the weights, and whether the step is kept."""
    import tensorflow as tf

    import harmonization

    method = harmonization.get(name, **harmonization.METHODS[name].example_options(objectives))
    losses, step = tf.ones([objectives]), tf.constant(3, tf.int64)
    scores = {"fusion": tf.constant(0.9), "encoder": tf.constant(0.4)}

    def update(gradients):
        third = len(gradients[0]) // 3
        halves = {"fusion": range(third), "encoder": range(third, len(gradients[0]))}
        groups = halves if name in ("dgl", "ogm_ge") else None
        update, report = harmonization.harmonize(gradients, method, groups, step, losses=losses, scores=scores)
        return update, report["weights"], report["keep"]

    return update


def decisions(name: str, objectives: int) -> Callable:
    """The compiled function (Gram matrix, [objectives, objectives] float32; step; times) that lets a method decide so often."""
    import tensorflow as tf

    import harmonization

    method = harmonization.get(name, **harmonization.METHODS[name].example_options(objectives))
    groups = method.example_groups or ("all",)
    method.build(objectives, groups)
    about = {"losses": tf.ones([objectives]), "scores": dict.fromkeys(groups, tf.constant(0.5)), "name": groups[0]}

    def decide(gram, step):
        group = harmonization.Group(gram, step=step, variable_gram=tf.tile(gram[None] / 3.0, [3, 1, 1]), **about)
        decided = method.decide(group)
        found = [decided.weights, *(value for _, value in decided.state)]
        return tf.add_n([tf.reduce_sum(tf.cast(each, tf.float32)) for each in found])

    def repeated(gram, step, times):
        # Each decision seems to depend on the one before and has its own draws, so that nothing can be taken out of the loop.
        return tf.while_loop(
            lambda done, _: done < times,
            lambda done, found: (done + 1, decide(gram * (1.0 + 1e-30 * found), step + tf.cast(done, tf.int64))),
            (0, tf.constant(0.0)),
        )

    return tf.function(repeated, autograph=False, jit_compile=True)


def report_decisions(objectives: int) -> None:
    """Times every method's decision and prints the table."""
    import tensorflow as tf

    import harmonization

    rows = tf.random.stateless_normal([objectives, 3 * objectives], [0, objectives])
    about, calls = (rows @ tf.transpose(rows), tf.constant(3, tf.int64)), {}
    names = [name for name in harmonization.METHODS if FLAGS.ways is None or name in FLAGS.ways]
    for name in names:
        function = decisions(name, objectives)
        for times in (1, 1 + _DECISIONS):
            calls[name, times] = functools.partial(function, *about, tf.constant(times))
    first = {name: seconds_of(calls[name, 1]) for name in names}
    seconds = median_seconds(calls, FLAGS.repeats)
    print(f"\n{objectives} objectives, XLA\n{'method':<15}{'compile s':>10}{'call ms':>10}{'decision ms':>13}")
    for name in names:
        call = seconds[name, 1]
        alone = (seconds[name, 1 + _DECISIONS] - call) / _DECISIONS
        print(f"{name:<15}{first[name]:>10.2f}{call * 1e3:>10.3f}{alone * 1e3:>13.4f}", flush=True)


def draw(parameters: int, objectives: int) -> list[list]:
    """Gradients that conflict mildly, so that no step is skipped."""
    import tensorflow as tf

    generator = tf.random.Generator.from_seed(0)
    rows = [[generator.normal(shape) for shape in shapes_of(parameters)]]
    for _ in range(objectives - 1):
        rows.append([generator.normal(one.shape) - 0.1 * one for one in rows[0]])
    return rows


def work(quantity: str, parameters: int, objectives: int, repeats: int) -> None:
    """Measures one quantity of every way and prints it as JSON on the last line."""
    gradients = draw(parameters, objectives)
    calls = {way: functools.partial(build(way, objectives), gradients) for way in ways()}
    values = median_seconds(calls, repeats) if quantity == "time" else peak_bytes(calls)
    print(json.dumps(values))


def measure(quantity: str, parameters: int, objectives: int) -> dict[str, float]:
    """Measures one quantity of every way in a process of its own."""
    arguments = [f"--parameters={parameters}", f"--objectives={objectives}", f"--repeats={FLAGS.repeats}"]
    arguments += [] if FLAGS.ways is None else [f"--ways={','.join(FLAGS.ways)}"]
    return run_worker("experiments.benchmarks.harmonize", quantity, arguments)


def report(parameters: int, objectives: int) -> None:
    """Measures every way at one size and prints the table."""
    shapes = shapes_of(parameters)
    count = sum(math.prod(shape) for shape in shapes)
    seconds = measure("time", parameters, objectives)
    extra = measure("memory", parameters, objectives)
    print(f"\n{count / 1e6:.1f} M parameters in {len(shapes)} variables, {objectives} objectives, float32")
    print(f"{'way':<15}{'ms':>9}{'x bound':>9}{'extra MB':>10}{'x gradient':>12}")
    for way, spent in seconds.items():
        times = f"{spent * 1e3:>9.1f}{spent / seconds['bound']:>9.2f}"
        space = f"{extra[way] / 1e6:>10.1f}{extra[way] / (FLOAT_BYTES * count):>12.2f}"
        print(f"{way:<15}{times}{space}", flush=True)


def run() -> None:
    """Prints the tables, or measures for one of them."""
    if FLAGS.worker:
        work(FLAGS.worker, FLAGS.parameters[0], FLAGS.objectives[0], FLAGS.repeats)
        return
    if FLAGS.decisions:
        for objectives in FLAGS.objectives:
            report_decisions(objectives)
        return
    if FLAGS.topology:
        from experiments.benchmarks import harmonize_pricing  # late: it needs a compiler that is not always installed

        harmonize_pricing.report(FLAGS.topology, FLAGS.parameters, FLAGS.objectives, FLAGS.ways or ["gr"])
        return
    print("x bound: time relative to the bound without XLA. extra: memory beyond the gradients, the update included.")
    for parameters in FLAGS.parameters:
        for objectives in FLAGS.objectives:
            report(parameters, objectives)
