"""How fast a run is: when its next line is due, how long it will take, how much memory it needs."""

import resource

import tensorflow as tf

STARVED_SHARE = 0.1
"""A run that waits for data longer than this share of the time is told what to do about it."""
_STARVED_LINES, _STARVED_SECONDS = 3, 30.0  # at least so many lines in a row, over so long
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


class Starvation:
    """Notices that steps wait for data, not once but for a while."""

    def __init__(self):
        self._lines, self._seconds, self._waited, self._told = 0, 0.0, 0.0, False

    @property
    def share(self) -> float:
        """The share of the time that was spent waiting, over all lines since it was last small."""
        return self._waited / self._seconds if self._seconds else 0.0

    def is_lasting(self, seconds: float, waited_share: float) -> bool:
        """Takes a line; returns whether the user should be told now, which happens once.

        Args:
          seconds: That the line stands for.
          waited_share: Share of it in which the steps waited.
        """
        if not waited_share > STARVED_SHARE:
            self._lines, self._seconds, self._waited = 0, 0.0, 0.0
            return False
        self._lines += 1
        self._seconds += seconds
        self._waited += waited_share * seconds
        lasting = self._lines >= _STARVED_LINES and self._seconds >= _STARVED_SECONDS and not self._told
        self._told |= lasting
        return lasting


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
