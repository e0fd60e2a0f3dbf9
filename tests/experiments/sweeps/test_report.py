"""What is made of a sweep's points: tables, CSV, plots, the page; and the paper's table."""

import csv
import dataclasses
import io
import json
import os
import re
import xml.etree.ElementTree as ElementTree

import pytest

from experiments.evaluation.metrics import METRICS, PAPER_COLUMNS
from experiments.reports.plots import PALETTE
from experiments.running.command_line import BadInput
from experiments.running.run_directory import RunDirectory
from experiments.sweeps import grid as result_grid
from experiments.sweeps.directory import PointRun, SweepDirectory
from experiments.sweeps.plots import curves_over_steps, figures_by_axis
from experiments.sweeps.report import write_sweep_report
from experiments.sweeps.table import points_csv, present_metrics, table

STEPS = 20


def result(r10: float) -> dict:
    return {
        "step": STEPS,
        "dataset": "synthetic",
        "retrieval": {"text_to_video": {"r10": r10, "median_rank": 3.5, "gallery": 8}},
        "linear_probe": {"video": {"top1": 0.25, "chance": 0.1}, "audio": {"top1": None, "chance": None}},
        "harmonization": {"mean_cosine": -0.125},
        "alignment": None,
    }


def records(level: float, last: int = STEPS) -> list[dict]:
    """Lines of metrics.jsonl, a loop of two steps each."""
    fields = ("loss_video_audio", "loss_video_text", "cosine", "conflict_rate", "keep", "step_seconds")
    return [dict.fromkeys(fields, level) | {"step": step, "cosines": [level] * 2} for step in range(2, last + 1, 2)]


@pytest.fixture
def make_sweep(tmp_path):
    """A function (axes, {labels: result and records}) -> directory of a sweep with these points."""

    def make(axes: dict, found: dict, programs=("pretrain", "evaluate", "report"), tasks=()) -> SweepDirectory:
        directory = SweepDirectory(tmp_path / "a_sweep")
        points = []
        for labels, (outcome, lines) in found.items():
            labels = dict(zip(axes, labels, strict=True))
            name = ",".join(f"{axis}={label}" for axis, label in labels.items())
            run = RunDirectory(directory.path / name)
            run.path.mkdir(parents=True)
            for line in lines:
                run.append_metrics(line)
            if outcome or (lines and lines[-1]["step"] == STEPS):
                run.write(run.checkpoints / f"ckpt-{(outcome or lines[-1])['step']}.index", "")
            if outcome:
                run.write(run.result, json.dumps(outcome))
            points.append(PointRun(name, labels, STEPS, run, programs, tasks))
        directory.describe(axes, points)
        return directory

    return make


@pytest.fixture
def sweep(make_sweep) -> SweepDirectory:
    """Two methods, three seeds: one point of `gr` is at step 6, one was never run; a result of `vatt` is of an earlier step."""
    early = result(0.9) | {"step": 10}
    return make_sweep(
        {"method": ["vatt", "gr"], "seed": ["1", "2", "3"]},
        {
            ("vatt", "1"): (result(0.5), records(0.5)),
            ("vatt", "2"): (result(0.7), records(0.7)),
            ("vatt", "3"): (early, records(0.7, 10)),
            ("gr", "1"): (result(0.75), records(0.1)),
            ("gr", "2"): (None, records(0.2, 6)),
            ("gr", "3"): (None, []),
        },
    )


def test_the_table_has_means_and_deviations_over_the_seeds(sweep):
    head, vatt, gr = table(sweep.read())
    assert head == [
        "method", "last loss video-audio", "last loss video-text", "text to video R@10, %", "text to video median rank",
        "linear probe video, %", "gradients mean cosine", "finished",
    ]  # fmt: skip
    # 50 and 70 %: mean 60, deviation 20 / sqrt(2)
    assert vatt[0] == "vatt" and vatt[3] == "60.0 ± 14.1" and vatt[4] == "3.5 ± 0.0" and vatt[-1] == "2 of 3"
    assert gr[0] == "gr" and gr[1] == "0.100" and gr[3] == "75.0" and gr[6] == "-0.1250" and gr[-1] == "1 of 3"


def test_a_result_of_an_earlier_step_counts_for_nothing(sweep):
    state = sweep.read()
    assert [point.status for point in state.points] == [
        "finished", "finished", "at step 10 of 20", "finished", "at step 6 of 20", "not run"
    ]  # fmt: skip
    assert state.points[2].result is None and not state.points[2].is_done("evaluate")


