"""Stored programs in the compilers' own writing, cut down to a few lines."""

import pathlib

import pytest

from experiments.tpu_compiling.optimized import Program, parse_program

PROGRAMS = pathlib.Path(__file__).parent / "programs"


@pytest.fixture
def program() -> Program:
    """A small optimized program: a loop, a conditional, a collective, fusions of several kinds."""
    return parse_program((PROGRAMS / "optimized.hlo").read_text())


@pytest.fixture
def step_text() -> str:
    """A small step in StableHLO, with what has to be rewritten."""
    return (PROGRAMS / "step.mlir").read_text()
