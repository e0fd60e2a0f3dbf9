"""Methods that weigh the objectives by the values of their losses alone."""