def test_points_that_were_only_pretrained_show_their_losses(make_sweep):
    directory = make_sweep(
        {"method": ["vatt", "gr"]}, {("vatt",): (None, records(0.5)), ("gr",): (None, records(0.5, 8))}
    )
    state = directory.read()
    assert [point.status for point in state.points] == ["waits for evaluate", "at step 8 of 20"]
    head, vatt, gr = table(state)
    assert head[1:3] == ["last loss video-audio", "last loss video-text"] and vatt[1:3] == ["0.500", "0.500"]
    assert gr[1:] == ["-"] * 5 + ["0 of 1"]


def test_what_is_done_is_read_from_what_is_there(make_sweep):
    found = {("vatt",): (result(0.5) | {"tasks": {"esc50": {}}}, records(0.5)), ("gr",): (result(0.5), records(0.5))}
    vatt, gr = make_sweep({"method": ["vatt", "gr"]}, found, tasks=("esc50",)).read().points
    assert vatt.is_done("pretrain") and vatt.is_done("evaluate") and not vatt.is_done("report")
    assert vatt.status == "finished" and gr.status == "waits for evaluate"  # its result is of other tasks
    page = vatt.directory.report / "index.html"
    vatt.directory.write(page, "")
    assert vatt.is_done("report")
    os.utime(page, (1, 1))
    assert not vatt.is_done("report")  # of an earlier result
    assert not vatt.is_done("finetune")
    vatt.finetuning.write(vatt.finetuning.result, "{}")
    assert vatt.is_done("finetune")


def test_a_task_on_own_data_is_done_once_it_has_run(make_sweep):
    ran = {"tasks": {}, "evaluated": ["retrieval"]}
    found = {("some",): (result(0.5) | ran, records(0.5)), ("older",): (result(0.5), records(0.5))}
    some, older = make_sweep({"method": ["some", "older"]}, found, tasks=("retrieval", "linear_probe")).read().points
    assert some.status == "waits for evaluate"  # its figures of the linear probe are those of none
    assert older.status == "finished"  # a result of an earlier version does not say
    assert dataclasses.replace(some, tasks=("retrieval",)).status == "finished"


def test_the_csv_has_a_line_per_point_and_every_number(sweep):
    rows = list(csv.DictReader(io.StringIO(points_csv(sweep.read()))))
    assert [row["point"] for row in rows] == [
        f"method={method},seed={seed}" for method in ("vatt", "gr") for seed in "123"
    ]
    first = rows[0]
    assert (first["axis.method"], first["axis.seed"], first["status"], first["steps"]) == (
        "vatt",
        "1",
        "finished",
        "20",
    )
    assert float(first["retrieval.text_to_video.r10"]) == 0.5 and first["retrieval.text_to_video.gallery"] == "8"
    assert "linear_probe.audio.top1" not in first and rows[5]["retrieval.text_to_video.r10"] == ""


def test_other_directions_and_intervals_are_there_where_they_were_evaluated(make_sweep):
    newer = result(0.5) | {"zero_shot": {"video": {"top1": 0.125}, "prompts": ["{}"]}}
    newer["retrieval"]["video_to_text"] = {"r10": 0.25, "intervals": {"r10": {"low": 0.125, "high": 0.5}}}
    found = {("vatt",): (result(0.5), records(0.5)), ("gr",): (newer, records(0.5))}
    state = make_sweep({"method": ["vatt", "gr"]}, found).read()
    head, vatt, gr = table(state)
    places = [head.index("video to text R@10, %"), head.index("zero-shot classification by class names video, %")]
    assert [vatt[place] for place in places] == ["-", "-"] and [gr[place] for place in places] == ["25.0", "12.5"]
    rows = list(csv.DictReader(io.StringIO(points_csv(state))))
    column = "retrieval.video_to_text.intervals.r10.low"
    assert [row[column] for row in rows] == ["", "0.125"]


def words(drawing: str) -> set[str]:
    root = ElementTree.fromstring(drawing)
    assert root.attrib["viewBox"] and root.attrib["aria-label"]
    return {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}


def test_figures_are_drawn_along_axes_with_alternatives(sweep):
    state = sweep.read()
    drawings = figures_by_axis(state)
    assert len(drawings) == len(present_metrics(state)) == 6  # of the method; seeds are no axis to compare along
    assert {"method", "vatt", "gr", "text to video R@10, %", "%"} <= words(drawings[2])
    dots = [len(re.findall(f'<use [^>]*style="fill: {color}', drawings[2])) for color in PALETTE[:3]]
    assert dots == [2, 1, 0]


def test_curves_have_a_color_per_setting(sweep):
    drawings = curves_over_steps(sweep.read())
    assert len(drawings) == 6
    assert {"Video-audio loss", "loss, nats", "step", "vatt", "gr"} <= words(drawings[0])
    assert [drawings[0].count(f"stroke: {color}") for color in PALETTE[:3]] == [3 + 1, 2 + 1, 0]  # and in the legend


