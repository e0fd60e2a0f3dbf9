"""The wheel works in any directory, next to any other package; nothing of it comes from the checkout."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import zipfile

import pytest
import tensorflow as tf

from experiments.running.programs import found_anywhere

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parent.parent
PARTS = ("vatt", "harmonization", "data", "experiments", "configs")
PIP = ["-m", "pip", "--disable-pip-version-check", "--quiet"]
OTHER = "raise RuntimeError('this is not the module that was meant')\n"
DIRECTORIES = {
    "an empty one": {},
    "data.py": {"data.py": OTHER},
    "data/": {"data/__init__.py": OTHER},
    "data/ without __init__.py": {"data/clips.csv": ""},
    "experiments/": {"experiments/__init__.py": OTHER},
    "vatt.py and harmonization/": {"vatt.py": OTHER, "harmonization/__init__.py": OTHER},
    "configs/": {"configs/__init__.py": OTHER, "configs/demo.gin": "include 'configs/models/tiny.gin'\n"},
}
# Where a program finds its packages.
FOUND = """
import importlib.util, json, vatt_harmonization
vatt_harmonization.put_first()
print(json.dumps({name: importlib.util.find_spec(name).origin for name in vatt_harmonization.PACKAGES}))
"""
# A user's script, then a program in the same process: TensorFlow is loaded once.
SCRIPT = """
import sys
import harmonization, vatt
import numpy as np
import tensorflow as tf

tf.config.run_functions_eagerly(True)  # tracing them would take most of the time
model = vatt.load(sys.argv[1])
print("features:", model.encode("video", np.zeros([1, 8, 32, 32, 3], np.float32)).shape)

inputs = tf.keras.Input([2])
outputs = {name: tf.keras.layers.Dense(1, name=name)(inputs) for name in ("a", "b")}
two_losses = harmonization.HarmonizedModel(inputs, outputs)
two_losses.compile("sgd", loss={"a": "mse", "b": "mae"}, harmonizer="gr")
two_losses.fit(np.ones([4, 2]), {"a": np.ones(4), "b": np.zeros(4)}, verbose=0)
print("files:", vatt.__file__, harmonization.__file__)

import vatt_harmonization
sys.argv[1:] = sys.argv[2:]
sys.exit(vatt_harmonization.main())
"""
SHRUNK = [
    "VATT.layers = 1", "VATT.width = 16", "VATT.heads = 2", "VATT.head_dim = 8", "VATT.feed_forward = 32",
    "VATT.word_dim = 8", "VATT.feature_dim = 16", "VATT.video_audio_dim = 12", "VATT.video_text_dim = 8",
    "ClipSpec.frames = 8", "ClipSpec.image_size = 32", "ClipSpec.sample_rate_hz = 2000",
]  # fmt: skip


def run(*command, cwd, code=0, **environment) -> str:
    """Runs a command as a user without any settings of Python would; returns what it printed."""
    unset = ("PYTHONPATH", "TF_USE_LEGACY_KERAS")
    kept = {name: value for name, value in os.environ.items() if name not in unset}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=kept | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == code and "Traceback" not in done.stderr, done.stderr
    return done.stdout if code == 0 else done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> pathlib.Path:
    """The wheel, built from a copy of the checkout in which an earlier version was built once."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for part in PARTS:
        shutil.copytree(ROOT / part, source / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    (source / "build" / "lib" / "data").mkdir(parents=True)
    (source / "build" / "lib" / "data" / "__init__.py").touch()
    options = ["--no-deps", "--no-build-isolation", "--no-index", f"--wheel-dir={target}"]
    run(sys.executable, *PIP, "wheel", *options, source, cwd=target)
    (built,) = target.iterdir()
    return built


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory) -> pathlib.Path:
    """A virtual environment with the wheel; the libraries come from the tests' own, without its editable install."""
    directory = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", directory, cwd=directory)
    (site,) = directory.glob("lib/python3*/site-packages")
    libraries = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
    (site / "libraries.pth").write_text("".join(f"{path}\n" for path in libraries))  # their own .pth files are not read
    install(directory, wheel)
    return directory


