"""Evaluating a pre-training run: tasks, results, tables."""
