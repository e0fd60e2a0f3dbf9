"""The page about a run: its parts; `experiments.report` writes it."""
