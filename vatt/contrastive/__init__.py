"""The losses over all pairs of a batch, what they rest on, and what judges clips by them."""
