"""Shared parts of the training programs: the loop, its log, its progress, its table of quantities."""
