"""What the tries are made on: a prepared set, runs of every kind and media files, all tiny, made by the programs themselves."""

import contextlib
import dataclasses
import hashlib
import pathlib
import re
import runpy
import shutil

import forked
import numpy as np

ROOT = pathlib.Path(__file__).parents[2]
MODEL = [
    "VATT.preset = 'ut_tiny'", "VATT.layers = 1", "VATT.width = 16", "VATT.heads = 2", "VATT.head_dim = 8",
    "VATT.feed_forward = 32", "VATT.word_dim = 8", "VATT.feature_dim = 16", "VATT.video_audio_dim = 12",
    "VATT.video_text_dim = 8", "VATT.waveform_patch = 1280", "VATT.dropout = 0.0", "VATT.drop_token_rate = 0.0",
]  # fmt: skip
CLIPS = ["ClipSpec.frames = 8", "ClipSpec.image_size = 32", "ClipSpec.sample_rate_hz = 16000", "ClipSpec.words = 6"]
PRETRAIN = [
    "pretrain.model = @VATT", *MODEL, "pretrain.clips = @ClipSpec()", *CLIPS, "ClipSpec.candidates = 3",
    "pretrain.steps = 6", "pretrain.batch_size = 4", "pretrain.harmonizer = 'both'", "pretrain.steps_per_loop = 1",
    "pretrain.checkpoint_every_steps = 1", "pretrain.shuffle_window = 8", "pretrain.keep_checkpoints = 1",
]  # fmt: skip
FINETUNE = [
    "finetune.modality = 'video'", "finetune.dataset = 'synthetic'", "finetune.clips = @ClipSpec()", *CLIPS,
    "finetune.steps = 4", "finetune.batch_size = 4", "finetune.evaluate_every_steps = 2", "finetune.steps_per_loop = 1",
    "finetune.checkpoint_every_steps = 1", "finetune.test_windows = 1", "finetune.test_crops = 1",
    "finetune.shuffle_window = 8",
]  # fmt: skip
CLASSIFY = [
    "classify.dataset = 'synthetic'", "classify.method = 'mmpareto'", "classify.encoder = @VATTEncoder",
    "VATTEncoder.preset = 'ut_tiny'", "VATTEncoder.layers = 1", "VATTEncoder.width = 16", "VATTEncoder.heads = 2",
    "VATTEncoder.feed_forward = 32", "VATTEncoder.feature_dim = 8", "VATTEncoder.waveform_patch = 1280",
    "classify.clips = @ClipSpec()", "ClipSpec.frames = 2", "ClipSpec.sparse_seconds = 0.8", "ClipSpec.image_size = 32",
    "ClipSpec.sample_rate_hz = 16000", "classify.epochs = 1", "classify.decay_epochs = ()", "classify.batch_size = 8",
    "classify.steps_per_loop = 1", "classify.checkpoint_every_steps = 1", "classify.shuffle_window = 8",
]  # fmt: skip
SET = ["--train_clips=24", "--validation_clips=8", "--test_clips=8", "--image_size_px=32", "--clip_seconds=0.8"]
RELEASE_MODEL = [
    "VATT.layers = 2", "VATT.width = 64", "VATT.heads = 2", "VATT.feed_forward = 128", "VATT.feature_dim = 256",
    "VATT.video_audio_dim = 64", "VATT.video_text_dim = 32",
    "ClipSpec.frames = 8", "ClipSpec.image_size = 32", "ClipSpec.sample_rate_hz = 1600",
]  # fmt: skip
RELEASE = ROOT / "tests" / "golden" / "ut_tiny" / "ckpt" / "ckpt-3"
# One point, with everything that a point may have.
STUDY = [
    f"study.bindings = {(*MODEL, 'STEPS = 3', 'pretrain.warmup_steps = 1', 'pretrain.batch_size = 4', *CLIPS[:1])!r}",
    "study.methods = {'cl': 'configs/methods/cl.gin'}", "study.two_pass = ()", "study.oracle = False", "study.ablations = {}",
    "study.noise = ((0.5, 0.3),)", "study.ablation_noise = (0.5, 0.3)", "study.noise_seeds = {}", "study.seeds = (4,)",
    "study.ablation_seeds = 1", "study.train_clips = 16", "study.validation_clips = 16", "study.test_clips = 12",
    "study.watched = ('cl',)", "study.watch_steps = (3,)", "study.watched_clips = 12", "study.cost_repeats = 1",
]  # fmt: skip
# Times, as text and drawn; first those of a study of 3 steps.
_VOLATILE = (
    r'"seconds": \{[^}]*\}', r"(?m)(?<=,3),[\d.]+,[\d.]+$", r"(?m)^\| (?:one gradient|cl) \| [\d.]+ \| [\d.]+ \|$",
    r"\d+(\.\d+)? ?(s|ms|seconds)\b", r'"(seconds|step_seconds|seconds_spent|data_wait_share|wall_time|command)": [^,}\n]*',
    r"[\d.]+ (clips|items)/s", r"timestamps?: [\d.]+",
    r"(?s:<svg(?:(?!</svg>).)*>(?:seconds per step|% of the time)<.*?</svg>)",
)  # fmt: skip


