"""Compiles the training step for TPUs on a machine without one, and prices it; see docs/tpu.md."""
