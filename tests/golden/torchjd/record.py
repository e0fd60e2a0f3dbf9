"""Records what TorchJD answers to the cases, for tests/harmonization/test_torchjd.py.

In an environment of its own, since PyTorch is no dependency of this project:
  python -m venv torchjd && torchjd/bin/pip install "torchjd[full]==0.18.0"
  torchjd/bin/python tests/golden/torchjd/record.py
"""

import importlib.metadata
import pathlib
import sys

import cases
import numpy as np
import torch
from torchjd import aggregation, scalarization
from torchjd.linalg import QuadprogProjector

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
torch.randperm = torch.arange  # PCGrad and GradVac go in order, not in a random one
# The constants that TorchJD adds against a division by zero, so small that they do not count.
EXACT = QuadprogProjector(norm_eps=1e-300, reg_eps=1e-12)
FROM_GRAM = {
    "sum": aggregation.SumWeighting,
    "mean": aggregation.MeanWeighting,
    "upgrad": lambda: aggregation.UPGradWeighting(projector=EXACT),
    "dualproj": lambda: aggregation.DualProjWeighting(projector=EXACT),
    "mgda": lambda: aggregation.MGDAWeighting(epsilon=1e-7, max_iters=1000),
    "cagrad": lambda: aggregation.CAGradWeighting(c=0.5, norm_eps=1e-5),
    "imtl_g": aggregation.IMTLGWeighting,
    "aligned_mtl": aggregation.AlignedMTLWeighting,
    "aligned_mtl_median": lambda: aggregation.AlignedMTLWeighting(scale_mode="median"),
    "aligned_mtl_rmse": lambda: aggregation.AlignedMTLWeighting(scale_mode="rmse"),
    "fairgrad": lambda: aggregation.FairGradWeighting(alpha=2.0, max_iters=200),
    "pcgrad": aggregation.PCGradWeighting,
}
WITH_STATE = {
    "gradvac": aggregation.GradVacWeighting,
    "pcd": lambda: aggregation.PCDWeighting(tau=0.1, beta=0.99, eps=0.0),
    "cr_mogm": lambda: aggregation.CRMOGMWeighting(aggregation.PCGradWeighting()),
}


def of_gram(make, objectives: int, gradients: torch.Tensor) -> np.ndarray:
    """Weights, [matrices, objectives]; NaN where TorchJD fails."""
    return np.stack([_attempted(make(), [rows @ rows.T]) for rows in gradients])


def of_two_steps(make, objectives: int, gradients: torch.Tensor) -> np.ndarray:
    """Weights of the second step, after one with the matrix before."""
    grams = gradients @ gradients.transpose(1, 2)
    return np.stack([_attempted(make(), [grams[i - 1], grams[i]]) for i in range(len(grams))])


def of_config(gradients: torch.Tensor) -> np.ndarray:
    """The updates themselves, [matrices, width]: ConFIG has no weights in TorchJD."""
    return np.stack([aggregation.ConFIG()(rows).numpy() for rows in gradients])


def of_nash_mtl(objectives: int, gradients: torch.Tensor) -> np.ndarray:
    """Weights of the full-rank matrices; NaN elsewhere, where its solver does not settle."""
    method = aggregation.NashMTL(n_tasks=objectives, max_norm=1.0, optim_niter=100)
    found = np.full((len(gradients), objectives), np.nan)
    for index, rows in enumerate(gradients):
        if index % 11 in (0, 6) and torch.linalg.matrix_rank(rows) == objectives:
            method.reset()
            found[index] = _attempted(method.weighting, [rows])
    return found


def of_losses(objectives: int) -> dict[str, np.ndarray]:
    """Weights of the losses of the last step, [sequences, objectives]."""
    ones, rows = {}, torch.from_numpy(cases.losses(objectives)).double()
    ones["stch"] = [_slopes(scalarization.STCH(mu=0.5), sequence[-1]) for sequence in rows]
    ones["gls"] = [_slopes(scalarization.GeometricMean(), sequence[-1]) for sequence in rows]
    ones["uw"] = [_learned(scalarization.UW(objectives), sequence) for sequence in rows]
    ones["imtl_l"] = [_learned(scalarization.IMTLL(objectives), sequence) for sequence in rows]
    ones["dwa"] = [_dwa(sequence) for sequence in rows]
    ones["famo"] = [_famo(sequence) for sequence in rows]
    return {name: np.stack(found) for name, found in ones.items()}


def _attempted(weighting, steps) -> np.ndarray:
    try:
        for step in steps:
            weights = weighting(step)
    except Exception as error:  # a solver that gives up; the test counts them
        print(f"{type(weighting).__name__}: {type(error).__name__}: {error}"[:200], file=sys.stderr)
        return np.full(len(steps[-1]), np.nan)
    return weights.numpy()


def _slopes(scalarizer, values: torch.Tensor) -> np.ndarray:
    values = values.clone().requires_grad_()
    return torch.autograd.grad(scalarizer(values), values)[0].numpy()


def _learned(scalarizer, sequence: torch.Tensor) -> np.ndarray:
    optimizer = torch.optim.Adam(scalarizer.parameters(), lr=0.025)
    for values in sequence[:-1]:
        optimizer.zero_grad()
        scalarizer(values).backward()
        optimizer.step()
    return _slopes(scalarizer, sequence[-1])


def _dwa(sequence: torch.Tensor, period: int = 4) -> np.ndarray:
    scalarizer = scalarization.DWA(temperature=2.0)
    for step, values in enumerate(sequence[:-1]):
        scalarizer(values)
        if (step + 1) % period == 0:
            scalarizer.step()
    return _slopes(scalarizer, sequence[-1])


def _famo(sequence: torch.Tensor) -> np.ndarray:
    scalarizer = scalarization.FAMO(sequence.shape[1])
    for values, after in zip(sequence[:-1], sequence[1:], strict=True):
        scalarizer(values)
        scalarizer.update(after)
    return _slopes(scalarizer, sequence[-1])


def main() -> None:
    """Writes outputs.npz next to this file."""
    found = {"version": np.array(importlib.metadata.version("torchjd"))}
    for objectives in cases.OBJECTIVES:
        gradients = torch.from_numpy(cases.jacobians(objectives))
        answers = {name: of_gram(make, objectives, gradients) for name, make in FROM_GRAM.items()}
        answers |= {name: of_two_steps(make, objectives, gradients) for name, make in WITH_STATE.items()}
        answers |= {"config": of_config(gradients), "nash_mtl": of_nash_mtl(objectives, gradients)}
        answers |= of_losses(objectives)
        found |= {f"{name}_{objectives}": np.float32(answer) for name, answer in answers.items()}
        print(objectives, flush=True)
    np.savez_compressed(pathlib.Path(__file__).with_name("outputs.npz"), **found)


if __name__ == "__main__":
    main()
