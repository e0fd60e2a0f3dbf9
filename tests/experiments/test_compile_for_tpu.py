"""`experiments.compile_for_tpu`, from flags to exit codes. Compiling itself needs libtpu, which CI does not install."""

import importlib.util
import json
import multiprocessing
import subprocess
import sys

import pytest
from absl.testing import flagsaver

from experiments.pretraining import config
from experiments.running.command_line import BadInput, RunFailed
from experiments.running.command_line import _guarded as guarded
from experiments.tpu_compiling import compiling, environment, program, worker
from experiments.tpu_compiling.compiling import check_compiler, compile_program, shown_progress
from experiments.tpu_compiling.generations import parse_topology
from experiments.tpu_compiling.lowering import Lowered
from experiments.tpu_compiling.variants import VARIANTS, configure
from vatt.keras import keras

HAS_COMPILER = all(importlib.util.find_spec(name) for name in ("jax", "libtpu"))
needs_compiler = pytest.mark.skipif(not HAS_COMPILER, reason="needs the extra `compile`")
V3, NOTHING = parse_topology("v3:2x2"), Lowered(b"", (), 0)


@pytest.fixture
def compile_here(only_flags_of, tiny_run, tmp_path, monkeypatch, capsys):
    """A function (*bindings, **flags) -> exit code, stdout and stderr of the program, run in this process."""
    module = only_flags_of("experiments.compile_for_tpu")
    monkeypatch.setattr(environment, "installed_versions", lambda: {"jax": "0"})
    monkeypatch.setattr(program, "check_compiler", lambda topology: None)

    def run(*bindings, **values):
        values = {
            "gin_bindings": [*tiny_run, *bindings],
            "output_dir": str(tmp_path / "out"),
            "clips_per_core": 2,
        } | values
        capsys.readouterr()
        with flagsaver.flagsaver(**values):
            code = guarded(module.main, ["compile_for_tpu"])
        return code, *capsys.readouterr()

    yield run
    keras.mixed_precision.set_global_policy("float32")


@pytest.mark.parametrize(
    "flags, pattern",
    [
        ({"topology": "v7:2x2"}, "--topology should be a generation"),
        (
            {"variants": ["configured", "fast"]},
            "--variants should be some of configured, plain, after, before. Found fast",
        ),
        ({"variants": []}, "Found none"),
        (
            {"clips_per_core": None, "topology": "v3:8x16"},
            r"batch_size` should be a multiple of the 256 cores .* --clips_per_core",
        ),
        ({"gin_bindings": ["pretrain.stepz = 3"]}, "the configuration cannot be used"),
        ({"blocks": 2}, "--blocks should be at most 1, which the model's encoders have. Found 2"),
        ({"output_dir": "/dev/null/here"}, "--output_dir should be a directory"),
    ],
)
def test_bad_input_is_refused_at_once(compile_here, is_one_message, flags, pattern):
    is_one_message(compile_here(**flags), pattern)


@pytest.mark.parametrize(
    "clips, trials, pattern",
    [
        (12, 0, r"`pretrain\.clips_per_pass` should divide the clips of each replica, .* = 12\. Found 8"),
        (16, 1, r"--batch_trials should be 0 with `pretrain\.clips_per_pass`"),
    ],
)
def test_clips_of_a_core_make_whole_passes(compile_here, is_one_message, clips, trials, pattern):
    is_one_message(compile_here("pretrain.clips_per_pass = 8", clips_per_core=clips, batch_trials=trials), pattern)


def test_a_missing_compiler_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(environment, "PACKAGES", ("numpy", "no-such-package-libtpu"))
    with pytest.raises(
        ValueError, match=r"Missing: no-such-package-libtpu\. Run: pip install 'vatt-harmonization\[compile\]'"
    ):
        environment.installed_versions()


def test_a_step_with_state_is_not_harmonized_before_the_sum(compile_here):
    code, _, errors = compile_here("pretrain.harmonizer = 'gradvac'", "pretrain.all_reduce = 'before'")
    assert code == 2 and "a method without state" in errors


@pytest.mark.parametrize(
    "answer, pattern",
    [
        (
            {"error": 'ABORTED: accessing libtpu multi-process lockfile. Run "$ sudo rm"'},
            "libtpu should be free.*ALLOW_MULTIPLE",
        ),
        (
            {"error": 'INVALID_ARGUMENT: Topology layout "v3:3x3" is not divisible'},
            "one that the compiler knows.*not divisible",
        ),
        ({"devices": 4}, "it has 4 devices, not 8"),
    ],
)
def test_a_compiler_that_cannot_be_used_is_bad_input(monkeypatch, answer, pattern):
    monkeypatch.setattr(compiling, "_run", lambda work, task: answer)
    with pytest.raises(BadInput, match=pattern):
        check_compiler(V3)


