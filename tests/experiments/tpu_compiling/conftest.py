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
def seldom_program() -> Program:
    """The same, but its conditional has the name of one whose costly branch is seldom taken."""
    text = (PROGRAMS / "optimized.hlo").read_text()
    return parse_program(text.replace('op_name="cond"', 'op_name="vatt/video/encoder/block_0/self_attention/seldom"'))


@pytest.fixture
def step_text() -> str:
    """A small step in StableHLO, with what has to be rewritten."""
    return (PROGRAMS / "step.mlir").read_text()
