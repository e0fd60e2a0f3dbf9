"""Where source files are: on disk, remote, in archives."""
