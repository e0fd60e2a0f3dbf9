"""`--dry_run` shows all there is and leaves nothing behind."""

import os
import re

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.usefixtures("quick_graphs")
def test_a_dry_run_prints_everything_and_writes_nothing(pretrain_here, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, output, errors = pretrain_here(dry_run=True, data_dir="", workdir=str(tmp_path / "run"))
    assert code == 0 and not errors
    for heading in ("# Operative configuration", "# Parameters", "# Shapes", "# One step on noise"):
        assert heading in output
    assert re.search(r"^pretrain\.batch_size = 4$", output, re.MULTILINE)
    assert re.search(r"^VATT\.width = 16$", output, re.MULTILINE)
    assert re.search(r"^pretrain\.temperature = 0\.07$", output, re.MULTILINE), "a default"

    table = output.split("# Parameters\n")[1].split("\n\n")[0].splitlines()
    counts = {line.split()[0]: int(line.split()[1].replace(",", "")) for line in table if len(line.split()) == 2}
    assert counts["text_embedding"] > 65_536 * 8
    assert counts.pop("total") == sum(counts.values())

    for line in (
        r"video +float32 \[2, 8, 32, 32, 3\]",
        r"waveform +float32 \[2, 12800\]",
        r"text +int32 \[2, 3, 6\]",
        r"video tokens, training +5",  # half of 2 x 2 x 2, and AGG
        r"audio tokens, training +6",
        r"video_audio audio +\[2, 12\]",
        r"video_text text +\[2, 3, 8\]",
        r"loss_video_text +\d",
        r"finite +1",
    ):
        assert re.search(f"^{line}", output, re.MULTILINE), line
    assert os.listdir(tmp_path) == []


@pytest.mark.usefixtures("eager")
def test_a_dry_run_in_passes_takes_two_short_ones(pretrain_here):
    bindings = ["pretrain.batch_size = 64", "pretrain.clips_per_pass = 16"]
    code, output, errors = pretrain_here(*bindings, dry_run=True, data_dir="", workdir="")
    assert code == 0 and not errors
    assert "4 passes of 16 clips on each replica; here 2 of 4." in output and "their sums over the passes" in output
    assert re.search(r"^video +float32 \[8, 8, 32, 32, 3\]", output, re.MULTILINE)
