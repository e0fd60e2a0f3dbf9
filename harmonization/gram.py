"""Gram matrices of the objectives' gradients, one variable at a time.

Gradients are never concatenated. Measured on 2 CPU cores (TensorFlow 2.20): `reduce_sum(a * b)` of
20 million numbers is exact to 5e-8 (1.5e-7 under XLA), the `[1, k] x [k, 1]` product only to 2e-3
(4e-2 under XLA), because a matrix product adds up one long chain; on newer GPUs it would also round
to TF32 and on TPUs to bfloat16. The product is a quarter faster and needs no temporary, but that
of `a * b` is one variable's, freed before the update is allocated, so it hardly raises the peak.
The diagonal uses `l2_loss`, which is as exact and has no temporary. XLA's CPU compiler does
not run the variables one after the other: there they add up to two to four gradients.

In a graph on a CPU large variables are read part by part, so that a part comes from memory once for all its
products. In chains of a thousand numbers a matrix product is as exact as the others. XLA gets whole variables: it can
add up the products while it computes the gradients.
"""

import itertools
from collections.abc import Callable, Sequence

import tensorflow as tf

Gradient = tf.Tensor | tf.IndexedSlices | None
"""One objective's gradient of one variable; `None` where it does not reach the variable."""
Pairs = Sequence[tuple[int, int]]

_PART_NUMBERS = 2**20  # of all gradients together: 4 MB, which stay in a cache (docs/speed.md)
_ROW_NUMBERS = 2**10  # what a matrix product adds up in one chain
_MOST_ALONE = 6  # products of a part, those of three gradients; with more, one matrix product is faster


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
    """Inner products of the objectives' gradients in every variable, accumulated in float32 (float64 for float64 gradients).

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
    entries = _all_products(list(zip(*gradients, strict=True)), pairs)
    position = {pair: at for at, pair in enumerate(pairs)}
    order = [[position[min(i, j), max(i, j)] for j in range(objectives)] for i in range(objectives)]
    return tf.gather(entries, tf.constant(order), axis=1)


def cross_gram(first: Sequence[Sequence[tf.Tensor | None]], second: Sequence[Sequence[tf.Tensor | None]]) -> tf.Tensor:
    """Inner products of the gradients of two batches in every variable, accumulated likewise; `None` counts as zero.

    Args:
      first: A list over objectives of lists over variables.
      second: The same.

    Returns:
      [variables, objectives, objectives] float32, rows by the objectives of the first batch.
    """
    count = len(first)
    pairs = [(i, count + j) for i in range(count) for j in range(count)]
    entries = _all_products(list(zip(*first, *second, strict=True)), pairs)
    return tf.reshape(entries, [-1, count, count])


def squares(gradients: Sequence[tf.Tensor | None]) -> tf.Tensor:
    """Squared norms of one gradient per variable, [variables] float32; `None` counts as zero."""
    return tf.stack(
        [tf.zeros([]) if each is None else tf.cast(_square(widened(each)), tf.float32) for each in gradients]
    )


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
        return tf.stack([tf.cast(products_of(column, pairs), tf.float32) for column in columns])

    in_parts = not tf.executing_eagerly() and runs_on_cpus_alone() and any(map(_part_numbers, columns))
    if not in_parts:
        return stacked(_inner_products)
    place = tf.raw_ops.DeviceIndex(device_names=["CPU"])  # 0 on a CPU, 1 elsewhere and in whatever XLA compiles
    return tf.switch_case(place, [lambda: stacked(_products_by_part), lambda: stacked(_inner_products)])


def _part_numbers(column: Sequence[tf.Tensor | None]) -> int | None:
    """How many numbers of each gradient to read at a time; `None` for all."""
    present = [each for each in column if each is not None]
    if len(present) < 2 or not all(each.shape.is_fully_defined() for each in present):
        return None
    part = max(1, _PART_NUMBERS // len(present) // _ROW_NUMBERS) * _ROW_NUMBERS
    return part if present[0].shape.num_elements() >= 2 * part else None


def _products_by_part(column: Sequence[tf.Tensor | None], pairs: Pairs) -> tf.Tensor:
    size = _part_numbers(column)
    if size is None:
        return _inner_products(column, pairs)
    flat = [None if each is None else tf.reshape(each, [-1]) for each in column]
    parts, rest = divmod(next(each.shape[0] for each in flat if each is not None), size)
    sums = _sum_over_parts(flat, pairs, parts, size)
    if rest:
        sums += _inner_products([None if each is None else each[parts * size :] for each in flat], pairs)
    return sums


def _sum_over_parts(flat: Sequence[tf.Tensor | None], pairs: Pairs, parts: int, size: int) -> tf.Tensor:
    def add(part, sums):
        # Slices that start and end at multiples of 64 bytes are no copies.
        cut = [None if each is None else tf.slice(each, [part * size], [size]) for each in flat]
        return part + 1, sums + _products_of_part(cut, pairs)

    start = (0, tf.zeros([len(pairs)], _dtype(flat)))
    return tf.while_loop(lambda part, _: part < parts, add, start, parallel_iterations=1)[1]


def _products_of_part(part: Sequence[tf.Tensor | None], pairs: Pairs) -> tf.Tensor:
    present = [at for at, each in enumerate(part) if each is not None]
    if sum(i in present and j in present for i, j in pairs) <= _MOST_ALONE:
        return _inner_products(part, pairs)
    rows = tf.stack([tf.reshape(widened(part[at]), [-1, _ROW_NUMBERS]) for at in present], axis=1)
    gram = tf.reduce_sum(tf.matmul(rows, rows, transpose_b=True), axis=0)
    place = {at: row for row, at in enumerate(present)}
    count = len(present)
    order = [place[i] * count + place[j] if i in place and j in place else count**2 for i, j in pairs]
    return tf.gather(tf.concat([tf.reshape(gram, [-1]), tf.zeros([1], gram.dtype)], axis=0), tf.constant(order))


def _inner_products(column: Sequence[tf.Tensor | None], pairs: Pairs) -> tf.Tensor:
    """The inner products of the pairs in one variable, [pairs], in the precision of the arithmetic."""
    wide = [None if each is None else widened(each) for each in column]
    products, dtype = [], _dtype(column)
    for i, j in pairs:
        # One after the other: each has a temporary as large as the variable.
        with tf.control_dependencies(products[-1:]):
            products.append(tf.cast(_inner_product(wide[i], wide[j]), dtype))
    return tf.stack(products)


def _dtype(column: Sequence[tf.Tensor | None]) -> tf.DType:
    sizes = [each.dtype.size for each in column if each is not None]
    return tf.float64 if max(sizes, default=0) > 4 else tf.float32


def _inner_product(first: tf.Tensor | None, second: tf.Tensor | None) -> tf.Tensor:
    if first is None or second is None:
        return tf.zeros([])
    if first is second:
        return _square(first)
    return tf.reduce_sum(first * tf.cast(second, first.dtype))


def _square(gradient: tf.Tensor) -> tf.Tensor:
    return 2 * tf.nn.l2_loss(gradient)
