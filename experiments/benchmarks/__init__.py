"""Benchmarks: figures measured side by side in one run. They never fail a test."""