def test_nothing_run_yet_still_gives_a_report(make_sweep):
    directory = make_sweep({"method": ["vatt", "gr"]}, {("vatt",): (None, []), ("gr",): (None, [])})
    assert write_sweep_report(directory).startswith("| method | finished |\n| --- | --- |\n| vatt | 0 of 1 |\n")
    page = (directory.path / "report" / "index.html").read_text()
    assert (
        "No point is finished yet" in page
        and "No point has recorded a step yet" in page
        and "0 of 2 points finished" in page
    )


def test_the_report_rebuilds_all_files_alike(sweep, run_report):
    write_sweep_report(sweep)
    names = ("sweep.csv", "table.md", "report/index.html")
    before = {name: (sweep.path / name).read_bytes() for name in names}
    for name in names:
        (sweep.path / name).unlink()
    code, output, errors = run_report(f"--sweep={sweep.path}")
    assert code == 0, errors
    assert "| 60.0 ± 14.1 |" in output and f"Report: {sweep.path}/report/index.html" in output
    assert before == {name: (sweep.path / name).read_bytes() for name in names}
    page = before["report/index.html"].decode()
    assert re.findall(r'(?:src|href)="(?!data:|#)[^"]*', page) == [] and page.count("<svg") == 6 + 6
    assert "<td>method=gr,seed=2</td><td>at step 6 of 20</td>" in page and "The paper&#x27;s table" not in page
    assert not (sweep.path / "paper_table.md").exists()


def test_a_directory_that_is_no_sweep_exits_with_2(run_report, tmp_path):
    code, _, errors = run_report(f"--sweep={tmp_path}")
    assert code == 2 and errors.startswith(f"error: {tmp_path} should be the directory of a sweep, with sweep.json")
    code, _, errors = run_report(f"--sweep={tmp_path}", f"--workdir={tmp_path}")
    assert code == 2 and "either --workdir or --sweep" in errors


@pytest.mark.parametrize(
    "change",
    [
        {"points": 3},
        {"axes": {"seed": [1]}},
        {"axes": {"seed": ["\ud800"]}},
        {"name": "../elsewhere"},
        {"name": ".."},
        {"name": "9" * 256},
        {"steps": "20"},
        {"tasks": 3},
    ],
)
def test_a_sweep_with_values_of_another_kind_is_refused(run_report, sweep, change):
    stored = json.loads(sweep.description.read_text())
    (stored if change.keys() <= stored.keys() else stored["points"][0]).update(change)
    sweep.description.write_text(json.dumps(stored))
    code, _, errors = run_report(f"--sweep={sweep.path}")
    assert code == 2 and errors.startswith(f"error: {sweep.description} should be as this version writes it"), errors


@pytest.mark.parametrize("change", [{"cosine": "high"}, {"cosines": 3}, {"step_seconds": [1]}])
def test_metrics_of_another_kind_are_refused(sweep, change):
    metrics = sweep.path / "method=vatt,seed=1" / "metrics.jsonl"
    metrics.write_text(json.dumps(records(0.5)[0] | change) + "\n" + metrics.read_text())
    with pytest.raises(BadInput, match=r"seed=1/metrics\.jsonl should be as this version writes it"):
        table(sweep.read()), curves_over_steps(sweep.read())


def test_a_result_that_is_a_broken_link_is_refused(sweep):
    path = sweep.path / "method=vatt,seed=1" / "result.json"
    path.unlink()
    path.symlink_to("elsewhere")
    with pytest.raises(BadInput, match=r"seed=1/result\.json should be as this version writes it"):
        table(sweep.read())


def test_a_result_of_another_kind_is_refused(sweep):
    path = sweep.path / "method=vatt,seed=1" / "result.json"
    path.write_text(path.read_text().replace("0.5", '"high"', 1))
    with pytest.raises(BadInput, match=r"seed=1/result\.json should be as this version writes it"):
        table(sweep.read())


TASKS = {
    "ucf101": {"top1": 0.8, "top5": 0.95, "items": 3783},
    "youcook2": {"median_rank": 45.0, "r10": 0.25, "items": 3320},
}


@pytest.fixture
def paper(make_sweep) -> SweepDirectory:
    """Two rows of the paper's grid, with two seeds, and a mix of our own; of them one method was run on two tasks."""
    better = {"ucf101": {"top1": 0.82, "top5": 0.95, "items": 3783}}
    axes = {"mix": ["ht100m", "ours"], "method": ["gr", "both"], "seed": ["1", "2"]}
    found = {
        (mix, method, seed): (None, []) for mix in axes["mix"] for method in axes["method"] for seed in axes["seed"]
    }
    found["ht100m", "gr", "1"] = ({"step": STEPS, "tasks": TASKS}, [])
    found["ht100m", "gr", "2"] = ({"step": STEPS, "tasks": better}, [])
    found["ours", "both", "1"] = ({"step": STEPS, "tasks": TASKS}, [])
    return make_sweep(axes, found)


