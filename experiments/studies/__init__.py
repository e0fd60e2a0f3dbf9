"""The study on planted noise: its parts; `experiments.study` runs it."""
