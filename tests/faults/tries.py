"""Damages every file that the programs read, in every way, and looks at what the programs make of it.

  python tests/faults/tries.py --quick
  python tests/faults/tries.py --table=tries.csv
  python tests/faults/tries.py --only=run --programs=embed,export --ways=3 --ground=/tmp/ground --table=tries.csv

A program either gives the result that it gives on undamaged files, or ends with exit code 1 or 2 and one message that names
the file, and leaves the disk as it was. Everything else is a fault: a traceback, a hang, an unclear message, another result
without a word, a changed file. Prints a table, and every fault; the exit code is 1 if there is one.
"""

import argparse
import collections
import csv
import os
import pathlib
import random
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

import damage
import forked
import ground
import judging
import statements
import tampering

import experiments  # noqa: F401  (before TensorFlow, which it keeps quiet)

_RUN = ("pretrain", "evaluate", "report", "embed", "export", "rank_clips", "finetune anew", "search")
_SET = ("pretrain anew", "evaluate", "report", "rank_clips", "finetune anew", "classify anew", "check_data", "dataset_stats",
        "prepare_data")  # fmt: skip
READERS = {
    "run": _RUN, "data": _SET, "finetuned": ("finetune",), "classified": ("classify",), "sweep": ("sweep", "sweep report"),
    "features.npz": ("search",), "release": ("import_checkpoint",), "clip.mp4": ("embed",), "sweep.gin": ("sweep",),
}  # fmt: skip
MADE_BY = ("prepare_data", "pretrain", "evaluate", "embed", "finetune", "classify", "sweep")
MADE_FOR = {"run": MADE_BY[:4], "data": MADE_BY[:2], "release": (), "gin": (), "clip.mp4": MADE_BY[:2]}
QUICK = ("embed", "search", "import_checkpoint")
_STATEMENT = "gin statement"
_PRINTED = "what it prints"
_TRAINING = ("pretrain", "finetune", "classify")
_COLUMNS = ("file", "program", "way", "kind", "code", "seconds", "message")


def unread(relative: str) -> bool:
    """Whether a file is a log, which no program opens."""
    return "events.out" in relative or relative.endswith((".lock", "log.txt"))


def all_tries(whole: ground.Ground) -> list[tuple[str, str, str]]:
    """Every file, program and way, file by file."""
    files = [path for path in sorted(whole.path.rglob("*")) if path.is_file()]
    names = [str(path.relative_to(whole.path)) for path in files]
    return [
        (name, program, way)
        for name in names
        if not unread(name)
        for program in READERS.get(name.partition("/")[0], ())
        for way in damage.WAYS
    ]


class Tries:
    """Runs tries and judges them.

    Args:
      whole: The undamaged ground.
      scratch: Where copies are made.
      table: CSV file to write, line by line; empty for none. What it tells of already is not tried again.
    """

    def __init__(self, whole: ground.Ground, scratch: pathlib.Path, table: str):
        self.whole, self.scratch, self._file = whole, scratch, table
        self._expected: dict[str, dict[str, str]] = {}
        self._count = 0
        self._known = _read_table(table)
        self.kinds = collections.Counter(self._known.values())

    def _place(self) -> pathlib.Path:
        self._count += 1
        return self.scratch / f"try{self._count:05}"

    def expected(self, program: str) -> dict[str, str]:
        """What lies on the ground after a program has run on undamaged files, and what it printed."""
        if program not in self._expected:
            copy = self.whole.copy(self._place())
            outcome = forked.run(copy.commands()[program])
            assert outcome.code == 0, (program, outcome)
            self._expected[program] = _found(copy, outcome, program)
        return self._expected[program]

    def damaged(self, name: str, program: str, way: str) -> str:
        """Makes a try; returns its kind.

        Args:
          name: The file.
          program: The program that may read it.
          way: One of `damage.WAYS`, or "tampered NUMBER".
        """
        if known := self._known.get((name, program, way)):
            return known
        expected = self.expected(program)
        copy = self.whole.copy(self._place())
        if way.startswith("tampered"):
            tampering.tamper(copy.path / name, random.Random(f"{name} {way}"))
        else:
            damage.damage(copy.path / name, way)
        before = copy.fingerprint(raw=True) if way != "no permission" else {}
        outcome = forked.run(copy.commands()[program], obeys_permissions=way == "no permission")
        if way == "no permission":
            (copy.path / name).chmod(0o600)
        kind = judging.judge(outcome, name, program)
        if kind == "refused" and before and judging.changed(before, copy.fingerprint(raw=True), name, program):
            kind = "changed"
        if kind == "same result" and not self._same(_found(copy, outcome, program), expected, name):
            kind = judging.another_result(name, program, way)
        self.note(name, program, way, kind, outcome)
        ground.remove(copy.path)
        return kind

    def _same(self, after: dict[str, str], expected: dict[str, str], name: str) -> bool:
        stem = name.rpartition(".")[0]
        # Both files of a checkpoint have the hash of its values.
        other = [
            path
            for path, found in expected.items()
            if after.get(path) != found and not path.startswith((name, f"{stem}."))
        ]
        print(*(f"other than expected: {path}" for path in other), sep="\n", end="\n" * bool(other))
        return not other

    def statement(self, text: str, program: str) -> None:
        """Gives a program a gin file, and judges what it says; one that is read to its end must be a valid one."""
        if (_shown(text), program, _STATEMENT) in self._known:
            return
        copy = ground.Ground(self._place())
        copy.path.mkdir()
        (copy.path / "given.gin").write_text(text)
        command = ["pretrain", "--dry_run", f"--gin_file={copy.path}/given.gin"]
        outcome = forked.run(command, directory=copy.path)
        kind = judging.judge(outcome, "given", program)
        if kind == "unclear" and outcome.errors.startswith("error: "):
            kind = "refused"
        self.note(_shown(text), program, _STATEMENT, "silently wrong" if outcome.code == 0 else kind, outcome)
        ground.remove(copy.path)

    def note(self, name, program, way, kind, outcome) -> None:
        said = outcome.errors.strip().splitlines()
        message = next((line for line in said if line.startswith("error: ")), said[-1] if said else "")
        row = (
            name,
            program,
            way,
            kind,
            outcome.code,
            round(outcome.seconds, 1),
            message.replace(str(self.scratch), ""),
        )
        self.kinds[kind] += 1
        if self._file:
            with open(self._file, "a", newline="", encoding="utf-8") as file:
                csv.writer(file).writerow(row)
        if kind not in judging.FINE:
            print(f"{kind}: {way} {name}, {program}: exit {outcome.code}\n{outcome.errors[-1500:]}", flush=True)


