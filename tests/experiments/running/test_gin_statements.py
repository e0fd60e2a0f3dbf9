"""gin files set parameters of what a program names; nothing in them runs code, however they are written."""

import random
import sys

import gin
import pytest

from experiments.finetuning import config as finetune_config
from experiments.pretraining import config
from experiments.running import gin_config
from experiments.running.command_line import BadInput
from experiments.running.run_directory import operative_config

CALLS = []


def make_pair(first: object = 0, second: object = 0) -> tuple:
    return first, second


def make_part(size: object = 0) -> str:
    return f"a part of {size}"


@gin.configurable("registered_by_a_library")
def of_a_library(value=0):
    CALLS.append(value)


CONSTRUCTORS = {"a_pair": make_pair, "a_part": make_part}


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Name of a module that can be imported, and that none has imported."""
    (tmp_path / "package_of_nobody.py").write_text("def chosen(): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "package_of_nobody"
    assert "package_of_nobody" not in sys.modules and not CALLS


@pytest.fixture
def read(tmp_path):
    """A function (text, whether it is in a run directory) -> what a gin file with this text makes."""

    def read(text: str, of_run: bool = False):
        path = tmp_path / "config.gin"
        path.write_text(text, encoding="utf-8")
        if of_run:
            return gin_config.parse_run("a_pair", CONSTRUCTORS, path)
        return gin_config.parse("a_pair", CONSTRUCTORS, [str(path)], [])

    return read


@pytest.mark.parametrize("of_run", [False, True])
@pytest.mark.parametrize(
    "text, message",
    [
        ("import {}", "`import {}` is not allowed"),
        ("from {} import chosen", "`from {} import chosen` is not allowed"),
        ("from __gin__ import dynamic_registration\nimport {}\na_pair.first = @{}.chosen()", "dynamic_registration` is not"),
        ("a_pair.first = @registered_by_a_library()", "No configurable matching reference '@registered_by_a_library'"),
        ("a_pair.first = [{{'a': @scope/registered_by_a_library}}]", "No configurable matching reference"),
        ("registered_by_a_library.value = 3", "No configurable matching 'registered_by_a_library'"),
        ("registered_by_a_library:\n  value = 3", "No configurable matching 'registered_by_a_library'"),
        ("a_pair.first = @one/gin.singleton()\none/gin.singleton.constructor = @a_part", "reference '@gin.singleton'"),
        ("a_pair.first = @{}.chosen", "No configurable matching reference"),
    ],
)  # fmt: skip
def test_nothing_but_what_the_program_names_is_reached(read, module, of_run, text, message):
    with pytest.raises(BadInput) as refusal:
        read(text.format(module, module), of_run)
    assert message.format(module) in str(refusal.value)


def test_what_the_program_names_is_reached_in_every_way(read):
    text = "SIZE = 3\na_part.size = %SIZE\nlarge/a_part.size = 9\na_pair:\n  first = @a_part()\n  second = @large/a_part()\n"
    assert read(text) == read(text, of_run=True) == ("a part of 3", "a part of 9")
    assert read(text.replace("@a_part", f"@{make_part.__module__}.a_part")) == ("a part of 3", "a part of 9")


def test_only_files_that_the_user_names_include_others(read, tmp_path):
    (tmp_path / "part.gin").write_text("a_pair.first = 1\n")
    include = f"include '{tmp_path}/part.gin'\n"
    assert read(include) == (1, 0)
    with pytest.raises(BadInput, match=r"`include '.*part\.gin'` is not allowed.*one file"):
        read(include, of_run=True)
    with pytest.raises(BadInput, match=r"should name a file that ends in \.gin\. Found '/etc/hostname'"):
        read("include '/etc/hostname'")


def test_files_that_include_themselves_are_named(read, tmp_path):
    (tmp_path / "other.gin").write_text(f"include '{tmp_path}/./config.gin'\n")
    with pytest.raises(BadInput, match=r"config\.gin should not include itself"):
        read(f"include '{tmp_path}/other.gin'\n")
    (tmp_path / "twice.gin").write_text("a_pair.second = 4\n")
    assert read(f"include '{tmp_path}/twice.gin'\n" * 2) == (0, 4)


@pytest.mark.parametrize(
    "text",
    [
        "a_pair.first = (",
        "a_pair.first = " + "[" * 5000,
        "a_pair",
        "= 3",
        "a_pair.first = {[]: 1}",
        "a_pair.first = @",
        "\0",
    ],
)
def test_a_broken_file_is_one_message(read, text):
    with pytest.raises(BadInput, match="the configuration cannot be used: "):
        read(text)


@pytest.mark.parametrize(
    "text", ["M = %M\na_pair.first = %M", "a_pair.first = @a_pair()", "a_pair.first = [@one/a_pair()]"]
)
def test_values_that_refer_to_themselves_are_one_message(read, text):
    with pytest.raises(BadInput, match="a value refers to itself") as refusal:
        read(text)
    assert len(str(refusal.value)) < 200


def test_a_file_that_is_no_text_is_named(read, tmp_path):
    (tmp_path / "binary.gin").write_bytes(bytes(range(256)))
    with pytest.raises(BadInput, match=r"binary\.gin is not UTF-8 text"):
        read(f"include '{tmp_path}/binary.gin'")


NAMES = [*["a_pair", "a_part"] * 4, "registered_by_a_library", "gin.macro", "gin.singleton", "os.getcwd"]
SCOPES = ["", "", "one/", "one/two/"]
VALUES = ["1", "'text'", "None", "[%M, (1,)]", "%M", "@{scope}{name}", "@{scope}{name}()", "{{'a': @{name}()}}"]
ARGUMENTS = ["first", "second", "size", "size", "value", "constructor"]
STATEMENTS = [
    "{scope}{name}.{argument} = {value}",
    "{scope}{name}:\n  {argument} = {value}\n",
    "M = {value}",
    "a_pair.first = @a_part()",
    "import package_of_nobody",
    "from package_of_nobody import chosen as a_part",
    "from __gin__ import dynamic_registration",
]


def statement(draw: random.Random) -> str:
    """A statement of gin's language, most of them valid, that may name anything."""
    value = draw.choice(VALUES).format(scope=draw.choice(SCOPES), name=draw.choice(NAMES))
    place = dict(scope=draw.choice(SCOPES), name=draw.choice(NAMES), argument=draw.choice(ARGUMENTS))
    return draw.choice(STATEMENTS).format(value=value, **place)


