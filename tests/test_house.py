"""The shape of the house: which room may import which, and how large its pieces may be."""

import ast
import collections
import functools
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parent.parent
ALLOWED = {
    "vatt": {"vatt"},
    "data": {"data"},
    "harmonization": {"harmonization"},
    "experiments": {"vatt", "data", "harmonization", "experiments"},
}
# What stands earlier may be imported by what stands later, never the other way round. "" is what lies in the room itself.
ORDER = {
    "data": ("errors", "source", "media", "text", "records", "pipeline", "preparing", "sets", "__init__"),
    "harmonization": ("", "solvers", "methods", "keras_model", "__init__"),
    "experiments": (
        "distribution", "__init__", "running", "preparing", "training", "pretraining", "classifiers", "finetuning",
        "inference", "evaluation", "reports", "dataset_checks", "sweeps", "tpu_compiling", "benchmarks", "studies",
        "inspection", "method_docs", "", "notebooks",
    ),
}  # fmt: skip
MOST_MODULES = 25
FILES = sorted(path for room in ALLOWED for path in (ROOT / room).rglob("*.py"))


def name_of(path: pathlib.Path) -> str:
    """A file's name as a module."""
    return str(path.relative_to(ROOT).with_suffix("")).replace("/", ".").removesuffix(".__init__")


NAMES = {name_of(path) for path in FILES}


@functools.cache
def nodes_of(path: pathlib.Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text())))


def imported(path: pathlib.Path) -> set[str]:
    modules = set()
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            modules.add(node.module)
    return modules


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path):
    room = path.relative_to(ROOT).parts[0]
    rooms = {module.split(".")[0] for module in imported(path)} & set(ALLOWED)
    assert rooms <= ALLOWED[room]


def folder_of(module: str) -> str:
    """Where in its room's order a module stands: its folder, or its own name if it is named there, or ""."""
    room, *inner = module.split(".")
    first = inner[0] if inner else "__init__"
    return first if first in ORDER[room] else ""


def modules_imported(path: pathlib.Path) -> set[str]:
    """The modules of the house that a file imports, also where `from package import module` names them."""
    found = set()
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in NAMES else node.module for name in inner}
    return found & NAMES


def ordered_files() -> list[pathlib.Path]:
    return [path for path in FILES if path.relative_to(ROOT).parts[0] in ORDER]


@pytest.mark.parametrize("path", ordered_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_folders_are_imported_in_their_order(path):
    room = path.relative_to(ROOT).parts[0]
    module = name_of(path)
    place = ORDER[room].index(folder_of(module))
    later = {other for other in modules_imported(path) if other.split(".")[0] == room and other != module}
    assert {other for other in later if ORDER[room].index(folder_of(other)) > place} == set()


def test_experiments_enter_data_by_its_door():
    inner = {
        (str(path.relative_to(ROOT)), module)
        for path in (ROOT / "experiments").rglob("*.py")
        for module in modules_imported(path)
        if module.startswith("data.")
    }
    assert inner == set()


def test_no_folder_has_too_many_modules():
    folders = collections.Counter(path.parent for path in FILES if path.name != "__init__.py")
    assert {str(folder): count for folder, count in folders.items() if count > MOST_MODULES} == {}


def test_harmonization_imports_only_tensorflow():
    import sys

    for path in (ROOT / "harmonization").rglob("*.py"):
        tops = {module.split(".")[0] for module in imported(path)}
        assert tops - set(sys.stdlib_module_names) <= {"tensorflow", "harmonization"}, path


def test_keras_comes_from_one_place():
    users = [path for path in FILES if "tf_keras" in imported(path)]
    assert [path.name for path in users] == ["keras.py"]


def test_functions_and_files_stay_small():
    lengths = []
    for path in FILES:
        text = path.read_text()
        assert text.count("\n") <= 300, path
        for node in nodes_of(path):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                start = body[0].lineno if body else node.end_lineno
                lengths.append((node.end_lineno - start + 1, f"{path}:{node.lineno}"))
    lengths.sort()
    assert lengths[len(lengths) // 2][0] <= 12
    assert [place for length, place in lengths if length > 40] == []


def test_every_table_of_a_page_scrolls():
    sources = [*FILES, *(path for room in ALLOWED for path in (ROOT / room).rglob("*.html"))]
    makers = [str(path.relative_to(ROOT)) for path in sources if "<table" in path.read_text(encoding="utf-8")]
    assert makers == ["experiments/reports/html.py"]
