import inspect
import re

import gin
import numpy as np
import pytest
import tensorflow as tf
from absl.testing import flagsaver
from PIL import Image

import harmonization
from experiments.classifiers import config as classifier_config
from experiments.method_docs import gallery as method_gallery
from experiments.method_docs import pages as method_pages
from experiments.method_docs import situations as method_situations
from experiments.method_docs.docstrings import HEADINGS, read_docstring
from experiments.pretraining import config
from experiments.running.command_line import _guarded as guarded
from experiments.running.gin_config import ROOT

pytestmark = pytest.mark.slow

DOCS = ROOT / "docs" / "methods"
METHODS = list(harmonization.METHODS)


@pytest.fixture(scope="module")
def pages_once() -> dict[str, str]:
    """What `pages` returns, once a test has asked for it."""
    return {}


@pytest.fixture
def pages(pages_once, only_flags_of, capsys, tmp_path):
    """What the command line writes now: names of files to their text."""
    if not pages_once:
        program = only_flags_of("experiments.document_methods")
        with flagsaver.flagsaver(outdir=str(tmp_path / "methods"), pictures=False):
            assert guarded(program.main, ["document_methods"]) == 0
        assert str(tmp_path / "methods" / "README.md") in capsys.readouterr().out
        pages_once |= {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "methods").iterdir()}
    return pages_once


def test_committed_pages_are_those_of_the_docstrings(pages):
    assert pages.keys() == {path.name for path in DOCS.glob("*.md")}
    stale = [name for name, text in pages.items() if (DOCS / name).read_text(encoding="utf-8") != text]
    assert not stale, f"{stale} are stale: run `make docs`"


def test_every_method_has_a_page_and_a_picture_and_nothing_else_has():
    expected = {"README.md", "gallery.png"} | {f"{name}.{kind}" for name in METHODS for kind in ("md", "png")}
    assert {path.name for path in DOCS.iterdir()} == expected


def test_links_resolve(pages):
    for name, text in pages.items():
        links = re.findall(r"\]\(([^)\s]+)\)", text)
        assert links
        for link in links:
            path, _, anchor = link.partition("#")
            target = (DOCS / path).resolve() if path else DOCS / name
            assert target.exists(), f"{name}: {link}"
            if anchor:
                headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), flags=re.MULTILINE)
                assert anchor in [heading.lower().replace(" ", "-") for heading in headings]
    assert all(f"]({name}.md)" in pages["README.md"] for name in METHODS)


@pytest.mark.parametrize("name", ["gallery", *METHODS])
def test_pictures_show_something(name):
    with Image.open(DOCS / f"{name}.png") as image:
        assert image.width >= 1200
        counts = {color: count for count, color in image.convert("RGB").getcolors()}  # at most 256 colors, else None
    assert len(counts) > 50
    assert 0.3 < counts[255, 255, 255] / sum(counts.values()) < 0.98


@pytest.mark.parametrize("name", METHODS)
def test_examples_run(name, pages):
    source = re.search(r"```python\n(.*?)```", pages[f"{name}.md"], flags=re.DOTALL)[1]
    variables = [tf.Variable([1.0, 2.0, 3.0]) for _ in range(2)]
    encoder, rest = variables[:1], variables[1:]
    names = {
        "harmonization": harmonization,
        "gradients": [[tf.constant(row)] * 2 for row in method_situations.GOLDEN],
        "variables": variables,
        "optimizer": tf.keras.optimizers.SGD(0.1),
        "step": tf.constant(0, tf.int64),
        "losses": [1.0, 2.0],
        "losses_after": [0.5, 1.0],
        "scores": {"audio": 0.6, "video": 0.5},
        **{"encoder": encoder, "audio": encoder, "fusion": rest, "video": rest},
    }
    exec(source, names)
    moved = tf.reduce_max(tf.abs(variables[0] - [1.0, 2.0, 3.0])) > 0.0
    assert bool(moved) == bool(names["report"]["keep"])


@pytest.mark.parametrize("name", METHODS)
def test_gin_bindings_make_the_method(name, pages):
    if harmonization.METHODS[name].losses_after:  # no program has what it needs
        assert "experiments." not in pages[f"{name}.md"]
        return
    block = re.search(r"In gin, for `experiments\.(\w+)`.*?```text\n(.*?)```", pages[f"{name}.md"], flags=re.DOTALL)
    bindings = block[2].splitlines()
    gin.clear_config()  # else names of one program cannot be added after another's configuration was read
    if block[1] == "classify":
        made = classifier_config.parse([], [*bindings, "classify.dataset = 'synthetic'"])
    else:
        made = config.parse([], [*bindings, "pretrain.model = @VATT"])
    assert type(made.build_harmonizer()) is harmonization.METHODS[name]


