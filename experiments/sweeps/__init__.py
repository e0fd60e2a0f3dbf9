"""Sweeps: their parts; `experiments.sweep` runs them."""
