"""Writes a sweep's results into its directory, from the files of its points."""

import html

from experiments.reports import html as report_html
from experiments.running.plain_text import for_terminal, markdown_table
from experiments.running.run_directory import RunDirectory
from experiments.sweeps import grid as result_grid
from experiments.sweeps.directory import FINISHED, SweepDirectory, SweepState
from experiments.sweeps.plots import curves_over_steps, figures_by_axis
from experiments.sweeps.table import points_csv, table

_PAPERS_TABLE = (
    "Our figures next to the poster's: top-1 (T1), top-5 (T5) and R@10 in percent, median ranks (lower is better); means over the "
    "seeds that have run. No published figure is included in ours."
)


def write_sweep_report(directory: SweepDirectory) -> str:
    """Writes sweep.csv, table.md and report/index.html; of a sweep over the paper's grid also paper_table.csv and .md.

    Returns:
      The table, in Markdown, and where the rest is, for a terminal.

    Raises:
      BadInput: No sweep lives here.
    """
    RunDirectory(directory.path).require_place_for_report()
    state = directory.read()
    lines = markdown_table(table(state))
    directory.write("sweep.csv", points_csv(state))
    directory.write("table.md", lines)
    if result_grid.is_papers_grid(state):
        found = result_grid.grid(state)
        directory.write("paper_table.csv", result_grid.grid_csv(found))
        directory.write("paper_table.md", f"{_PAPERS_TABLE}\n\n{markdown_table(result_grid.lines(found))}")
    directory.write("report/index.html", sweep_page(state))
    return for_terminal(f"{lines}\nReport: {directory.path / 'report' / 'index.html'}")


def sweep_page(state: SweepState) -> str:
    """Returns the report on a sweep as one HTML page."""
    head, *lines = table(state)
    figures, curves = figures_by_axis(state), curves_over_steps(state)
    labels = [column for column, name in enumerate(head) if name in state.axes]
    sections = {"Result": report_html.table(head, {"": lines}, texts=labels)}
    if result_grid.is_papers_grid(state):
        rows = result_grid.groups(result_grid.grid(state))
        papers = report_html.table(result_grid.head(), rows, texts=(0, 1))  # the method, the kind of line
        sections["The paper's table"] = f"<p>{html.escape(_PAPERS_TABLE)}</p>" + papers
    sections["Final figures"] = (
        report_html.plots(figures) if figures else report_html.missing("No point is finished yet")
    )
    sections["Training"] = (
        report_html.plots(curves, "plots large") if curves else report_html.missing("No point has recorded a step yet")
    )
    sections["Points"] = _points(state)
    finished = sum(point.status == FINISHED for point in state.points)
    title = f"Sweep: {state.path.resolve().name}"
    return report_html.page(title, f"{finished} of {len(state.points)} points finished.", sections)


def _points(state):
    return report_html.table(
        ["point", "status", "log"],
        {"": [[point.name, point.status, f"{point.name}/log.txt"] for point in state.points]},
        texts=range(3),
    )
