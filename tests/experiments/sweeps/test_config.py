"""The grid that a gin file describes, and the sweeps that are shipped."""

import pathlib

import pytest

from experiments.pretraining import config
from experiments.pretraining.assembly import make_model
from experiments.running.command_line import BadInput
from experiments.running.run_directory import config_difference, operative_config
from experiments.sweeps import config as sweep_config
from experiments.sweeps.config import Point, Sweep

CONFIGS = pathlib.Path(__file__).parents[3] / "configs"
METHODS = ["vatt", "rw_va", "rw_vt", "gr", "cl", "both"]


def names(**options) -> list[str]:
    return [point.name for point in Sweep(**options).points()]


def test_a_point_has_the_files_and_bindings_of_its_alternatives():
    sweep = Sweep(
        axes={"mix": {"small": ("a.gin", "B.c = 1"), "none": ()}, "pretrain.seed": (1, 2)},
        gin_files=("base.gin",),
        bindings=("STEPS = 3",),
    )
    first, *_, last = sweep.points()
    assert first == Point(
        "mix=small,seed=1",
        {"mix": "small", "seed": "1"},
        ("base.gin", "a.gin"),
        ("STEPS = 3", "B.c = 1", "pretrain.seed = 1"),
    )
    assert last == Point(
        "mix=none,seed=2", {"mix": "none", "seed": "2"}, ("base.gin",), ("STEPS = 3", "pretrain.seed = 2")
    )
    assert [point.labels["seed"] for point in sweep.points()] == ["1", "2", "1", "2"]


def test_values_become_bindings_that_gin_reads_back():
    sweep = Sweep(axes={"pretrain.datasets": (("a", "b c"), ("d/e",)), "pretrain.learning_rate": (1e-3, 2.5e-05)})
    assert names(axes=sweep.axes)[:3:2] == [
        "datasets=_a_b_c_,learning_rate=0.001",
        "datasets=_d_e_,learning_rate=0.001",
    ]
    assert sweep.points()[1].bindings == ("pretrain.datasets = ('a', 'b c')", "pretrain.learning_rate = 2.5e-05")


def test_names_are_safe_and_stable():
    assert names(axes={"a b": {"x/../y": (), "$(z) *[1]": (), "ä": (), "1.5e-3": ()}}) == [
        "a_b=x_.._y", "a_b=_z_1_", "a_b=_", "a_b=1.5e-3"
    ]  # fmt: skip


