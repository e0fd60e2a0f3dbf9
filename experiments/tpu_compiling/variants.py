"""The steps that are compiled next to each other; no TensorFlow."""

import dataclasses

VARIANTS = {
    "configured": "the step as the configuration has it",
    "plain": "harmonizer 'sum', without a gate, in one backward pass, as training takes the steps that it does not measure",
    "after": "harmonized after the gradients are summed over the replicas",
    "before": "harmonized before, on each replica",
}
"""Name to what it is."""
_NEVER = 2**31 - 1  # steps


def configure(settings, variant: str):
    """Returns the configuration of a variant.

    Args:
      settings: A `Pretrain`.
      variant: One of `VARIANTS`.
    """
    changes = {
        "configured": {},
        "plain": {
            "harmonizer": "sum", "granularity": "batch", "clip_gate": None, "clip_softness": 0.0,
            "measure_gradients_every": _NEVER,
        },
        "after": {"all_reduce": "after"}, "before": {"all_reduce": "before"},
    }  # fmt: skip
    return dataclasses.replace(settings, **changes[variant])
