"""Kills each long program at random moments, fills its disk, and runs the same command again.

  python tests/faults/kills.py --kills=10
  python tests/faults/kills.py --programs=finetune,export --kills=3 --disks=2

What the second command leaves must be what an undisturbed one leaves: the same results, the same files, no half-written ones.
A full disk must end a program with exit code 1 and one message. Prints a line per program; the exit code is 1 if one fails.
"""

import argparse
import pathlib
import random
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

import forked
import ground

import experiments  # noqa: F401  (before TensorFlow, which it keeps quiet)

LONG = (
    "prepare_data", "pretrain anew", "finetune anew", "classify anew", "evaluate", "embed", "rank_clips", "export",
    "import_checkpoint", "check_data", "dataset_stats", "report", "sweep", "study",
)  # fmt: skip
# What a program is tried on has been made by these.
_ON_SET = ("check_data", "dataset_stats", "pretrain anew", "classify anew", "sweep")
NEEDS = {"prepare_data": (), "study": (), "import_checkpoint": (), **dict.fromkeys(_ON_SET, ("prepare_data",))}
_HANGS_SECONDS = 900
_BYTES = (0, 100, 1_000, 10_000, 50_000)


class Kills:
    """Disturbs one program.

    Args:
      program: One of `LONG`.
      scratch: Where it may work.
    """

    def __init__(self, program: str, scratch: pathlib.Path):
        self.program, self.scratch = program, scratch
        self.before = ground.make(scratch / "before", NEEDS.get(program, ("prepare_data", "pretrain")))
        whole, outcome = self._run_on("whole")
        assert outcome.code == 0, outcome
        self.seconds, self.expected = outcome.seconds, whole.fingerprint()
        # Some programs never write over what is there, and say so of their own result.
        self.code_when_done = forked.run(whole.commands()[program], hangs_after_seconds=_HANGS_SECONDS).code
        ground.remove(whole.path)
        self.faults = 0
        self.ended = 0

    def _run_on(self, name: str, **options) -> tuple[ground.Ground, forked.Outcome]:
        copy = self.before.copy(self.scratch / name)
        return copy, forked.run(copy.commands()[self.program], hangs_after_seconds=_HANGS_SECONDS, **options)

    def kill(self, after_seconds: float, kill_all: bool) -> None:
        """Kills it after so long, alone or with all programs that it has started."""
        copy, outcome = self._run_on("copy", kill_after_seconds=after_seconds, kill_all=kill_all)
        self.ended += outcome.code == 0
        self._again(copy, f"killed after {after_seconds:.2f} s", outcome)

    def fill_disk(self, room_bytes: int) -> None:
        """Runs it where no file can be larger than so much."""
        copy, outcome = self._run_on("copy", room_bytes=room_bytes)
        if outcome.code not in (0, 1, 2) or "Traceback" in outcome.errors:
            self._note(f"disk of {room_bytes} bytes: exit {outcome.code}\n{outcome.errors[-1500:]}")
        self._again(copy, f"disk of {room_bytes} bytes", outcome)

    def _again(self, copy: ground.Ground, what: str, first: forked.Outcome) -> None:
        again = {"hangs_after_seconds": _HANGS_SECONDS}
        done = copy.fingerprint() == self.expected
        outcome = forked.run(copy.commands()[self.program], **again) if first.code else first
        found = copy.fingerprint()
        if outcome.code not in (0, self.code_when_done if done else 0) or "Traceback" in outcome.errors:
            self._note(f"{what}: the same command again: exit {outcome.code}\n{outcome.errors[-1500:]}")
        elif found != self.expected:
            other = sorted(name for name in {*found, *self.expected} if found.get(name) != self.expected.get(name))
            self._note(f"{what}: other than undisturbed: {', '.join(other[:8])}")
        ground.remove(copy.path)

    def _note(self, fault: str) -> None:
        self.faults += 1
        print(f"{self.program}, {fault}", flush=True)


def main() -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", default=",".join(LONG))
    parser.add_argument("--kills", type=int, default=10, help="of each program")
    parser.add_argument("--disks", type=int, default=len(_BYTES), help="sizes of a full disk, of each program")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draws, faults = random.Random(options.seed), 0
    forked.preload()
    for program in options.programs.split(","):
        with tempfile.TemporaryDirectory() as scratch:
            start, kills = time.monotonic(), Kills(program, pathlib.Path(scratch))
            for number in range(options.kills):
                kills.kill(draws.uniform(0, kills.seconds), kill_all=number % 2 == 1)
            for room_bytes in _BYTES[: options.disks]:
                kills.fill_disk(room_bytes)
        print(
            f"{program}: {options.kills} kills within {kills.seconds:.1f} s ({kills.ended} after its end), "
            f"{options.disks} full disks, {kills.faults} faults, {time.monotonic() - start:.0f} s",
            flush=True,
        )
        faults += kills.faults
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
