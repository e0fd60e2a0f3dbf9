"""Preparing a data set: its flags, and who makes its records."""
