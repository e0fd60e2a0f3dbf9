"""Looking into a checkpoint, for the notebook."""
