"""Gram matrices of the objectives' gradients, one variable at a time.

Gradients are never concatenated. Measured on 2 CPU cores (TensorFlow 2.20): `reduce_sum(a * b)` of
20 million numbers is exact to 5e-8 (1.5e-7 under XLA), the `[1, k] x [k, 1]` product only to 2e-3
(4e-2 under XLA), because a matrix product adds up one long chain; on newer GPUs it would also round
to TF32 and on TPUs to bfloat16. The product is a quarter faster and needs no temporary, but that
of `a * b` is one variable's, freed before the update is allocated, so it hardly raises the peak.
The diagonal uses `l2_loss`, which is as exact and has no temporary. XLA's CPU compiler does
not run the variables one after the other: there they add up to two to four gradients.

In a graph on a CPU large variables are read part by part, so that a part comes from memory once for all
its products. XLA gets whole variables: where it computes a gradient, it can sum the products at once.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

Gradient = tf.Tensor | tf.IndexedSlices | None
"""One objective's gradient of one variable; `None` where it does not reach the variable."""
Pairs = Sequence[tuple[int, int]]

_PART_NUMBERS = 2**20  # 4 MB, which stay in a cache
_ROW_NUMBERS = 2**10  # what a matrix product adds up in one chain, which costs no more than a digit
_MOST_PAIRS_ALONE = 6  # of three objectives; from there on one matrix product is faster


def to_dense(gradients: Sequence[Sequence[Gradient]]) -> list[list[tf.Tensor | None]]:
    """Checks the gradients and makes those of embeddings dense.

    `IndexedSlices` become tensors in which the slices of a repeated index are added up.

    Args:
      gradients: A list over objectives of lists over variables.

    Returns:
      The same lists with entries that are floating-point tensors or `None`.

    Raises:
      ValueError: If the lists are empty or of unequal lengths, if an entry is not floating point,
        if `IndexedSlices` lack their `dense_shape`, or if two objectives disagree on the shape or
        dtype of a variable.
    """
    rows = [list(row) for row in gradients]
    lengths = [len(row) for row in rows]
    if not rows or not lengths[0] or len(set(lengths)) > 1:
        raise ValueError(
            "`gradients` should be a list over objectives of equally long lists over variables. "
            f"Found {len(rows)} objectives with {lengths} variables."
        )
    dense = [[_dense(entry, f"gradients[{i}][{k}]") for k, entry in enumerate(row)] for i, row in enumerate(rows)]
    for k, column in enumerate(zip(*dense, strict=True)):
        present = [entry for entry in column if entry is not None]
        _check_shapes(k, [entry.shape for entry in present])
        if len({widened(entry).dtype for entry in present}) > 1:
            raise ValueError(
                f"The gradients of variable {k} should have one dtype. "
                f"Found {', '.join(entry.dtype.name for entry in present)}."
            )
    return dense


def variable_gram(gradients: Sequence[Sequence[tf.Tensor | None]]) -> tf.Tensor:
    """Inner products of the objectives' gradients in every variable, accumulated in float32.

    `None` counts as zero and costs nothing.
    The result is inf where a norm exceeds 1.8e19 and zero where it lies below 1e-19, the range of
    float32 squares.

    Args:
      gradients: What `to_dense` returns.

    Returns:
      [variables, objectives, objectives] float32. A group's Gram matrix is the sum over the group's
      variables.
    """
    objectives = len(gradients)
    pairs = list(itertools.combinations_with_replacement(range(objectives), 2))
    columns = [[None if g is None else widened(g) for g in column] for column in zip(*gradients, strict=True)]
    entries = _all_products(columns, pairs)
    position = {pair: at for at, pair in enumerate(pairs)}
    order = [[position[min(i, j), max(i, j)] for j in range(objectives)] for i in range(objectives)]
    return tf.gather(entries, tf.constant(order), axis=1)


def cross_gram(first: Sequence[Sequence[tf.Tensor | None]], second: Sequence[Sequence[tf.Tensor | None]]) -> tf.Tensor:
    """Inner products of the gradients of two batches in every variable; `None` counts as zero.

    Args:
      first: A list over objectives of lists over variables.
      second: The same.

    Returns:
      [variables, objectives, objectives] float32, rows by the objectives of the first batch.
    """
    count = len(first)
    pairs = [(i, count + j) for i in range(count) for j in range(count)]
    columns = zip(*first, *second, strict=True)
    entries = _all_products([[None if g is None else widened(g) for g in column] for column in columns], pairs)
    return tf.reshape(entries, [-1, count, count])


def squares(gradients: Sequence[tf.Tensor | None]) -> tf.Tensor:
    """Squared norms of one gradient per variable, [variables] float32; `None` counts as zero."""
    return tf.stack([tf.zeros([]) if each is None else _square(widened(each)) for each in gradients])


