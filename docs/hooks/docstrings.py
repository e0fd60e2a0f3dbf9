"""Makes Markdown of what docstrings here have beyond Google's sections, before mkdocstrings renders them."""

import re
import textwrap

import griffe

# The headings in the docstring of a method, and an example; what belongs to either is indented.
FIELD = re.compile(r"^(Rule|Source|Promises|Costs|Not for):(.*(?:\n +.*)*)", flags=re.MULTILINE)
EXAMPLE = re.compile(r"^Example:\n((?: +.*\n?|\n)+)", flags=re.MULTILINE)


class MarkdownDocstrings(griffe.Extension):
    """Sets a method's rule and the examples as code, the method's other fields as paragraphs."""

    def on_package(self, *, pkg: griffe.Module, **_) -> None:
        """Rewrites the docstring of the package, which is not among its objects."""
        self.on_object(obj=pkg)

    def on_object(self, *, obj: griffe.Object, **_) -> None:
        """Rewrites the object's docstring."""
        if obj.docstring:
            obj.docstring.value = markdown(obj.docstring.value)


def markdown(docstring: str) -> str:
    """The docstring with Markdown for its fields and examples."""
    return EXAMPLE.sub(lambda match: _code("Example", match[1], "python"), FIELD.sub(_field, docstring))


def _field(match: re.Match) -> str:
    name, text = match[1], match[2].strip(" \n")
    if name == "Rule":
        first, _, rest = text.partition("\n")
        return _code(name, "\n".join([first, textwrap.dedent(rest)]), "text")
    return f"\n**{name}:** {' '.join(text.split())}\n"


def _code(name: str, code: str, language: str) -> str:
    return f"**{name}:**\n\n```{language}\n{textwrap.dedent(code).strip()}\n```\n\n"
