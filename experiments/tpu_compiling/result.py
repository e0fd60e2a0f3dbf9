"""What is known of a compiled step, and how it is written as JSON. No TensorFlow, no JAX."""

import dataclasses
from collections.abc import Mapping

from experiments.tpu_compiling.costs import Costs
from experiments.tpu_compiling.memory import Memory

REFUSED = "the compiler says that its temporaries alone do not fit"


@dataclasses.dataclass(frozen=True)
class Compiled:
    """One variant of the step.

    Attributes:
      clips: On each device.
      memory: What it needs.
      costs: `None` where memory is too short for the compiler to make a program.
      most_clips: The most clips per device that fit, as estimated from `memory`.
      nodes: Operations of the TensorFlow graph.
      generators: Random generators in the program, after duplicates have been merged by TensorFlow.
      device_generators: Those of them that draw from the device's own generator.
      lowering_seconds: From Python to XLA's program.
      compile_seconds: From there to the TPU's.
    """

    clips: int
    memory: Memory
    costs: Costs | None
    most_clips: int
    nodes: int
    generators: int | None
    device_generators: int | None
    lowering_seconds: float
    compile_seconds: float | None

    @property
    def fits(self) -> bool:
        """Whether it can run."""
        return self.costs is not None and self.memory.fits

    def as_json(self) -> dict:
        """Returns JSON values."""
        costs = self.costs
        return {
            **{name: value for name, value in vars(self).items() if name not in ("memory", "costs")},
            "fits": self.fits,
            "memory_bytes": {**dataclasses.asdict(self.memory), "needed": self.memory.needed},
            "costs": costs and {
                **{name: value for name, value in dataclasses.asdict(costs).items() if name != "parts"},
                "milliseconds_per_clip": costs.milliseconds / self.clips,
                "parts": [
                    {"part": part, "modality": modality, **dataclasses.asdict(value)}
                    for (part, modality), value in costs.parts.items()
                ],
            },
        }  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Trial:
    """A compilation that looked for the largest batch.

    Attributes:
      clips: On each device.
      needed_bytes: Of memory; the temporaries' where the compiler refused.
      fits: Whether it fits.
    """

    clips: int
    needed_bytes: float
    fits: bool


@dataclasses.dataclass(frozen=True)
class Result:
    """All that one call of the program found.

    Attributes:
      topology: Name of the topology.
      devices: Replicas.
      versions: Of the compiler's packages.
      config: The operative configuration.
      blocks: Of each encoder, where it is cut short; `None` for the whole model.
      variants: By name.
      trials: Of the first variant.
    """

    topology: str
    devices: int
    versions: Mapping[str, str]
    config: str
    blocks: int | None
    variants: Mapping[str, Compiled]
    trials: tuple[Trial, ...]

    @property
    def fits(self) -> bool:
        """Whether every variant can run."""
        return all(each.fits for each in self.variants.values())

    def as_json(self) -> dict:
        """Returns JSON values."""
        return {
            **vars(self),
            "versions": dict(self.versions),
            "variants": {name: each.as_json() for name, each in self.variants.items()},
            "trials": [dataclasses.asdict(trial) for trial in self.trials],
        }
