"""What every long program needs: command line, gin, run directory, checkpoints, progress, jobs."""
