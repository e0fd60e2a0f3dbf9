"""The layers of a block, and the functions that they are made of."""
