"""The sources of the documentation site; that its links hold is checked by `make site`."""

import importlib
import importlib.util
import pathlib

import pytest

HOOKS = pathlib.Path(__file__).parent.parent / "docs" / "hooks"


def _hook(name: str):
    spec = importlib.util.spec_from_file_location(name, HOOKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("package", ["harmonization", "vatt", "data"])
def test_every_public_name_has_an_entry_for_what_it_is(package):
    hook, imported = _hook("api_pages"), importlib.import_module(package)
    page, paths = hook.api_page(package), hook.public_names(package)
    assert list(paths) == imported.__all__
    for name, path in paths.items():
        module, _, member = path.rpartition(".")
        assert getattr(importlib.import_module(module), member) is getattr(imported, name)
        assert f'<a id="{package}.{name}"></a>\n\n::: {path}\n' in page
    assert page.count("\n::: ") == len(paths) + 1  # and the package itself


def test_a_method_page_keeps_rule_and_fields():
    text = _hook("docstrings").markdown(
        "Adds.\n\nRule: w = 1\n  for a * b.\nSource: Wu\n  et al.\nNot for: it.\n\nMore."
    )
    assert text == (
        "Adds.\n\n**Rule:**\n\n```text\nw = 1\nfor a * b.\n```\n\n\n\n**Source:** Wu et al.\n\n\n**Not for:** it.\n\n\nMore."
    )


def test_an_example_is_code():
    text = _hook("docstrings").markdown("Does.\n\nExample:\n    with a:\n        b(c)\n\nArgs:\n  a: What.")
    assert text == "Does.\n\n**Example:**\n\n```python\nwith a:\n    b(c)\n```\n\nArgs:\n  a: What."


def test_links_of_the_repository_become_links_of_the_site():
    link = _hook("repository_pages")._site_link
    assert link("docs/speed.md", "README.md") == "speed.md"
    assert link("../README.md", "docs/speed.md") == "index.md"
    assert link("../../configs/methods/gr.gin", "docs/methods/gr.md") == "../files/configs/methods/gr.gin.md"
    assert link("nowhere.md", "README.md") == "nowhere.md"
    assert link("https://example.org/a.md", "README.md") == "https://example.org/a.md"