def test_the_published_table_is_the_posters():
    published = result_grid.published()
    assert list(published) == [(mix, method) for mix in result_grid.MIXES for method in result_grid.METHOD_TITLES]
    assert all(list(row) == list(PAPER_COLUMNS) for row in published.values()) and len(PAPER_COLUMNS) == 12
    assert published["ht100m", "vatt"]["youcook2_median_rank"] == 93.5
    assert published["ht100m", "rw_va"]["youcook2_median_rank"] == 168.9
    assert published["ht100m_audioset", "cl"]["msrvtt_r10"] == 20.97
    assert published["ht100m_audioset_yt8m", "both"]["esc50_top5"] == 98.0
    dashes = [(row, name) for row, figures in published.items() for name, figure in figures.items() if figure is None]
    assert dashes == [(("ht100m_audioset", "vatt"), f"{task}_top5") for task in ("ucf101", "hmdb51", "esc50")]
    assert sum(published["ht100m", "vatt"].values()) == pytest.approx(848.15)  # of the whole row


def test_ours_stand_beside_the_published_and_never_mix(paper):
    grid = result_grid.grid(paper.read())
    assert len(grid) == 18 + 2  # those of our own mix come last
    cell = grid["ht100m", "gr"]["ucf101_top1"]
    assert (cell.ours, cell.runs, cell.items, cell.published) == (pytest.approx(81.0), 2, 3783, 78.44)
    assert cell.texts() == ("81.00", "78.44", "+2.56")
    assert grid["ht100m", "gr"]["youcook2_median_rank"].texts() == ("45.00", "47.00", "-2.00")
    assert grid["ht100m", "gr"]["youcook2_median_rank"].runs == 1
    assert grid["ht100m", "gr"]["esc50_top1"].texts() == ("not run", "69.00", "-")
    assert grid["ht100m_audioset", "vatt"]["esc50_top5"].texts() == ("not run", "-", "-")
    assert grid["ours", "both"]["ucf101_top1"].texts() == ("80.00", "-", "-")
    never = [cell for row in grid.values() for cell in row.values() if cell.ours is not None and not cell.runs]
    assert never == [] and sum(cell.ours is not None for row in grid.values() for cell in row.values()) == 8


def test_the_papers_table_is_written_in_three_forms(paper):
    write_sweep_report(paper)
    lines = (paper.path / "paper_table.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith("| ")]
    assert len(rows) == 2 + 3 * (18 + 2)
    assert rows[0].startswith("| mix | method |  | UCF101 T1 | UCF101 T5 | HMDB51 T1 |") and rows[0].endswith(
        "| ESC-50 T5 |"
    )
    at = rows.index(next(row for row in rows if row.startswith("| HT100M | GR | ours |")))
    assert rows[at].startswith("| HT100M | GR | ours | 81.00 | 95.00 | not run | not run |")
    assert rows[at + 1].startswith("| HT100M | GR | published | 78.44 | 95.37 | 54.38 |")
    assert rows[at + 2].startswith("| HT100M | GR | difference | +2.56 | -0.37 | - |")
    cells = list(csv.DictReader(io.StringIO((paper.path / "paper_table.csv").read_text())))
    assert len(cells) == 20 * 12 and sum(cell["status"] == "run" for cell in cells) == 8
    (found,) = [
        cell for cell in cells if (cell["mix"], cell["method"], cell["figure"]) == ("ht100m", "gr", "youcook2_r10")
    ]
    assert (found["ours"], found["runs"], found["items"], found["published"]) == ("25.0", "1", "3320", "24.94")
    page = (paper.path / "report" / "index.html").read_text()
    assert '<th colspan="14">HT100M + AudioSet</th>' in page
    assert '<td>GR</td><td>published</td><td class="number">78.44</td>' in page


def test_metrics_name_keys_that_an_evaluation_has():
    found = {"top1": 0.1, "top5": 0.2, "median_rank": 3.0, "r10": 0.3, "items": 7}
    full = {"tasks": dict.fromkeys(("ucf101", "hmdb51", "kinetics400", "youcook2", "msrvtt", "esc50"), found)}
    assert all(metric.value(full) is not None for metric in PAPER_COLUMNS.values())
    assert all(metric.items(full) == 7 for metric in PAPER_COLUMNS.values())
    assert all(metric.value(None) is None for metric in METRICS) and len({metric.title for metric in METRICS}) == len(
        METRICS
    )
