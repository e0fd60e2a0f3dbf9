"""Finds the compiler, and prepares a process for it; no TensorFlow, no JAX."""

import importlib.metadata
import os

PACKAGES = ("jax", "jaxlib", "libtpu")
LOCKED = "multi-process lockfile"
"""Part of what libtpu says where another process has it."""
_VARIABLES = {
    "JAX_PLATFORMS": "cpu",
    # Without these libtpu asks a metadata server that only TPU VMs have, and complains about host names.
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v3-8",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_STDERR_LOG_LEVEL": "3",
    "TPU_MIN_LOG_LEVEL": "3",
}


def installed_versions() -> dict[str, str]:
    """Returns the versions of the compiler's packages.

    Raises:
      ValueError: One is missing.
    """
    versions = {name: _version(name) for name in PACKAGES}
    missing = [name for name, version in versions.items() if version is None]
    if missing:
        raise ValueError(
            f"The packages jax and libtpu should be installed, which compile for TPUs on any machine. Missing: "
            f"{', '.join(missing)}. Run: pip install 'vatt-harmonization[compile]', in a checkout: pip install -e '.[compile]'"
        )
    return versions


def prepare() -> None:
    """Sets what libtpu reads when it is loaded; what the user has set stays."""
    for name, value in _VARIABLES.items():
        os.environ.setdefault(name, value)


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