def test_needs_are_found_by_trying():
    assert method_situations.needs("sum") == []
    assert method_situations.needs("upgrad") == ["Gram matrix"]
    assert method_situations.needs("pcgrad") == ["Gram matrix", "step (for more than two objectives)"]
    assert method_situations.needs("famo") == ["losses", "losses after the step", "state"]
    assert method_situations.needs("gradnorm") == ["Gram matrix", "losses", "state"]
    assert method_situations.objectives("mgda") == "any"
    assert method_situations.objectives("dgl") == "2 or more"
    assert method_situations.objectives("reweight") == "one per weight"


def test_golden_values_are_those_of_the_literature():
    weights, update, kept = method_situations.golden("mmpareto")
    assert kept
    np.testing.assert_allclose(update, (0.0, 3.67423, 3.67423), atol=1e-4)
    weights, update, _ = method_situations.golden("mgda")
    np.testing.assert_allclose(weights, (0.6, 0.4), atol=1e-4)


def test_pictures_show_the_updates(tmp_path):
    gated = method_situations.updates_by_angle("cl")
    np.testing.assert_array_equal(gated.keep[0], np.cos(np.deg2rad(method_situations.ANGLES_DEGREES)) > -0.3)
    np.testing.assert_allclose(gated.updates[0, 0, 180], (1.0, 1.0), atol=1e-5)  # at 90 degrees
    assert not gated.updates[0, 0, -1].any()
    summed = method_situations.updates_by_angle("sum")
    conflicts = method_gallery.conflicts(summed, length=1)
    # (1 + 2 cos, 2 sin) points away from (1, 0) from 120 degrees on.
    assert method_situations.ANGLES_DEGREES[conflicts].min() == 120.5
    assert not method_gallery.conflicts(method_situations.updates_by_angle("pcgrad"), length=1).any()
    method_gallery.draw_method("cl", gated, tmp_path / "cl.png")
    method_gallery.draw_gallery({"cl": gated, "sum": summed}, tmp_path / "gallery.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cl.png", "gallery.png"]


class Complete(harmonization.Sum):
    """Does something.

    Rule: w_i = 1, and
      more.
    Source: ours.
    Promises: nothing.
    Costs: nothing.
    Not for: anyone.

    Beside that, *stars* and a < b.

        code = 1

    Args:
      scale: Of it,
        in meters.
    """

    def __init__(self, scale: float = 2.0, name: str | None = None):
        super().__init__(name)


def changed(old: str, new: str) -> type[harmonization.Sum]:
    text = inspect.cleandoc(Complete.__doc__)
    assert old in text
    return type("Changed", (Complete,), {"__doc__": text.replace(old, new)})


def test_docstring_is_taken_apart():
    read = read_docstring(Complete)
    assert read.summary == "Does something."
    assert read.parts["Rule"] == "w_i = 1, and\nmore."
    assert tuple(read.parts) == HEADINGS
    assert read.options == [("scale", "2.0", "Of it, in meters.")]
    assert [method_pages.paragraph(text) for text in read.paragraphs] == [
        r"Beside that, \*stars\* and a \< b.",
        "```text\ncode = 1\n```",
    ]


@pytest.mark.parametrize("heading", HEADINGS)
def test_docstring_without_a_heading_is_refused(heading):
    line = re.search(rf"^{heading}: .*\n", inspect.cleandoc(Complete.__doc__), flags=re.MULTILINE)[0]
    with pytest.raises(ValueError, match=f"Changed has no `{heading}:`"):
        read_docstring(changed(line, ""))
    with pytest.raises(ValueError, match=f"nothing after `{heading}:`"):
        read_docstring(changed(line if heading != "Rule" else line + "  more.\n", f"{heading}:\n"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Costs: nothing.", "Costs: nothing.\nCosts: again.", "once and in this order"),
        ("Costs: nothing.\nNot for: anyone.", "Not for: anyone.\nCosts: nothing.", "once and in this order"),
        ("Does something.\n", "Does\nsomething.\n", "a line of its own"),
        ("  scale: Of it", "  size: Of it", r"explain the arguments \['scale'\]. Found \['size'\]"),
    ],
)
def test_other_mistakes_in_a_docstring_are_refused(old, new, message):
    with pytest.raises(ValueError, match=message):
        read_docstring(changed(old, new))