@pytest.mark.parametrize("of_run", [False, True])
def test_random_statements_reach_nothing_else(read, module, of_run):
    outcomes = {True: 0, False: 0}
    for seed in range(400):
        draw = random.Random(seed)
        try:
            read("\n".join(statement(draw) for _ in range(draw.randint(1, 4))), of_run)
            outcomes[True] += 1
        except BadInput:
            outcomes[False] += 1
    assert min(outcomes.values()) > 20, "some of either kind"


def test_a_runs_own_file_is_read_back(tmp_path):
    bindings = ["pretrain.model = @VATT", "VATT.preset = 'ut_tiny'", "STEPS = 40", "pretrain.steps = %STEPS"]
    settings = config.parse(
        [], [*bindings, "pretrain.harmonizer = @GradientRealignment()", "pretrain.warmup_steps = 4"]
    )
    path = tmp_path / "config.gin"
    path.write_text(operative_config())
    read = config.parse_run(path)
    assert (read.steps, read.model, type(read.harmonizer)) == (40, settings.model, type(settings.harmonizer))
    with pytest.raises(BadInput, match="should be a run of experiments.finetune. Found one of experiments.pretrain"):
        finetune_config.parse_run(path)
    path.write_text("finetune.harmonizer = @GradientRealignment()\n")
    with pytest.raises(BadInput, match="No configurable matching reference '@GradientRealignment'"):
        finetune_config.parse_run(path)
