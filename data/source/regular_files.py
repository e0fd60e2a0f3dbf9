"""Files that can be read to their end; who opens a pipe or a device may wait for ever."""

from __future__ import annotations

import errno
import os
import stat


def require_regular(path: str) -> None:
    """Raises `OSError` unless a path of this machine is a file that can be read to its end: no pipe, device or socket."""
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode):
        what = next((name for name, matches in _UNUSUAL.items() if matches(mode)), "not a file")
        raise OSError(errno.EINVAL, f"{what}, not a regular file", path)


def require_no_pipe(path: str) -> None:
    """Raises `OSError` if a path of this machine is a pipe, device or socket, whose reader could wait for ever."""
    if "://" not in path and os.path.exists(path) and not os.path.isdir(path):
        require_regular(path)


def require_no_pipes(folder: str) -> None:
    """Raises `OSError` as `require_no_pipe`, for all that lies in a folder, without asking a file system for each regular file."""
    if "://" in folder:
        return
    with os.scandir(folder) as found:
        for entry in found:
            if not entry.is_file(follow_symlinks=False):
                require_no_pipe(entry.path)


_UNUSUAL = {
    "a folder": stat.S_ISDIR,
    "a named pipe": stat.S_ISFIFO,
    "a socket": stat.S_ISSOCK,
    "a device": lambda mode: stat.S_ISCHR(mode) or stat.S_ISBLK(mode),
}