# Logs, what steps cost, and the graph of a SavedModel, whose bytes differ from time to time.
_IGNORED = re.compile(r"events\.out|/cost\.json$|/log\.txt$|__pycache__|/exported/[a-z_]*\.pb$|/exported/variables/")


def bound(bindings: list[str]) -> list[str]:
    return [f"--gin_bindings={binding}" for binding in bindings]


@dataclasses.dataclass(frozen=True)
class Ground:
    """A folder with `data`, `run`, `finetuned`, `classified`, `sweep`, `features.npz`, `clip.wav`; programs write to `out`."""

    path: pathlib.Path

    def commands(self) -> dict[str, list[str]]:
        """The command line of each program, by a name."""
        path, run = self.path, f"{self.path}/run"
        data = f"--data_dir={path}/data"
        return {
            "prepare_data": ["prepare_data", "--dataset=synthetic", data, *SET],
            "pretrain": ["pretrain", data, f"--workdir={run}", *bound(PRETRAIN)],
            "evaluate": ["evaluate", data, f"--workdir={run}"],
            "report": ["report", data, f"--workdir={run}"],
            "embed": ["embed", f"--checkpoint={run}", f"--inputs={path}/clip.mp4", f"--output={path}/features.npz"],
            "export": ["export", f"--checkpoint={run}", f"--output={path}/out/exported"],
            "rank_clips": ["rank_clips", data, f"--workdir={run}", f"--output={path}/out/ranking", "--batch_size=8"],
            "finetune": ["finetune", data, f"--checkpoint={run}", f"--workdir={path}/finetuned", *bound(FINETUNE)],
            "classify": ["classify", data, f"--workdir={path}/classified", *bound(CLASSIFY)],
            "check_data": ["check_data", data, "--dataset=synthetic", f"--output={path}/out/check.json"],
            "dataset_stats": ["dataset_stats", data, "--dataset=synthetic", f"--output_dir={path}/out/stats"],
            "import_checkpoint": [
                "import_checkpoint", f"--source={path}/release/ckpt-3", "--model=ut_medium", f"--workdir={path}/imported",
                *bound(RELEASE_MODEL),
            ],
            "pretrain anew": ["pretrain", data, f"--workdir={path}/out/run", *bound(PRETRAIN)],
            "finetune anew": ["finetune", data, f"--checkpoint={run}", f"--workdir={path}/out/tuned", *bound(FINETUNE)],
            "classify anew": ["classify", data, f"--workdir={path}/out/classified", *bound(CLASSIFY)],
            "search": ["embed", f"--checkpoint={run}", f"--features={path}/features.npz", "--search=a red square"],
            "sweep": [
                "sweep", data, f"--gin_file={path}/sweep.gin", f"--sweep_dir={path}/sweep",
            ],
            "study": [
                "study", f"--gin_file={path}/study.gin", f"--data_dir={path}/out/study_data", f"--study_dir={path}/out/study",
                f"--output_dir={path}/out/page",
            ],
            "sweep report": ["report", f"--sweep={path}/sweep"],
        }  # fmt: skip

    def copy(self, path: pathlib.Path) -> "Ground":
        """Another one like it, which may be damaged."""
        shutil.copytree(self.path, path, symlinks=True)
        tuned = path / "finetuned" / "config.gin"
        if tuned.exists():  # names the checkpoint that it started from by its place
            tuned.write_text(tuned.read_text().replace(str(self.path), str(path)))
        return Ground(path)

    def fingerprint(self, raw: bool = False) -> dict[str, str]:
        """What lies here, with a hash of each file's content that does not depend on times, places and process ids.

        Args:
          raw: Of the content as it is.
        """
        paths = [path for path in sorted(self.path.rglob("*")) if not _IGNORED.search(str(path))]
        hashes = {str(path.relative_to(self.path)): self._hash(path, raw) for path in paths}
        checkpoints = [] if raw else [name for name in hashes if name.endswith(".index") and "variables" not in name]
        # A pipe cannot be read to its end.
        readable = [name for name in checkpoints if "other" not in (hashes[name], hashes.get(_values_of(name)))]
        values = forked.call(lambda: {name: _checkpoint_values(self.path / name) for name in readable})
        for name, value in values.items():
            if value:
                hashes[name] = value
                hashes[_values_of(name)] = value
        return hashes

    def _hash(self, path: pathlib.Path, raw: bool) -> str:
        if path.is_symlink():
            return "link"
        if not path.is_file():
            return "folder" if path.is_dir() else "other"
        content = path.read_bytes()
        if raw:
            return hashlib.sha256(content).hexdigest()
        if path.suffix == ".npz":
            with contextlib.suppress(Exception), np.load(path, allow_pickle=False) as arrays:
                content = self.steady(str({name: arrays[name].tolist() for name in arrays})).encode()
        if path.suffix in (".json", ".jsonl", ".html", ".md", ".csv", ".txt", ".gin", ""):
            content = self.steady(content.decode("utf-8", "replace")).encode()
        return hashlib.sha256(content).hexdigest()

    def steady(self, text: str) -> str:
        """A text without what differs between two equal runs."""
        text = text.replace(str(self.path), "GROUND")
        for pattern in _VOLATILE:
            text = re.sub(pattern, "TIME", text)
        return text


