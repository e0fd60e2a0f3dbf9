"""Which gin files are read: those of the current directory first, then those of the package."""

import gin
import pytest

from experiments.running import gin_config
from experiments.running.command_line import BadInput


def make_pair(first: int = 0, second: int = 0) -> tuple[int, int]:
    return first, second


def parse(*files: str) -> tuple[int, int]:
    return gin_config.parse("pair", {"pair": make_pair}, files, [])


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with two gin files, one of which includes the other; the current directory is another one, and empty."""
    root, current = tmp_path / "package", tmp_path / "current"
    (root / "configs" / "parts").mkdir(parents=True)
    (root / "configs" / "whole.gin").write_text("include 'configs/parts/part.gin'\npair.first = 1\n")
    (root / "configs" / "parts" / "part.gin").write_text("pair.second = 2\n")
    current.mkdir()
    monkeypatch.chdir(current)
    monkeypatch.setattr(gin_config, "ROOT", root)
    return root


def test_packaged_gin_files_are_found_from_any_directory(package):
    assert parse("configs/whole.gin") == (1, 2)
    assert parse(str(package / "configs" / "whole.gin")) == (1, 2)


def test_a_file_in_the_current_directory_wins(package, tmp_path):
    own = tmp_path / "current" / "configs" / "parts"
    own.mkdir(parents=True)
    (own / "part.gin").write_text("pair.second = 7\n")
    assert parse("configs/whole.gin") == (1, 7)
    (own.parent / "whole.gin").write_text("include 'configs/parts/part.gin'\npair.first = 6\n")
    assert parse("configs/whole.gin") == (6, 7)


def test_a_python_package_of_the_folders_name_does_not_matter(package, tmp_path):
    (tmp_path / "current" / "configs").mkdir()
    (tmp_path / "current" / "configs" / "__init__.py").write_text("raise RuntimeError('imported')\n")
    assert parse("configs/whole.gin") == (1, 2)


def test_a_missing_gin_file_is_reported_with_the_searched_places(package, tmp_path):
    (tmp_path / "current" / "mine.gin").write_text("include 'configs/nowhere.gin'\n")
    for file, missing in (("nowhere.gin", "nowhere.gin"), ("mine.gin", "configs/nowhere.gin")):
        with pytest.raises(BadInput) as refusal:
            parse(file)
        assert f"the gin file {missing} should exist. Found none in the current directory, {tmp_path}/current" in str(
            refusal.value
        )
        assert f"among those of the package, {package}." in str(refusal.value)
    with pytest.raises(BadInput, match=r"the gin file /nowhere\.gin should exist\. Found none\.$"):
        parse("/nowhere.gin")


def test_a_library_may_register_with_gin_after_a_configuration_was_read():
    parse()
    gin.external_configurable(lambda: None, name="a_library_that_is_imported_later")


def test_a_run_of_another_program_is_named(tmp_path):
    path = tmp_path / "config.gin"
    for text in ("pretrain.model = @VATT\nVATT.layers = 2\n", "VATT.layers = 2\n", "not gin \x00"):
        path.write_text(text)
        gin_config.require_run_of("pretrain", path)
    gin_config.require_run_of("pretrain", tmp_path / "missing.gin")
    path.write_text("ClipSpec.frames = 8\n\nfinetune.model = None\n")
    with pytest.raises(
        BadInput, match=f"{tmp_path} should be a run of experiments.pretrain. Found one of experiments.finetune"
    ):
        gin_config.parse_run("pretrain", {}, path)
