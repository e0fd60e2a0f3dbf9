"""Steps of checkouts that take turns: the table, and that a checkout's steps are its own."""

import textwrap

import pytest

from experiments.benchmarks.checkouts import THIS, Checkout, _found
from experiments.benchmarks.step_timing import table
from experiments.running.command_line import BadInput

# A checkout in the layout before the folders, whose steps write down that they were taken.
OLDER = {
    "config.py": "def parse(files, bindings): return (*files, *bindings)",
    "assembly.py": """
        from types import SimpleNamespace

        def build_run(settings, strategy, words):
            if "pretrain.harmonizer = 'newer'" in settings:
                raise ValueError("no such method")
            log = SimpleNamespace(clear=lambda: None)
            trainer = SimpleNamespace(log=log, train_on_batch=lambda batch, seconds: open("taken", "a").write(settings[-1][-3:]))
            return SimpleNamespace(trainer=trainer)

        def random_batch(clips, size, words): return {}
        """,
    "benchmarks/plain_step.py": "def plain_step(run): return lambda batch: open('taken', 'a').write('plain ')",
}
WAYS = {name: [f"pretrain.harmonizer = '{name}'"] for name in ("gr", "newer")}


@pytest.fixture
def older(tmp_path):
    for name, text in OLDER.items():
        path = tmp_path / "experiments" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").touch()
        text = textwrap.dedent(text).replace("return (*files, *bindings)", "return Settings([*files, *bindings])")
        if name == "config.py":
            text = "class Settings(list): clips, batch_size = None, 1\n" + text
        path.write_text(text)
    return tmp_path


def test_a_checkout_takes_its_own_steps(older):
    with Checkout(older, ["run.gin"], [], WAYS) as checkout:
        assert checkout.steps == ["plain", "gr"] and checkout.refused == {"newer": "no such method"}
        for name in ("plain", "gr", "plain"):
            clock, processor = checkout.step(name)()
            assert clock > 0 and processor > 0
    assert (older / "taken").read_text() == "plain gr'plain "


def test_what_is_no_checkout_is_refused(tmp_path, older):
    with pytest.raises(BadInput, match="should name a checkout of this project"):
        Checkout(tmp_path / "nothing", [], [], {})
    (older / "experiments" / "config.py").write_text("raise OSError('broken')")
    with pytest.raises(BadInput, match="cannot be taken(.|\n)*broken"):
        Checkout(older, [], [], {})


def test_files_are_found_from_where_the_user_is(tmp_path, older, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.gin").touch()
    assert _found(THIS, "mine.gin") == _found(older / "elsewhere", "mine.gin") == str(tmp_path / "mine.gin")
    assert _found(tmp_path, "mine.gin") == "mine.gin"  # the older checkout's own
    assert _found(THIS, "configs/demo.gin") == "configs/demo.gin"


def test_the_table_has_the_ratios_that_matter():
    seconds = {
        ("new", "plain"): 1.0,
        ("old", "plain"): 2.0,
        ("new", "gr"): 1.5,
        ("old", "gr"): 4.5,
        ("new", "cl"): 1.25,
    }
    heads, *rows = (line.split() for line in table(seconds, ["new", "old"]))
    assert [[row[0], *map(float, row[1:])] for row in rows] == [
        ["plain", 1, 1, 2, 1, 2], ["gr", 1.5, 1.5, 4.5, 2.25, 3], ["cl", 1.25, 1.25],
    ]  # fmt: skip
    assert "older" in heads and "older" not in table(seconds, ["new"])[0]
