"""Makes the API pages: an entry for every name in the `__all__` of `harmonization`, `vatt` and `data`."""

import ast
import pathlib

import griffe
from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).parents[2]
PACKAGES = ("harmonization", "vatt", "data")
HEADINGS = {"function": "Functions", "class": "Classes", "attribute": "Constants"}


def on_files(files, config):
    """Adds api/<package>.md for every package."""
    for package in PACKAGES:
        files.append(File.generated(config, f"api/{package}.md", content=api_page(package)))
    return files


def api_page(package: str) -> str:
    """The Markdown of a package's page, with a mkdocstrings directive for each public name."""
    loaded = griffe.load(package, search_paths=[ROOT])
    kinds = {heading: [] for heading in HEADINGS.values()}
    for name, path in public_names(package).items():
        kind = loaded[path.removeprefix(f"{package}.")].kind.value
        kinds[HEADINGS[kind]].append(_entry(f"{package}.{name}", path))
    docstring_only = "{members: false, show_root_heading: false, show_root_toc_entry: false}"
    parts = [f"# {package}", f"::: {package}\n    options: {docstring_only}"]
    for heading, entries in kinds.items():
        parts += [f"## {heading}", *entries] if entries else []
    return "\n\n".join(parts) + "\n"


def public_names(package: str) -> dict[str, str]:
    """The names in the package's `__all__`, in its order, and where each is defined.

    The package's source is read, not imported. A name may be that of a submodule, too (`harmonization.harmonize`), so
    that looking it up in the package would not do.
    """
    tree = ast.parse((ROOT / package / "__init__.py").read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    paths = {alias.asname or alias.name: f"{node.module}.{alias.name}" for node in imports for alias in node.names}
    (names,) = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "__all__"
    ]
    return {name: paths[name] for name in names}


def _entry(name: str, path: str) -> str:
    return f'<a id="{name}"></a>\n\n::: {path}\n    options: {{heading: {name}, toc_label: {name.partition(".")[2]}}}'