def find_nonfinite(variable_gram: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Names the first gradient that is not finite, or too large for float32 squares.

    If it finds none although the report says `finite: False`, only the sum over the variables is
    too large.

    Args:
      variable_gram: [variables, objectives, objectives], as in the report of `harmonize`.

    Returns:
      The indices of the variable and of the objective, [] int32; both -1 if every gradient is finite.
    """
    bad = ~tf.math.is_finite(tf.linalg.diag_part(variable_gram))
    variable = tf.argmax(tf.reduce_any(bad, axis=1), output_type=tf.int32)
    # A slice at a computed place would be a compile-time constant to XLA: it would compile each step again.
    objective = tf.argmax(tf.gather(bad, variable), output_type=tf.int32)
    some = tf.reduce_any(bad)
    return tf.where(some, variable, -1), tf.where(some, objective, -1)


def first_nonfinite(values: tf.Tensor) -> tf.Tensor:
    """The place of the first of some numbers, [n], that is not finite, [] int32; -1 if all are."""
    good = tf.math.is_finite(values)
    return tf.where(tf.reduce_all(good), -1, tf.argmin(tf.cast(good, tf.int32), output_type=tf.int32))


def widened(gradient: tf.Tensor) -> tf.Tensor:
    """The gradient in the precision of the arithmetic: 16-bit types as float32."""
    return tf.cast(gradient, tf.float32) if gradient.dtype.size < 4 else gradient


def runs_on_cpus_alone() -> bool:
    """Whether there are no devices but CPUs, and functions run as graphs."""
    kinds = {device.device_type for device in tf.config.list_logical_devices()}
    return kinds == {"CPU"} and not tf.config.functions_run_eagerly()


def _dense(entry: Gradient, name: str) -> tf.Tensor | None:
    if entry is None:
        return None
    if isinstance(entry, tf.IndexedSlices) and entry.dense_shape is None:
        raise ValueError(f"{name} is an IndexedSlices without `dense_shape`. Set it, or pass a dense tensor.")
    tensor = tf.convert_to_tensor(entry)
    if not tensor.dtype.is_floating:
        raise ValueError(f"{name} should be floating point. Found {tensor.dtype.name}.")
    return tensor


def _check_shapes(variable: int, shapes: list[tf.TensorShape]) -> None:
    for shape in shapes[1:]:
        if not shape.is_compatible_with(shapes[0]):
            found = ", ".join(str(shape) for shape in shapes)
            raise ValueError(f"The gradients of variable {variable} should have one shape. Found {found}.")


def _all_products(columns: Sequence[Sequence[tf.Tensor | None]], pairs: Pairs) -> tf.Tensor:
    """The inner products of the pairs in every variable, [variables, pairs] float32."""

    def stacked(products_of: Callable) -> tf.Tensor:
        return tf.stack([products_of(column, pairs) for column in columns])

    if not (runs_on_cpus_alone() and any(_is_large(column) for column in columns)):
        return stacked(_inner_products)
    on_cpu = tf.raw_ops.DeviceIndex(device_names=["CPU"])  # 1 in what XLA compiles, for whatever device
    return tf.switch_case(on_cpu, [lambda: stacked(_products_by_part), lambda: stacked(_inner_products)])


def _is_large(column: Sequence[tf.Tensor | None]) -> bool:
    present = [each for each in column if each is not None]
    numbers = present[0].shape.num_elements() if len(present) > 1 else None
    return numbers is not None and numbers >= 2 * _PART_NUMBERS


def _products_by_part(column: Sequence[tf.Tensor | None], pairs: Pairs) -> tf.Tensor:
    if not _is_large(column):
        return _inner_products(column, pairs)
    flat = {at: tf.reshape(each, [-1]) for at, each in enumerate(column) if each is not None}
    numbers = next(iter(flat.values())).shape[0]
    parts = numbers // _PART_NUMBERS

    def add(part, sums):
        # Slices that start and end at multiples of 64 bytes are no copies.
        cut = {at: tf.slice(each, [part * _PART_NUMBERS], [_PART_NUMBERS]) for at, each in flat.items()}
        return part + 1, sums + _products_of_part(cut, pairs)

    _, sums = tf.while_loop(lambda part, _: part < parts, add, (0, tf.zeros([len(pairs)])), parallel_iterations=1)
    rest = [flat[at][parts * _PART_NUMBERS :] if at in flat else None for at in range(len(column))]
    return sums + _inner_products(rest, pairs) if numbers % _PART_NUMBERS else sums


def _products_of_part(part: Mapping[int, tf.Tensor], pairs: Pairs) -> tf.Tensor:
    if len(pairs) <= _MOST_PAIRS_ALONE:
        return _inner_products([part.get(at) for at in range(1 + max(itertools.chain(*pairs)))], pairs)
    rows = tf.stack([tf.reshape(each, [-1, _ROW_NUMBERS]) for each in part.values()], axis=1)
    gram = tf.cast(tf.reduce_sum(tf.matmul(rows, rows, transpose_b=True), axis=0), tf.float32)
    place = {at: row for row, at in enumerate(part)}
    return tf.stack([gram[place[i], place[j]] if i in place and j in place else tf.zeros([]) for i, j in pairs])


def _inner_products(column: Sequence[tf.Tensor | None], pairs: Pairs) -> tf.Tensor:
    products = []
    for i, j in pairs:
        # One after the other: each has a temporary as large as the variable.
        with tf.control_dependencies(products[-1:]):
            products.append(_inner_product(column[i], column[j]))
    return tf.stack(products)


def _inner_product(first: tf.Tensor | None, second: tf.Tensor | None) -> tf.Tensor:
    if first is None or second is None:
        return tf.zeros([])
    if first is second:
        return _square(first)
    return tf.cast(tf.reduce_sum(first * tf.cast(second, first.dtype)), tf.float32)


def _square(gradient: tf.Tensor) -> tf.Tensor:
    return tf.cast(2 * tf.nn.l2_loss(gradient), tf.float32)