def install(environment: pathlib.Path, *arguments) -> None:
    """Installs a wheel into an environment."""
    options = ["--no-deps", "--no-index", "--ignore-installed"]
    run(environment / "bin" / "python", *PIP, "install", *options, *arguments, cwd=environment)


@pytest.fixture
def make_directory(tmp_path):
    """A function (files) -> a directory with these files, relative path to text."""

    def make(files: dict[str, str]) -> pathlib.Path:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return tmp_path

    return make


@pytest.fixture(scope="module")
def run_directory(make_model, tmp_path_factory) -> pathlib.Path:
    """What `vatt.load` needs of a run."""
    directory = tmp_path_factory.mktemp("run")
    model = make_model()
    (directory / "model.json").write_text(json.dumps(model.get_config()))
    tf.train.Checkpoint(model=model).save(str(directory / "checkpoints" / "ckpt"))
    return directory


def test_the_wheel_holds_everything_in_one_package(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"vatt_harmonization", "vatt_harmonization.pth", "vatt.py", "harmonization.py"}
    inside = {name.removeprefix("vatt_harmonization/packages/") for name in names}
    expected = [
        path for part in PARTS for path in (ROOT / part).rglob("*") if path.suffix in (".py", ".gin", ".html", ".csv")
    ]
    expected = {path.relative_to(ROOT).as_posix() for path in expected if "notebooks" not in path.parts}
    assert len(expected) > 300 and expected <= inside


@pytest.mark.parametrize("files", DIRECTORIES.values(), ids=DIRECTORIES)
def test_programs_find_their_packages_whatever_the_directory_holds(environment, make_directory, files):
    directory = make_directory(files)
    script, python = environment / "bin" / "vatt-harmonization", environment / "bin" / "python"
    found = json.loads(run(python, "-c", FOUND, cwd=directory))
    assert len(found) == 4 and all("vatt_harmonization/packages" in place for place in found.values())
    assert all(pathlib.Path(place).is_relative_to(environment) for place in found.values())
    answer = run(script, "pretrain", "--help", cwd=directory)
    assert "python -m experiments.pretrain --gin_file=" in answer and "--[no]dry_run" in answer
    # What a sweep, a study or a comparison starts.
    (launcher,) = environment.glob("lib/python3*/site-packages/vatt_harmonization/packages/experiments/__main__.py")
    assert run(python, launcher, "pretrain", "--help", cwd=directory, PYTHONPATH=str(directory)) == answer
    if "experiments/__init__.py" not in files:
        assert run(python, "-m", "experiments.pretrain", "--help", cwd=directory) == answer


def test_the_overview_names_programs_and_configurations_and_is_quick(environment, tmp_path):
    script = environment / "bin" / "vatt-harmonization"
    overview = run(script, "--help", cwd=tmp_path)
    lines = dict(line.strip().split("  ", 1) for line in overview.splitlines() if line.startswith("  "))
    assert lines["pretrain"].strip() == "Pre-trains VATT with harmonized gradients."
    assert {
        "prepare_data",
        "sweep",
        "benchmarks.step",
        "configs/demo.gin",
        "configs/paper/ht100m_both.gin",
    } <= lines.keys()
    assert "studies.variant" not in overview and all(text.strip() for text in lines.values())
    program = "import sys, vatt_harmonization; vatt_harmonization.main(); print('tensorflow' in sys.modules)"
    assert run(environment / "bin" / "python", "-c", program, "--help", cwd=tmp_path).endswith("\nFalse\n")
    message = run(script, "pretrian", cwd=tmp_path, code=2)
    assert (
        message
        == "error: no program is called pretrian. Did you mean pretrain? vatt-harmonization --help lists them.\n"
    )


