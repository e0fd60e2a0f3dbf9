"""Durations as readable text."""


def duration(seconds: float) -> str:
    """Returns a time as people say it: `8d04h`, `3h20m`, `5m07s`."""
    seconds = int(seconds)
    if seconds >= 86_400:
        return f"{seconds // 86_400}d{seconds % 86_400 // 3_600:02d}h"
    if seconds >= 3_600:
        return f"{seconds // 3_600}h{seconds % 3_600 // 60:02d}m"
    return f"{seconds // 60}m{seconds % 60:02d}s"
