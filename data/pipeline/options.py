"""Options of tf.data for all input pipelines."""

import tensorflow as tf

_MORE_THAN_ANY_MACHINE_HAS = 1024  # cores; tf.data takes the smaller of this and what there is


def input_options() -> tf.data.Options:
    """Makes options for a pipeline in order, that makes as many clips at once as its machine has cores.

    Autotuning is off. It would find that parallelism too, as nearly all time goes into one `map`; and its thread may miss
    that its iterator is let go, which then waits for it: 15 to 60 s at the end of a run were seen (TensorFlow 2.20). A
    strategy's own iterators, one per device, cannot be told so: a mirrored run may still take that long to go away.
    """
    options = tf.data.Options()
    options.deterministic = True
    options.autotune.enabled = False
    options.autotune.initial_parallelism = _MORE_THAN_ANY_MACHINE_HAS
    return options