def test_scripts_run_next_to_modules_of_the_same_names(environment, make_directory, run_directory):
    directory = make_directory({name: OTHER for name in ("data.py", "data/__init__.py", "experiments/__init__.py")})
    flags = ["--dry_run", "--gin_file=configs/demo.gin", *(f"--gin_bindings={binding}" for binding in SHRUNK)]
    output = run(environment / "bin" / "python", "-c", SCRIPT, run_directory, "pretrain", *flags, cwd=directory)
    assert "features: (1, 16)" in output and "Dry run done" in output
    files = next(line for line in output.splitlines() if line.startswith("files: ")).split()[1:]
    assert all(pathlib.Path(file).is_relative_to(environment) and "/packages/" in file for file in files)


def test_another_wheel_with_a_data_folder_does_no_harm(environment, tmp_path):
    python = environment / "bin" / "python"
    ours = sorted(environment.glob("lib/python3*/site-packages/vatt_harmonization/**/*.*"))
    plain = "import importlib.util; print(importlib.util.find_spec('data').origin)"
    install(environment, other_wheel(tmp_path))
    try:
        assert run(python, "-c", plain, cwd=tmp_path).endswith("site-packages/data/__init__.py\n")
        assert "vatt_harmonization/packages/data/" in json.loads(run(python, "-c", FOUND, cwd=tmp_path))["data"]
    finally:
        run(python, *PIP, "uninstall", "--yes", "other", cwd=tmp_path)
    assert "vatt_harmonization/packages/data/" in run(python, "-c", plain, cwd=tmp_path)
    assert "vatt_harmonization/packages/data/" in json.loads(run(python, "-c", FOUND, cwd=tmp_path))["data"]
    left = sorted(environment.glob("lib/python3*/site-packages/vatt_harmonization/**/*.*"))
    assert set(ours) <= set(left) and len(ours) > 300


def other_wheel(directory: pathlib.Path) -> pathlib.Path:
    """Writes a wheel of someone else's that has a folder `data`."""
    path, info = directory / "other-1.0-py3-none-any.whl", "other-1.0.dist-info"
    texts = {
        "data/__init__.py": OTHER,
        "data/errors.py": OTHER,
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: other\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in (*texts, f"{info}/RECORD"))
    with zipfile.ZipFile(path, "w") as file:
        for name, text in (texts | {f"{info}/RECORD": record}).items():
            file.writestr(name, text)
    return path


def test_an_already_loaded_module_of_the_same_name_is_named(environment, make_directory):
    directory = make_directory({"data.py": "", "experiments/__init__.py": ""})
    for name, place in (("data", "data.py"), ("experiments", "experiments/__init__.py")):
        script = f"import {name}\ntry:\n    from vatt_harmonization import {name}\nexcept ImportError as error:\n    print(error)"
        message = run(environment / "bin" / "python", "-c", script, cwd=directory)
        assert message.startswith(f"`{name}` should be vatt-harmonization's. Found {directory / place}, which")
        assert message.count("\n") == 1


def test_public_names_are_found_where_pth_files_are_not_read(wheel, tmp_path):
    run(sys.executable, *PIP, "install", "--no-deps", "--no-index", f"--target={tmp_path}", wheel, cwd=tmp_path)
    script = (
        "import importlib.util; print([importlib.util.find_spec(name).origin for name in ('vatt', 'harmonization')])"
    )
    found = run(sys.executable, "-S", "-c", script, cwd="/", PYTHONPATH=str(tmp_path))
    assert found == f"{[str(tmp_path / 'vatt.py'), str(tmp_path / 'harmonization.py')]}\n"
    answer = run(tmp_path / "bin" / "vatt-harmonization", "--help", cwd="/", PYTHONPATH=str(tmp_path))
    assert "configs/demo.gin" in answer


def test_a_checkout_starts_its_programs_in_any_directory(make_directory):
    directory = make_directory({name: OTHER for name in ("data.py", "experiments/__init__.py")})
    command = found_anywhere([sys.executable, "-m", "experiments.studies.variant", "--help"])
    assert "python -m experiments.studies.variant" in run(*command, cwd=directory)
