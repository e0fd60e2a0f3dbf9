"""What the pages of reports are made of."""

import html
import importlib.resources
import string
from collections.abc import Mapping, Sequence


def page(title: str, subtitle: str, sections: Mapping[str, str]) -> str:
    """Returns an HTML page that needs nothing else.

    Args:
      title: Plain text.
      subtitle: HTML.
      sections: Heading, plain text, to HTML.
    """
    template = string.Template(importlib.resources.files("experiments").joinpath("report.html").read_text("utf-8"))
    body = "\n\n".join(f"<h2>{html.escape(heading)}</h2>\n{content}" for heading, content in sections.items())
    return template.substitute(title=html.escape(title), subtitle=subtitle, body=body)


def missing(what: str, command: str | None = None) -> str:
    """Returns a card that says what is missing, and which command gives it."""
    remedy = f" Run <code>{html.escape(command)}</code> and make the report again." if command else ""
    return f'<p class="card">{html.escape(what)}.{remedy}</p>'


def plots(drawings: Sequence[str], kind: str = "plots") -> str:
    """Returns SVG elements as cards in a grid; `plots`, `plots large` or `plots wide`."""
    return f'<div class="{kind}">' + "".join(f'<div class="card">{drawing}</div>' for drawing in drawings) + "</div>"


def table(head: Sequence[str], groups: Mapping[str, Sequence[Sequence[str]]]) -> str:
    """Returns a table of plain text in a card: the head, and under each group's heading its lines."""
    cells = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    body = ""
    for group, lines in groups.items():
        body += f'<tr><th colspan="{len(head)}">{html.escape(group)}</th></tr>' if group else ""
        for line in lines:
            body += "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in line) + "</tr>"
    return f'<div class="card"><table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table></div>'
