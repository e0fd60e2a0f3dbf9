"""From records or files to batches of clips."""
