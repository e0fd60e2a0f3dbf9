"""The notebook: its two forms agree, what is committed is a clean run of it, and it runs on a run that was never seen."""

import base64
import io
import logging
import pathlib
import re

import IPython.display
import jupytext
import nbformat
import pytest
from matplotlib.figure import Figure
from PIL import Image

pytestmark = pytest.mark.slow

TEXT = pathlib.Path(__file__).parents[2] / "experiments/notebooks/inspect_checkpoint.py"
NOTEBOOK = TEXT.with_suffix(".ipynb")


@pytest.fixture(scope="module")
def committed():
    return nbformat.read(NOTEBOOK, as_version=4)


def test_both_forms_agree(committed):
    def content(notebook):
        return [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in notebook.cells]

    assert content(committed) == content(jupytext.read(TEXT)), "write it again with: make notebook"


def test_the_committed_outputs_are_those_of_one_clean_run(committed):
    cells = [cell for cell in committed.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert {output.output_type for output in outputs} == {"display_data"}  # no warnings, no errors
    pictures = [data for output in outputs for kind, data in output.data.items() if kind in ("image/png", "image/jpeg")]
    assert len(pictures) >= 11
    assert all(Image.open(io.BytesIO(base64.b64decode(picture))).width > 500 for picture in pictures)
    assert NOTEBOOK.stat().st_size < 1.5e6


@pytest.mark.usefixtures("quick_graphs")
def test_it_runs_on_any_run(trained_run, noisy_data, monkeypatch):
    shown = []
    monkeypatch.setattr(IPython.display, "display", shown.append)
    monkeypatch.setenv("TQDM_DISABLE", "1")  # so that what the notebook sets does not stay
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    levels = {name: logging.getLogger(name).level for name in ("absl", "tensorflow")}
    values = {"RUN": str(trained_run), "DATA": noisy_data, "RUN_PLAIN": str(trained_run), "SENTENCES": ("a red ball",)}
    source = TEXT.read_text(encoding="utf-8")
    for name, value in values.items():
        source, count = re.subn(rf"^{name} = .*", f"{name} = {value!r}", source, flags=re.MULTILINE)
        assert count == 1
    try:
        exec(compile(source, str(TEXT), "exec"), {"__name__": "__main__"})
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
    figures = [item for item in shown if isinstance(item, Figure)]
    assert len(figures) == 6
    assert len([item for item in shown if isinstance(item, IPython.display.Image)]) == 1 + 1 + 2
    for figure in figures:
        figure.savefig(io.BytesIO(), format="png", dpi=40)
    tables = "".join(item.data for item in shown if isinstance(item, IPython.display.Markdown))
    assert "step 30 of 40" in tables and "VATT.width = 16" in tables
    assert all(f"| {state} | video-text |" in tables for state in ("step 0", "plain VATT", "step 30"))
