"""Weights from files: checkpoints of runs, and those of the published code."""
