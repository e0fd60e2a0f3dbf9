"""The shape of the house: which room may import which, and how large its pieces may be."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parent.parent
ALLOWED = {
    "vatt": {"vatt"},
    "data": {"data"},
    "harmonization": {"harmonization"},
    "experiments": {"vatt", "data", "harmonization", "experiments", "vatt_harmonization"},
    "vatt_harmonization": {"experiments", "vatt_harmonization"},
}
FILES = sorted(path for room in ALLOWED for path in (ROOT / room).rglob("*.py"))


def imported(tree: ast.AST) -> set[str]:
    modules = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            modules.add(node.module)
    return modules


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path):
    room = path.relative_to(ROOT).parts[0]
    rooms = {module.split(".")[0] for module in imported(ast.parse(path.read_text()))} & set(ALLOWED)
    assert rooms <= ALLOWED[room]


def test_harmonization_imports_only_tensorflow():
    import sys

    for path in (ROOT / "harmonization").rglob("*.py"):
        tops = {module.split(".")[0] for module in imported(ast.parse(path.read_text()))}
        assert tops - set(sys.stdlib_module_names) <= {"tensorflow", "harmonization"}, path


def test_keras_comes_from_one_place():
    users = [path for path in FILES if "tf_keras" in imported(ast.parse(path.read_text()))]
    assert [path.name for path in users] == ["keras.py"]


def test_functions_and_files_stay_small():
    lengths = []
    for path in FILES:
        text = path.read_text()
        assert text.count("\n") <= 400, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                start = body[0].lineno if body else node.end_lineno
                lengths.append((node.end_lineno - start + 1, f"{path}:{node.lineno}"))
    lengths.sort()
    assert lengths[len(lengths) // 2][0] <= 12
    assert [place for length, place in lengths if length > 40] == []


def test_every_table_of_a_page_is_made_by_the_function_that_lets_it_scroll():
    sources = [*FILES, *(path for room in ALLOWED for path in (ROOT / room).rglob("*.html"))]
    makers = [str(path.relative_to(ROOT)) for path in sources if "<table" in path.read_text(encoding="utf-8")]
    assert makers == ["experiments/reports/html.py"]
