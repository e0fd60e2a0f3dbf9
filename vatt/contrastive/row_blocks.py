"""A function of every row of a batch and of the whole batch, computed for a few rows at a time."""

from collections.abc import Callable, Sequence

import tensorflow as tf


def in_row_blocks(
    function: Callable[..., tf.Tensor], rows: Sequence[tf.Tensor], shared: Sequence[tf.Tensor], block_rows: int | None
) -> tf.Tensor:
    """Returns `function(*rows, *shared)`, of which no more than the values of a block of rows are in memory at once.

    The blocks are computed one after the other, and again for their gradients. So values of every row with every clip of the
    batch, whose number grows with the square of the batch, need not all exist at the same time.

    Args:
      function: Returns a float32 value for each row, [rows]. It uses no other tensors that are differentiated.
      rows: [batch, ...] each, of static shape; a block is made of these.
      shared: Tensors that every block sees whole.
      block_rows: Rows of a block; a divisor of the batch. `None` computes all at once.

    Returns:
      float32 [batch], differentiable with respect to all floats among `rows` and `shared`.
    """
    if block_rows is None:
        return function(*rows, *shared)
    rows, shared = ([tf.convert_to_tensor(each) for each in tensors] for tensors in (rows, shared))
    count = rows[0].shape[0] // block_rows

    def in_blocks(values: tf.Tensor) -> tf.Tensor:
        return tf.reshape(values, [count, block_rows, *values.shape[1:]])

    @tf.custom_gradient
    def compute(*tensors):
        blocks, whole = [in_blocks(each) for each in tensors[: len(rows)]], tensors[len(rows) :]

        def arguments(index: tf.Tensor) -> list[tf.Tensor]:
            return [*(tf.gather(each, index) for each in blocks), *whole]

        found = tf.map_fn(
            lambda index: function(*arguments(index)), tf.range(count),
            fn_output_signature=tf.TensorSpec([block_rows]), parallel_iterations=1,
        )  # fmt: skip

        def pull_back(upstream):
            return _pulled_back(function, arguments, in_blocks(upstream), tensors, len(rows))

        return tf.reshape(found, [-1]), pull_back

    return compute(*rows, *shared)


def _pulled_back(function, arguments, upstream, tensors, rows):
    """The gradients with respect to all tensors, None for those that are no floats."""
    count = upstream.shape[0]
    floats = [place for place, each in enumerate(tensors) if each.dtype.is_floating]
    of_rows, of_shared = ([place for place in floats if (place < rows) == wanted] for wanted in (True, False))

    def add_block(index, stacks, sums):
        values = arguments(index)
        sources = [values[place] for place in floats]
        with tf.GradientTape() as tape:
            tape.watch(sources)
            found = function(*values)
        gradients = tape.gradient(found, sources, tf.gather(upstream, index), unconnected_gradients="zero")
        own, common = gradients[: len(of_rows)], gradients[len(of_rows) :]
        stacks = [stack.write(index, each) for stack, each in zip(stacks, own, strict=True)]
        return index + 1, stacks, [total + each for total, each in zip(sums, common, strict=True)]

    stacks = [tf.TensorArray(tensors[place].dtype, count) for place in of_rows]
    sums = [tf.zeros_like(tensors[place]) for place in of_shared]
    _, stacks, sums = tf.while_loop(
        lambda index, *_: index < count, add_block, (0, stacks, sums), parallel_iterations=1, maximum_iterations=count
    )
    stacked = [tf.reshape(stack.stack(), tensors[place].shape) for stack, place in zip(stacks, of_rows, strict=True)]
    found = dict(zip(floats, [*stacked, *sums], strict=True))
    return [found.get(place) for place in range(len(tensors))]