def test_a_step_that_does_not_compile_is_a_failure(monkeypatch):
    monkeypatch.setattr(compiling, "_run", lambda work, task: {"error": "JaxRuntimeError: INTERNAL: something"})
    with pytest.raises(RunFailed, match="the step does not compile for v3:2x2: JaxRuntimeError: INTERNAL"):
        compile_program(NOTHING, V3)


def test_short_memory_has_a_page_and_its_own_exit_code(monkeypatch, compile_here, tmp_path):
    said = (
        "E1000: the total memory required for HLO temporaries (24.25G) exceeds available HBM (15.48G). HLO module: m."
    )
    monkeypatch.setattr(program, "lower", lambda *arguments: NOTHING)
    monkeypatch.setattr(compiling, "_run", lambda work, task: {"error": said, **worker._memory_shortage(said)})
    code, output, _ = compile_here(topology="v3:1x1")
    assert code == 1 and "temporaries alone do not fit" in output
    found = json.loads((tmp_path / "out" / "costs.json").read_text())["variants"]["configured"]
    assert found["memory_bytes"]["temporaries"] == 24.25 * 2**30 and not found["fits"]


@pytest.mark.parametrize("variant, measured", [("configured", True), ("plain", False)])
def test_the_plain_step_takes_one_backward_pass(compile_here, monkeypatch, variant, measured):
    asked = []

    def lower(step, specs, replicas):
        asked.append(step.keywords)
        raise RunFailed("enough")

    monkeypatch.setattr(program, "lower", lower)
    assert compile_here(variants=[variant])[0] == 1
    assert asked == [{"measure": measured}]


def test_blocks_shorten_every_encoder(compile_here, monkeypatch):
    kept = []

    def lower(step, specs, replicas):
        kept.append({len(encoder.blocks) for encoder in step.func.__self__.model.encoders.values()})
        raise RunFailed("enough")

    monkeypatch.setattr(program, "lower", lower)
    assert compile_here("VATT.layers = 3", blocks=2)[0] == 1
    assert kept == [{2}]


def test_a_crash_of_the_compiler_is_a_failure(monkeypatch):
    monkeypatch.setattr(
        worker, "compile_in_worker", sys.exit
    )  # which needs no test to be imported by the other process
    with pytest.raises(RunFailed, match=r"(?s)ended with code 1 and without an answer.*nothing"):
        compile_program(NOTHING, V3)


def test_progress_is_shown_while_something_takes_time():
    lines = []
    with shown_progress("Compiling", lines.append, first_seconds=0.01):
        multiprocessing.Event().wait(0.1)
    assert lines[0] == "Compiling ..." and lines[-1].startswith("Compiling: done after 0.1")
    assert len(lines) > 2 and lines[1] == "Compiling: 0 s ..."


@needs_compiler
def test_a_very_small_step_compiles_for_a_v3(compile_here, tmp_path, monkeypatch):
    """The whole way: the compiler for TPUs itself."""
    monkeypatch.setenv("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
    code, output, errors = compile_here("pretrain.precision = 'mixed_bfloat16'", topology="v3:2x2")
    assert code == 0, errors
    assert "fits" in output and (tmp_path / "out" / "index.html").exists()
    found = json.loads((tmp_path / "out" / "costs.json").read_text())
    costs = found["variants"]["configured"]["costs"]
    parts = {part["part"] for part in costs["parts"]}
    assert found["devices"] == 8 and costs["milliseconds"] > 0
    assert {"Gram", "optimizer", "norms", "patching", "feed-forward", "attention products"} <= parts
    assert {part["modality"] for part in costs["parts"]} == {"video", "audio", "text", "all"}
    assert costs["collectives"]["count"] >= 2 and 0 < costs["padding"]["products"] < 1
    rest = sum(part["milliseconds"] for part in costs["parts"] if part["part"] == "rest")
    assert rest < 0.25 * costs["milliseconds"]


@needs_compiler
def test_a_topology_that_libtpu_does_not_know_is_bad_input(monkeypatch):
    monkeypatch.setenv("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
    with pytest.raises(BadInput, match="v3:3x3.*not divisible"):
        check_compiler(parse_topology("v3:3x3"))


def test_the_worker_needs_no_tensorflow():
    """It starts in a second, and libtpu and TensorFlow never meet."""
    code = "import sys; import experiments.tpu_compiling.worker; print('tensorflow' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"


def test_variants_change_what_their_names_say(tiny_run):
    settings = config.parse([], [*tiny_run, "pretrain.granularity = 'sample'"])
    variants = {name: configure(settings, name) for name in VARIANTS}
    assert variants["configured"] == settings
    assert (variants["plain"].harmonizer, variants["plain"].granularity) == ("sum", "batch")
    assert [variants[name].all_reduce for name in ("after", "before")] == ["after", "before"]
