"""Methods that change what another method decides."""
