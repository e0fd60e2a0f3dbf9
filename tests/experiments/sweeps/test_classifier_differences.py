"""The paired differences to the controls, from the committed runs on `imbalanced`."""

import csv
import pathlib

import numpy as np
import pytest
from scipy import stats

from experiments.classifiers.table import COLUMNS, EPOCHS
from experiments.sweeps.classifier_differences import differences

RUNS = pathlib.Path(__file__).parents[3] / "docs" / "supervised_runs.csv"


@pytest.fixture
def rows() -> list[dict]:
    columns = [f"{name}_{epoch}" for name in COLUMNS for epoch in EPOCHS]
    with RUNS.open() as file:
        return [{**row, **{name: float(row[name]) for name in columns}} for row in csv.DictReader(file)]


def lines(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if " - " in line[:40]]


def test_differences_are_paired_by_seed_and_have_intervals(rows):
    found = lines(differences(rows))
    assert len(found) == 2 * 7  # pairs, at two epochs
    at_last = {name: cells for name, *cells in found[7:]}
    by_method = {
        name: {row["seed"]: row["multimodal_last"] for row in rows if row["method"] == name}
        for name in ("dgl", "uniform")
    }
    gains = np.array([100 * (by_method["dgl"][seed] - by_method["uniform"][seed]) for seed in by_method["dgl"]])
    half_width = stats.sem(gains) * stats.t.ppf(0.975, len(gains) - 1)
    assert at_last["dgl - uniform"][0] == f"{gains.mean():+.1f} ± {half_width:.1f}"
    assert at_last["dgl - uniform"][3] == "5" and at_last["ogm_ge - joint"][4] == "**worse**"
    assert at_last["mmpareto - uniform_scaled"][4] == "undecided"


def test_pairs_without_two_common_seeds_have_no_line(rows):
    some = [row for row in rows if row["method"] != "joint" and (row["method"] != "dgl" or row["seed"] == "0")]
    names = {name for name, *_ in lines(differences(some))}
    assert names == {"uniform_scaled - uniform", "mmpareto - uniform_scaled", "gradient_blending - uniform"}