def _found(copy: ground.Ground, outcome: forked.Outcome, program: str) -> dict[str, str]:
    """What lies there after a program, and what it printed: of training mostly how long it took."""
    return copy.fingerprint() | ({} if program.startswith(_TRAINING) else {_PRINTED: copy.steady(outcome.output)})


def _read_table(path: str) -> dict[tuple[str, str, str], str]:
    """Returns the kind of each try that a table tells of."""
    if not path or not os.path.exists(path):
        return {}
    with open(path, newline="", encoding="utf-8") as file:
        return {(row["file"], row["program"], row["way"]): row["kind"] for row in csv.DictReader(file, _COLUMNS)}


def _shown(text: str) -> str:
    """The last statement of a gin file, which is what is wrong with it."""
    return text.splitlines()[-1][:60]


def adaptive(tries: Tries, wanted: list[tuple[str, str, str]], draws: random.Random, most: int, tampers: int) -> None:
    """Makes all tries, but gives up on a file that a program does not read: one that none can read makes no difference."""
    by_pair = collections.defaultdict(list)
    for name, program, way in wanted:
        by_pair[name, program].append(way)
    for (name, program), ways in by_pair.items():
        draws.shuffle(ways)
        ways = [*ways[:most], *(f"tampered {number}" for number in range(tampers))]
        kinds = []
        for way in ways:
            kinds.append(tries.damaged(name, program, way))
            if kinds == ["same result"] and ways[0] in damage.UNREADABLE:
                break


def _whole(path: pathlib.Path, options: argparse.Namespace) -> ground.Ground:
    if path.exists():
        return ground.Ground(path)
    if options.ground:
        return ground.make(path, MADE_BY)
    return ground.make(
        path, ("prepare_data", "pretrain", "embed") if options.quick else MADE_FOR.get(options.only, MADE_BY)
    )


def main() -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a sample of 12 tries")
    parser.add_argument("--only", default="", help="files whose path begins like this; gin for wrong gin files")
    parser.add_argument("--programs", default="", help="these only, one after the other; all by default")
    parser.add_argument(
        "--ways", type=int, default=len(damage.WAYS), help="ways of damage for each file and program, at most"
    )
    parser.add_argument("--tampers", type=int, default=3, help="values to change in each file, one at a time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--ground", default="", help="folder with the undamaged files, made by the first call that names it"
    )
    parser.add_argument("--table", default="", help="CSV file to add lines to, one per try")
    options = parser.parse_args()
    draws, start = random.Random(options.seed), time.monotonic()
    programs = list(filter(None, options.programs.split(",")))
    forked.preload()
    with tempfile.TemporaryDirectory() as scratch:
        pathlib.Path(scratch).chmod(0o755)
        whole = _whole(pathlib.Path(options.ground or f"{scratch}/whole"), options)
        tries = Tries(whole, pathlib.Path(scratch), options.table)
        wanted = [
            (name, program, way)
            for name, program, way in all_tries(whole)
            if name.startswith(options.only) and (not programs or program in programs)
        ]
        if programs:
            wanted.sort(key=lambda each: programs.index(each[1]))
        if options.quick:
            chosen = draws.sample([each for each in wanted if each[1] in QUICK], 10)
            for name, program, way in [*chosen[:7], *((*each[:2], "tampered 0") for each in chosen[7:])]:
                tries.damaged(name, program, way)
            for text in draws.sample(statements.WRONG, 2):
                tries.statement(text, "pretrain")
        else:
            adaptive(tries, wanted, draws, options.ways, options.tampers)
            if options.only in ("", "gin"):
                for text in statements.WRONG:
                    tries.statement(text, "pretrain")
    print(f"{tries.kinds.total()} tries in {time.monotonic() - start:.0f} s: {dict(tries.kinds.most_common())}")
    return int(any(kind not in judging.FINE for kind in tries.kinds))


if __name__ == "__main__":
    sys.exit(main())
