"""The pages about the methods, from their docstrings."""
