"""The commands that the README and the docs print are commands that the programs take."""

import pathlib
import re
import shlex

import pytest
from absl import flags

pytestmark = pytest.mark.every_python
ROOT = pathlib.Path(__file__).parents[2]
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "configs").rglob("*.gin")]
)
START = re.compile(r"(?:python|\.venv/bin/python) -m experiments\.([a-z_.]+)((?:\\\n|[^\n`])*)")
PLACEHOLDER = re.compile(r"--(\w+)=[A-Z_]+")  # the reader fills it in


def printed(page: pathlib.Path) -> list[tuple[str, list[str]]]:
    """The programs that a page prints, with their arguments; comments after them and prompts before them are not part."""
    text = (
        re.sub(r"(?m)^# ?", "", page.read_text(encoding="utf-8")) if page.suffix == ".gin" else page.read_text("utf-8")
    )
    text = re.sub(r"\n +(?=--)", " ", text)  # in a header a command continues without a backslash
    found = []
    for match in START.finditer(text):
        words = shlex.split(match[2].replace("\\\n", " "), comments=True)
        arguments = [word for word in words if word.startswith("--") and word != "--help"]
        found.append((match[1].rstrip("."), [word.rstrip(".,;:)") for word in arguments]))
    return found


COMMANDS = [(page, program, arguments) for page in PAGES for program, arguments in printed(page) if arguments]


def test_commands_are_found():
    assert len(COMMANDS) > 40 and {"pretrain", "prepare_data", "finetune", "embed"} <= {
        program for _, program, _ in COMMANDS
    }


IDS = [f"{page.name}-{program}-{index}" for index, (page, program, _) in enumerate(COMMANDS)]


@pytest.mark.parametrize("page, program, arguments", COMMANDS, ids=IDS)
def test_the_program_takes_what_is_printed(only_flags_of, page, program, arguments):
    only_flags_of(f"experiments.{program}")
    to_fill_in = {match[1] for argument in arguments if (match := PLACEHOLDER.fullmatch(argument))}
    assert to_fill_in <= set(flags.FLAGS)
    flags.FLAGS([program, *(argument for argument in arguments if not PLACEHOLDER.fullmatch(argument))])
    files = flags.FLAGS["gin_file"].value if "gin_file" in flags.FLAGS else []
    assert [file for file in files if file.startswith("configs/") and not (ROOT / file).exists()] == []
