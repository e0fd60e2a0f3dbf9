"""What the programs' endings on damaged files are worth."""

import pathlib
import re

import forked

# "another value": the file is well-formed and says something else, which the program takes as it stands.
FINE = ("refused", "same result", "documented", "another value")
# Without these a program does less, and says so; the report also without a run's model.json.
OPTIONAL = (
    "metrics.jsonl", "result.json", "evaluation.npz", "environment.json", "data.json", "vocabulary.txt", "index.html",
)  # fmt: skip
# Programs show the facts in these as they are, and summarize the lines of metrics.jsonl that there are.
SHOWN = {
    "report": ("run/config.gin", "run/data.json", "run/environment.json", "run/model.json", "run/metrics.jsonl"),
    "evaluate": ("run/metrics.jsonl",),
    **dict.fromkeys(("sweep report", "classify", "finetune"), ("/metrics.jsonl",)),
}
# No changed bit of these passes.
CHECKSUMS = re.compile(r"\.index$|\.data-\d|\.tfrecord-")
# A last line that a kill cut off does not count.
CUT_LINES = ("empty", "nested deeply", "cut")


def another_result(name: str, program: str, way: str) -> str:
    """Returns what it is that a program gives another result without a word on a damaged file."""
    optional = (*OPTIONAL, "run/model.json") if program == "report" else OPTIONAL
    if (way == "removed" and name.endswith(optional)) or (way in CUT_LINES and name.endswith("metrics.jsonl")):
        return "documented"
    if program == "sweep report" and name.endswith(".index") and way in ("removed", "a link to itself"):
        return "documented"  # the table says that the point has not come to its end
    if way.startswith("tampered"):
        return "silently wrong" if CHECKSUMS.search(name) else "another value"
    shown = name.endswith(SHOWN.get(program, ()))
    well_formed = way in ("missing key", "huge number") or (way == "another version" and name.endswith(".json"))
    return "another value" if shown and well_formed else "silently wrong"


def judge(outcome: forked.Outcome, name: str, program: str) -> str:
    """Returns what kind of ending a program had on a file of this name; "same result" remains to be compared."""
    if outcome.code is None:
        return "hang"
    if "Traceback" in outcome.errors or outcome.code not in (0, 1, 2):
        return "traceback"
    if outcome.code == 0:
        return "same result"
    if program == "check_data" and outcome.code == 1 and pathlib.Path(name).name in outcome.output:
        return "refused"  # what it finds is its result
    lines = [line for line in outcome.errors.splitlines() if line.startswith("error: ")]
    words = pathlib.Path(name).name.split(".")[0]
    named = words in outcome.errors or name == "sweep.gin"  # of a gin file that is given, the parameter is named
    return "refused" if len(lines) == 1 and named else "unclear"


def changed(before: dict[str, str], after: dict[str, str], name: str, program: str) -> bool:
    """Whether a file differs or was added.

    Neither an empty folder for the output counts, nor a list of what check_data found, nor what a program has written before
    it came to the damaged record of a data set.
    """
    added = {path for path, found in after.items() if path not in before and found != "folder"}
    if program == "check_data" or ".tfrecord-" in name:
        added = {path for path in added if not path.startswith("out/")}
    return bool(added) or any(after.get(path) != found for path, found in before.items())
