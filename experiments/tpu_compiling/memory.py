"""Whether a step fits into a device's memory, and how many clips would. No TensorFlow, no JAX."""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Memory:
    """What a step needs on one device, in bytes.

    Attributes:
      arguments: Weights, Adam's moments and the clips.
      temporaries: Activations, gradients, the update.
      code: The program itself, and results that have no place among the arguments.
      capacity: Of the device.
    """

    arguments: float
    temporaries: float
    code: float
    capacity: float

    @property
    def needed(self) -> float:
        """All of it."""
        return self.arguments + self.temporaries + self.code

    @property
    def fits(self) -> bool:
        """Whether the device holds it."""
        return self.needed <= self.capacity


def memory_of(sizes: dict[str, int], capacity: float) -> Memory:
    """Reads the compiler's statistics, whose results mostly take the place of arguments."""
    results = max(0, sizes["output"] - sizes["alias"])
    return Memory(sizes["argument"], sizes["temp"], sizes["generated_code"] + results, capacity)


def refused(needed: float, available: float, capacity: float) -> Memory:
    """What is known of a step for which the compiler finds memory too short: its temporaries, if nothing else.

    Args:
      needed: Bytes of temporaries.
      available: Bytes that the compiler would give it.
      capacity: Bytes of the device.
    """
    return Memory(0.0, max(needed, available), capacity - available, capacity)


def estimated_most_clips(
    memory: Memory, clips: int, clip_bytes: float, weight_bytes: float, clips_per_pass: int | None = None
) -> int:
    """Estimates the largest number of clips per device that fits, from one compilation.

    Args:
      memory: What a step with `clips` clips needs.
      clips: On each device.
      clip_bytes: Of one clip.
      weight_bytes: Of the trainable weights; both gradients and the update are three times that and do not grow with the
        clips. All other temporaries are taken to.
      clips_per_pass: Clips that pass through the towers at a time, if not all. Temporaries are then those of one pass,
        and only whole passes count.
    """
    if clips_per_pass is not None and clips > clips_per_pass:
        most = max(0, math.floor((memory.capacity - memory.needed) / clip_bytes) + clips)
        return most - most % clips_per_pass
    gradients = min(3 * weight_bytes, memory.temporaries / 2)
    per_clip = clip_bytes + (memory.temporaries - gradients) / clips
    return max(0, math.floor((memory.capacity - memory.needed) / per_clip) + clips)
