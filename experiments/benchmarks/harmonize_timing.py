"""The work of `experiments.benchmarks.harmonize`."""

import functools
import json
import math
from collections.abc import Callable

from absl import flags

from experiments.benchmarks.measure import median_seconds, peak_bytes, run_worker, seconds_of

FLAGS = flags.FLAGS
FLOAT_BYTES = 4


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
        update = _plain_sum
    elif name == "flat":
        update = _flattened
    else:
        update = _method(name, objectives)
    return tf.function(update, autograph=False, jit_compile=way.endswith("XLA") or None)


def _plain_sum(gradients):
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


def _method(name: str, objectives: int) -> Callable:
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
        return update, report["weights"]

    return update


def decision(name: str, objectives: int) -> Callable:
    """The compiled function from a Gram matrix, [objectives, objectives] float32, to a method's weights."""
    import tensorflow as tf

    import harmonization

    method = harmonization.get(name, **harmonization.METHODS[name].example_options(objectives))
    groups = method.example_groups or ("all",)
    method.build(objectives, groups)
    about = {"losses": tf.ones([objectives]), "scores": dict.fromkeys(groups, tf.constant(0.5)), "name": groups[0]}

    def weights(gram, step):
        group = harmonization.Group(gram, step=step, variable_gram=tf.tile(gram[None] / 3.0, [3, 1, 1]), **about)
        decided = method.decide(group)
        return decided.weights, [value for _, value in decided.state]

    return tf.function(weights, autograph=False, jit_compile=True)


def report_decisions(objectives: int) -> None:
    """Times every method's decision and prints the table."""
    import tensorflow as tf

    import harmonization

    rows = tf.random.stateless_normal([objectives, 3 * objectives], [0, objectives])
    gram, step, calls = rows @ tf.transpose(rows), tf.constant(3, tf.int64), {}
    print(f"\n{objectives} objectives, XLA\n{'method':<15}{'compile s':>10}{'ms':>8}")
    for name in harmonization.METHODS:
        calls[name] = functools.partial(decision(name, objectives), gram, step)
    first = {name: seconds_of(call) for name, call in calls.items()}
    for name, seconds in median_seconds(calls, FLAGS.repeats).items():
        print(f"{name:<15}{first[name]:>10.2f}{seconds * 1e3:>8.3f}", flush=True)


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
    print("x bound: time relative to the bound without XLA. extra: memory beyond the gradients, the update included.")
    for parameters in FLAGS.parameters:
        for objectives in FLAGS.objectives:
            report(parameters, objectives)
