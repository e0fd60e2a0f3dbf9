"""Building blocks of the report pages."""

import html
import importlib.resources
import string
from collections.abc import Collection, Mapping, Sequence


def page(title: str, subtitle: str, sections: Mapping[str, str]) -> str:
    """Returns an HTML page that needs nothing else.

    Args:
      title: Plain text.
      subtitle: HTML.
      sections: Heading, plain text, to HTML.
    """
    template = string.Template(
        importlib.resources.files("experiments.reports").joinpath("report.html").read_text("utf-8")
    )
    body = "\n\n".join(f"<h2>{html.escape(heading)}</h2>\n{content}" for heading, content in sections.items())
    return template.substitute(title=html.escape(title), subtitle=subtitle, body=body)


def missing(what: str, command: str | None = None) -> str:
    """Returns a card that says what is missing, and which command gives it."""
    remedy = f" Run <code>{html.escape(command)}</code> and write the report again." if command else ""
    return f'<p class="card">{html.escape(what)}.{remedy}</p>'


def plots(drawings: Sequence[str], kind: str = "plots") -> str:
    """Returns SVG elements as cards in a grid; `plots`, `plots large` or `plots wide`."""
    return f'<div class="{kind}">' + "".join(f'<div class="card">{drawing}</div>' for drawing in drawings) + "</div>"


def table(head: Sequence[str], groups: Mapping[str, Sequence[Sequence[str]]], texts: Collection[int] = (0,)) -> str:
    """Returns a table in a card in which it scrolls where it is wider.

    Args:
      head: Titles of the columns, plain text.
      groups: Heading, plain text or empty for none, to its lines, whose cells are plain text.
      texts: Which columns hold text, which wraps; the others hold figures, which are right-aligned and do not.
    """
    kinds = ["" if column in texts else ' class="number"' for column in range(len(head))]
    body = []
    for group, lines in groups.items():
        body += [f'<tr><th colspan="{len(head)}">{html.escape(group)}</th></tr>'] if group else []
        body += [_line("td", line, kinds) for line in lines]
    return (
        f'<div class="card scrolled"><table><thead>{_line("th", head, kinds)}</thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _line(tag, cells, kinds):
    filled = (f"<{tag}{kind}>{html.escape(cell)}</{tag}>" for cell, kind in zip(cells, kinds, strict=True))
    return f"<tr>{''.join(filled)}</tr>"
