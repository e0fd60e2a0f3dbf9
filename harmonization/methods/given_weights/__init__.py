"""Methods whose weights depend neither on the losses nor on the gradients."""
