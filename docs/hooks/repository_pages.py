"""Brings files of the repository that are not in docs/ onto the site.

README.md is the home page, CONTRIBUTING.md and CHANGELOG.md are pages, and every other file that a page links to is
shown on a page of its own under files/. The links in the Markdown are those of the repository; here they become the site's.
"""

import os
import pathlib
import re

from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).parents[2]
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "CONTRIBUTING.md", "CHANGELOG.md": "CHANGELOG.md"}
LANGUAGES = {".gin": "python", ".py": "python", ".csv": "text"}
LINK = re.compile(r"(?<=\]\()([^)#\s]+)")


def on_config(config):
    """Replaces a folder in the navigation by its README.md and the pages in the table of that, in its order."""
    config.nav = [{name: _pages_of(item) for name, item in entry.items()} for entry in config.nav]
    return config


def on_files(files, config):
    """Adds the pages at the root of the repository, and the files that any page links to."""
    for path, uri in PAGES.items():
        files.append(File.generated(config, uri, content=(ROOT / path).read_text(encoding="utf-8")))
    linked = {target for file in files.documentation_pages() for target in _linked_files(file)}
    for path in sorted(linked):
        files.append(File.generated(config, _uri(path), content=_shown(path)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Turns links between files of the repository into links between pages of the site."""
    place = _repository_path(page.file.src_uri)
    if place in PAGES:
        page.meta["hide"] = ["navigation"]  # a tab of one page: the side bar would have this page only
    return LINK.sub(lambda match: _site_link(match[1], place), markdown) if place else markdown


def _pages_of(item):
    if not isinstance(item, str) or not item.endswith("/"):
        return item
    index = ROOT / "docs" / item / "README.md"
    rows = re.findall(r"^\| \[(.+?)\]\((.+?\.md)\)", index.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [f"{item}README.md", *({name: f"{item}{file}"} for name, file in rows)]


def _repository_path(uri: str) -> str | None:
    """Where the page is in the repository; None for a page that is made while the site is built."""
    path = {page: path for path, page in PAGES.items()}.get(uri, f"docs/{uri}")
    return path if (ROOT / path).is_file() else None


def _uri(path: str) -> str:
    """The file of the site for a file of the repository."""
    if path in PAGES:
        return PAGES[path]
    return path.removeprefix("docs/") if path.startswith("docs/") else f"files/{path}.md"


def _target(link: str, place: str) -> str | None:
    """The file of the repository that a link in the file `place` means, if there is one."""
    path = os.path.normpath(os.path.join(os.path.dirname(place), link))
    return path if not path.startswith("..") and (ROOT / path).is_file() else None


def _linked_files(file) -> set[str]:
    place = _repository_path(file.src_uri)
    links = LINK.findall(file.content_string) if place else []
    return {path for path in (_target(link, place) for link in links) if path and _uri(path).startswith("files/")}


def _site_link(link: str, place: str) -> str:
    path = _target(link, place)
    return os.path.relpath(_uri(path), os.path.dirname(_uri(place)) or ".") if path else link


def _shown(path: str) -> str:
    """A page with the file as code; of a notebook, with its text form, which lies next to it."""
    file = (ROOT / path).with_suffix(".py") if path.endswith(".ipynb") else ROOT / path
    language = LANGUAGES.get(file.suffix, "text")
    return f"# {path}\n\n````{language}\n{file.read_text(encoding='utf-8')}\n````\n"
