"""The gradients and losses that TorchJD and this project are compared on. NumPy only: both environments import it."""

import numpy as np

OBJECTIVES = range(2, 9)
MATRICES = 286  # of each number of objectives: 2,002 in all
WIDTH = 10
STEPS, SEQUENCES = 12, 20


def jacobians(objectives: int) -> np.ndarray:
    """Returns [MATRICES, objectives, WIDTH] float64: gradients of all ranks and kinds of degeneracy.

    Whole numbers times powers of two, so that the float32 Gram matrix is exact and both sides see the same one.
    """
    generator = np.random.default_rng(objectives)
    return np.stack([_jacobian(index, objectives, generator) for index in range(MATRICES)])


def scales(objectives: int) -> np.ndarray:
    """Returns [MATRICES] float64: by what the test multiplies the gradients, 1e-15 to 1e15."""
    return 2.0 ** np.random.default_rng(200 + objectives).integers(-50, 51, MATRICES)


def _jacobian(index: int, objectives: int, generator: np.random.Generator) -> np.ndarray:
    rank = 1 + index % objectives
    rows = generator.integers(-3, 4, (objectives, rank)) @ generator.integers(-3, 4, (rank, WIDTH))
    kind = index % 11
    if kind == 1:
        rows[generator.integers(objectives)] = 0
    elif kind == 2:
        rows[-1] = 2 * rows[0]
    elif kind == 3:
        rows[-1] = -rows[0]
    elif kind == 4:
        rows[-1] = -rows[:-1].sum(axis=0)
    elif kind == 5:
        rows[:] = rows[0] if index % 2 else 0
    lengths = 2.0 ** generator.integers(-3, 4, (objectives, 1)) if kind > 6 else 1.0
    return rows * lengths


def losses(objectives: int) -> np.ndarray:
    """Returns [SEQUENCES, STEPS, objectives] float32: positive losses over the steps of short trainings."""
    generator = np.random.default_rng(100 + objectives)
    starts = 2.0 ** generator.uniform(-3, 3, (SEQUENCES, 1, objectives))
    falls = np.cumsum(generator.normal(0.02, 0.1, (SEQUENCES, STEPS, objectives)), axis=1)
    return (starts * np.exp(-falls)).astype(np.float32)