MISTAKES = {
    "two that write to one place": ({"a": {"x y": (), "x*y": ()}}, r"would write into a=x_y: .*'x y'.* and .*'x\*y'"),
    "two that some file systems hold for one": ({"a": {"gr": (), "GR": ()}}, "would write into a=GR"),
    "the same value twice": (
        {"pretrain.seed": (1, 2, 1)},
        "would be the same: the axis 'pretrain.seed' has a value twice",
    ),
    "axes of one name": ({"a.seed": (1,), "b.seed": (1,)}, "two axes called 'seed'"),
    "no axis": ({}, "at least one axis"),
    "no alternative": ({"a": {}}, "should have alternatives"),
    "values without a binding": ({"seed": (1, 2)}, "have the name of the binding that takes the values"),
    "neither file nor binding": (
        {"a": {"x": "gr"}},
        r"alternative 'x' of the axis 'a' should consist of gin files.*Found 'gr'",
    ),
    "a name too long": ({"a": {"x" * 300: ()}}, "should have at most 200 characters"),
    "a wrong order of programs": (
        {"a": {"x": ()}},
        "should be some of pretrain, finetune, evaluate, report, in this order",
    ),
    "flags of no program": (
        {"a": {"x": ()}},
        "`sweep.flags` should be flags of the sweep's programs, .*Found finetune",
    ),
    "a flag that leads elsewhere": ({"a": {"x": ()}}, "should leave --workdir of pretrain to the sweep"),
    "a flag and its value": ({"a": {"x": ()}}, "should leave --tasks of evaluate to the sweep"),
    "a file of flags": ({"a": {"x": ()}}, "should leave --flagfile of report to the sweep"),
    "one text for a list": ({"a": {"x": ()}}, "should have a list of flags for pretrain. Found '--strategy=tpu'"),
    "a task misspelt": ({"a": {"x": ()}}, "`sweep.tasks` should be some of retrieval, .*msrvtt. Found retreival"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_is_no_grid_is_refused(mistake):
    axes, message = MISTAKES[mistake]
    others = {
        "a wrong order of programs": {"programs": ("evaluate", "pretrain")},
        "flags of no program": {"flags": {"finetune": ()}},
        "a flag that leads elsewhere": {"flags": {"pretrain": ("--strategy=tpu", "--workdir=/elsewhere")}},
        "a flag and its value": {"flags": {"evaluate": ("-tasks", "retrieval")}},
        "a file of flags": {"flags": {"report": ("--flagfile=more",)}},
        "one text for a list": {"flags": {"pretrain": "--strategy=tpu"}},
        "a task misspelt": {"tasks": ("retrieval", "retreival")},
    }
    with pytest.raises(ValueError, match=message):
        Sweep(axes=axes, **others.get(mistake, {}))


def test_gin_fills_it_and_mistakes_are_bad_input(tmp_path):
    path = tmp_path / "sweep.gin"
    path.write_text("sweep.axes = {\n    'method': {'gr': 'gr.gin'},\n    'pretrain.seed': (1, 2),\n}\n")
    sweep = sweep_config.parse([str(path)], ["sweep.bindings = (\"pretrain.loss = 'nce'\",)"])
    assert [point.bindings[0] for point in sweep.points()] == ["pretrain.loss = 'nce'"] * 2
    for binding, message in (
        ("sweep.axis = {}", r"Did you mean `sweep\.axes`\?"),
        ("sweep.axes = {'a': 3}", r"`sweep\.axes` should be of type"),
        ("sweep.axes = {'a': 'x'}", "the axis 'a' of `sweep.axes` should have alternatives"),
    ):
        with pytest.raises(BadInput, match=message):
            sweep_config.parse([str(path)], [binding])
    with pytest.raises(BadInput, match="--gin_file is needed"):
        sweep_config.parse([], [])


@pytest.fixture(scope="module")
def paper() -> dict[str, tuple[config.Pretrain, str]]:
    """Name of each point of the paper's sweep to what it is built from, and its operative configuration."""
    found = {}
    for point in sweep_config.parse([str(CONFIGS / "sweeps/paper.gin")], []).points():
        settings = config.parse(point.gin_files, point.bindings)
        assert (
            make_model(settings, vocabulary_size=65_536).feature_dims["video"] == 1024
        )  # in full size, without variables
        found[point.name] = settings, operative_config()
    return found


def test_the_papers_grid_has_all_rows_of_its_table(paper):
    mixes = {"ht100m": 1, "ht100m_audioset": 2, "ht100m_audioset_yt8m": 3}
    assert list(paper) == [f"mix={mix},method={method}" for mix in mixes for method in METHODS]
    for name, (settings, _) in paper.items():
        assert len(settings.datasets) == mixes[name.split(",")[0].removeprefix("mix=")]
        assert (settings.steps, settings.batch_size) == (500_000, 2048)
    kinds = [type(paper[f"mix=ht100m,method={method}"][0].build_harmonizer()).__name__ for method in METHODS]
    assert kinds == ["Sum", "Reweight", "Reweight", "GradientRealignment", "GradientCurriculum", "Both"]


@pytest.mark.parametrize("method", ["gr", "both"])
def test_a_point_is_the_same_run_as_the_papers_file(method, paper):
    config.parse([str(CONFIGS / f"paper/ht100m_{method}.gin")], [])
    make_model(config.parse([str(CONFIGS / f"paper/ht100m_{method}.gin")], []), vocabulary_size=65_536)
    assert config_difference(paper[f"mix=ht100m,method={method}"][1], operative_config()) == []


def test_the_demos_sweep_is_the_six_methods_over_any_seeds():
    demo = str(CONFIGS / "sweeps/demo.gin")
    assert [point.name for point in sweep_config.parse([demo], []).points()] == [
        f"method={method}" for method in METHODS
    ]
    sweep = sweep_config.parse([demo], ["sweep.axes = {'pretrain.seed': (1, 2), 'method': %METHODS}"])
    points = sweep.points()
    assert len(points) == 12 and points[7].name == "seed=2,method=rw_va"
    assert config.parse(points[7].gin_files, points[7].bindings).seed == 2


@pytest.mark.parametrize("path", sorted((CONFIGS / "sweeps").glob("*.gin")), ids=lambda path: path.stem)
def test_headers_say_what_they_are_for(path):
    header = "".join(line for line in path.read_text().splitlines(keepends=True) if line.startswith("#"))
    wanted = ["# Purpose:", "# Command:"]
    if path.stem != "methods":
        wanted += ["# Hardware and time:", "# Result:", f"--gin_file=configs/sweeps/{path.name}"]
    assert [text for text in wanted if text not in header] == []
