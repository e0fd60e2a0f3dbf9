"""Programs by name."""

import pathlib
import sys

from experiments.running import programs

ROOT = pathlib.Path(__file__).parents[3]


def test_only_a_program_of_this_package_is_started_by_its_path():
    launcher = str(ROOT / "experiments" / "__main__.py")
    command = [sys.executable, "-m", "experiments.studies.variant", "--variant=gr"]
    assert programs.found_anywhere(command) == [sys.executable, launcher, "studies.variant", "--variant=gr"]
    for other in (["sh", "-c", "experiments.pretrain"], [sys.executable, "-m", "tensorboard.main"], ["true"]):
        assert programs.found_anywhere(other) == other


def test_the_overview_has_a_line_for_every_program_and_every_gin_file():
    lines = [line.split()[0] for line in programs.overview().splitlines() if line.startswith("  ")]
    files = [path.relative_to(ROOT).as_posix() for path in (ROOT / "configs").rglob("*.gin")]
    modules = [path for path in (ROOT / "experiments").glob("*.py") if not path.name.startswith("__")]
    assert sorted(files) == [line for line in lines if line.startswith("configs/")]
    assert {path.stem for path in modules} <= set(lines) and len(lines) == len(set(lines))


def test_what_is_no_program_is_refused_with_the_nearest_name(monkeypatch, capsys):
    for name in ("pretrian", "running.programs", "../setup", ""):
        monkeypatch.setattr(sys, "argv", ["vatt-harmonization", name])
        assert programs.main() == 2
        assert capsys.readouterr().err.startswith(f"error: no program is called {name}.")