def make(path: pathlib.Path, wanted: tuple[str, ...]) -> Ground:
    """Makes the ground; `wanted` names the commands that are run for it, in order."""
    path.mkdir(parents=True)
    ground = Ground(path)
    (path / "out").mkdir()
    shutil.copytree(RELEASE.parent, path / "release")
    frames = np.random.default_rng(0).integers(0, 255, [20, 32, 32, 3], np.uint8)
    write_media = runpy.run_path(str(ROOT / "tests" / "media_files.py"))["write_media"]
    write_media(path / "clip.mp4", frames, np.sin(np.arange(96_000) / 9) / 4)
    (path / "sweep.gin").write_text(
        f"sweep.bindings = {tuple(PRETRAIN)!r}\nsweep.axes = {{'pretrain.seed': (1,)}}\nsweep.programs = ('pretrain',)\n"
    )
    (path / "study.gin").write_text("include 'configs/study/full.gin'\n" + "\n".join(STUDY) + "\n")
    for name in wanted:
        outcome = forked.run(ground.commands()[name])
        assert outcome.code == 0, (name, outcome)
    return ground


def _values_of(index: str) -> str:
    return index.replace(".index", ".data-00000-of-00001")


def _checkpoint_values(index: pathlib.Path) -> str:
    """A hash of a checkpoint's values, without those that measure time or count saves; empty if it cannot be read."""
    import tensorflow as tf

    found = hashlib.sha256()
    with contextlib.suppress(Exception):
        reader = tf.train.load_checkpoint(str(index.with_suffix("")))
        for name in sorted(reader.get_variable_to_shape_map()):
            if not name.startswith(("_CHECKPOINTABLE_OBJECT_GRAPH", "seconds_spent", "save_counter")):
                found.update(name.encode() + reader.get_tensor(name).tobytes())
        return found.hexdigest()
    return ""


def remove(path: pathlib.Path) -> None:
    """Removes a copy, whatever was made of it."""
    shutil.rmtree(path, ignore_errors=True)
