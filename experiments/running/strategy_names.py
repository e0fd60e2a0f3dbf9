"""The names of the distribution strategies, without TensorFlow, so that --help need not load it."""

STRATEGIES = ("one_device", "mirrored", "multi_worker", "tpu")
