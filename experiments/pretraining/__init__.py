"""Pre-training: configuration, assembly, the step."""
