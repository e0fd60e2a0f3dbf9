"""The downstream protocols of the paper; `experiments.evaluate --tasks` runs them."""
