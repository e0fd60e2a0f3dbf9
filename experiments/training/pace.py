"""How fast a run is: when its next line is due, how long it will take, how much memory it needs."""

import resource

import tensorflow as tf

LINE_SECONDS = 10.0
"""Lines are not made rarer once one stands for so many seconds."""


class Pace:
    """The speed of a run, measured from line to line. The first line's time is mostly compilation and does not count.

    Attributes:
      compiling: Whether no line was there yet.
      line_steps: Steps that the next line stands for, where the loop does not end sooner: 1, then 1, 2, 4, ...
    """

    def __init__(self):
        self.compiling, self.line_steps = True, 1
        self._steps, self._seconds = 0, 0.0

    @property
    def step_seconds(self) -> float | None:
        """Mean seconds of all steps that were timed; `None` before the first."""
        return self._seconds / self._steps if self._steps else None

    def add(self, steps: int, seconds: float) -> None:
        """Takes the steps that a line stands for."""
        if self.compiling:
            self.compiling = False
            return
        self._steps += steps
        self._seconds += seconds
        if steps >= self.line_steps and seconds < LINE_SECONDS:
            self.line_steps *= 2


def peak_memory_gib() -> float:
    """Returns the most memory that was in use so far: of the first GPU, or of this process where there is none."""
    gpus = tf.config.list_logical_devices("GPU")
    if gpus:
        return tf.config.experimental.get_memory_info(gpus[0].name)["peak"] / 2**30
    return _peak_resident_kib() / 2**20


def _peak_resident_kib() -> int:
    """The process's own peak: that of `getrusage` begins with what the program held that started this one."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            (peak,) = (line.split()[1] for line in status if line.startswith("VmHWM:"))
        return int(peak)
    except (OSError, ValueError):  # not on Linux, or hidden by a sandbox
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
