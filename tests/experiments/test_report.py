import base64
import json
import re
import shutil
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import tensorflow_datasets as tfds

import data
from experiments.evaluation.result import read_arrays, write_arrays
from experiments.reports import html as report_html
from experiments.reports.examples import examples
from experiments.reports.page import build_page
from experiments.reports.plots import cosine_histogram, curves, split_histogram
from experiments.reports.projection import MINIMUM_CLIPS, Plane, Unmapped, map_spaces, method, projections
from experiments.running.run_directory import RunDirectory

pytestmark = pytest.mark.slow


@pytest.fixture
def directory(trained_run, evaluation, tmp_path) -> RunDirectory:
    """A copy of the evaluated run, to take pieces away from."""
    assert evaluation.returncode == 0, evaluation.stderr
    return RunDirectory(shutil.copytree(trained_run, tmp_path / "a_run"))


@pytest.fixture
def prepared(noisy_data) -> data.PreparedDataset:
    return data.open_dataset("synthetic", noisy_data)


def section(page: str, heading: str) -> str:
    return page.split(f"<h2>{heading}</h2>")[1].split("<h2>")[0]


def test_the_command_line_writes_one_self_contained_page(directory, noisy_data, run_report):
    code, stdout, stderr = run_report(f"--workdir={directory.path}", f"--data_dir={noisy_data}")
    assert code == 0, stderr
    path = directory.report / "index.html"
    assert stdout == f"Report: {path}\nModel card: {directory.report / 'MODEL_CARD.md'}\n"
    card = json.loads((directory.report / "model_card.json").read_text())
    assert card["evaluated"]["step"] == card["training"]["steps"] == 30
    page = path.read_text()
    assert (
        re.findall(r'(?:src|href)="(?!data:|#)[^"]*', page) == [] and "@import" not in page and "url(http" not in page
    )
    assert page.count("<svg") == 9 + 4 + 1 + 2 and "data:image/jpeg;base64," in page
    assert "evaluated at step 30 on the data set synthetic" in page
    assert "30 steps trained" in page and "VATT.feature_dim = 16" in page and "&quot;python&quot;" in page


def test_a_table_scrolls_in_its_card():
    groups = {"A & B": [["<a>", "-0.5", "a/log.txt"]]}
    root = ElementTree.fromstring(report_html.table(["point", "loss", "log"], groups, texts=(0, 2)))
    assert root.attrib["class"] == "card scrolled" and [child.tag for child in root] == ["table"]
    assert [(cell.text, cell.get("class")) for cell in root.iter("td")] == [
        ("<a>", None), ("-0.5", "number"), ("a/log.txt", None)
    ]  # fmt: skip
    heads = [(cell.text, cell.get("class"), cell.get("colspan")) for cell in root.iter("th")]
    assert heads == [("point", None, None), ("loss", "number", None), ("log", None, None), ("A & B", None, "3")]


def test_a_page_breaks_long_words_and_scrolls_its_wide_tables():
    text = report_html.page("Title", "a/long/path", {})
    rules = dict(re.findall(r"^\s*([^{}@/\n]+?) \{(.*?)\}", text, re.MULTILINE | re.DOTALL))
    assert "overflow-wrap: break-word" in rules["body"] and "overflow-x: auto" in rules[".card"]
    assert "max-width" in rules["th, td"] and "white-space: nowrap" in rules["td.number"]
    assert "nowrap" not in rules["th, td"] + rules[".number"]


@pytest.mark.parametrize("arguments", [[], ["--workdir={here}"]])
def test_a_directory_that_is_no_run_exits_with_2(arguments, run_report, tmp_path):
    code, _, error = run_report(*(argument.format(here=tmp_path) for argument in arguments))
    assert code == 2
    assert error.startswith("error: ") and "Traceback" not in error and "--workdir" in error
    assert list(tmp_path.iterdir()) == []


def test_drawings_are_svg_with_units(directory):
    drawings = curves(directory.read_metrics())
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        assert root.attrib["viewBox"] and root.attrib["aria-label"]
        assert not {"width", "height"} & set(root.attrib)  # the page scales it
        assert "currentColor" in drawing and "#010203" not in drawing
    text = "".join(drawings)
    for label in ("loss, nats", "l2 norm", "seconds per step", "% of the steps", "video-audio", "video-text"):
        assert f">{label}" in text or label in text
    assert len(set(drawings)) == len(drawings) == 9
    judged = curves([record | {"clip_alignment": 0.1, "clip_weight": 0.8} for record in directory.read_metrics()])
    assert set(drawings) <= set(judged) and len(judged) == 11
    assert "Clips kept" in judged[5] + judged[6] and "own gradients" in judged[5] + judged[6]


def test_long_runs_are_drawn_with_few_points(directory):
    record = directory.read_metrics()[0]
    many = [record | {"step": step, "loss_video_audio": float(step)} for step in range(1, 5001)]
    assert sum(map(len, curves(many))) < 600_000


def test_histograms_tell_the_area_and_the_counts():
    values = np.array([0.5, 0.4, 0.1, 0.3, -0.2])
    drawing = split_histogram(values, np.array([False, False, True, False, True]), "Title", "cosine")
    assert "Title: AUC 1.000" in drawing and "misaligned, 2 clips" in drawing and "aligned, 3 clips" in drawing
    assert "in conflict" in cosine_histogram(np.array([-0.1, 0.2]))


def test_projections_color_frequent_classes(directory):
    arrays = read_arrays(directory)
    drawings, again = (projections(map_spaces(arrays), arrays["class_names"]) for _ in range(2))
    assert len(drawings) == 2 and drawings == again  # reproducible
    assert all(f">{arrays['class_names'][0]}<" in drawing for drawing in drawings)
    assert "Video and text in the video-text space" in drawings[1]


def test_projections_without_classes_or_sound(directory):
    arrays = read_arrays(directory)
    arrays |= {"label": np.full(11, -1), "has_audio": np.zeros(11, bool)}
    unmapped, plane = map_spaces(arrays)
    assert unmapped == Unmapped(
        ("video", "audio"),
        "The video-audio space has no map: t-SNE needs at least 8 clips that have both modalities. Found 0",
    )
    (drawing,) = projections([plane], arrays["class_names"])
    assert "video-text space" in drawing and str(arrays["class_names"][0]) not in drawing


def embedded_clips(clips: int, noise: float = 1.0) -> dict[str, np.ndarray]:
    """Arrays as an evaluation leaves them: one direction, and noise around it."""
    generator = np.random.default_rng(0)
    names = ("video_audio_video", "video_audio_audio", "video_text_video", "video_text_text")
    vectors = {name: np.float32(np.eye(1, 6) + noise * generator.normal(size=(clips, 6))) for name in names}
    present = np.ones(clips, bool)
    return {
        **vectors,
        "has_audio": present,
        "has_text": present,
        "label": np.full(clips, -1),
        "class_names": np.array([], str),
    }


@pytest.mark.parametrize(("clips", "perplexity"), [(MINIMUM_CLIPS, "5"), (20, "13"), (60, "30")])
def test_the_perplexity_is_said_as_it_was_used(clips, perplexity):
    planes = map_spaces(embedded_clips(clips))
    assert method(planes) == f"t-SNE (scikit-learn, cosine distance, perplexity {perplexity}, seed 0)"
    assert all(f"(perplexity {perplexity})" in drawing for drawing in projections(planes, []))


def test_there_is_no_map_of_few_or_equal_embeddings():
    assert not any(isinstance(space, Plane) for space in map_spaces(embedded_clips(MINIMUM_CLIPS - 1)))
    equal = map_spaces(embedded_clips(50, noise=1e-7))
    assert [space.reason for space in equal] == [
        f"The {space} space has no map: the model gives all clips the same embedding"
        for space in ("video-audio", "video-text")
    ]


def test_the_page_says_why_there_is_no_map(directory):
    arrays = read_arrays(directory)
    assert "perplexity 7, seed 0" in section(build_page(directory), "Embeddings in two dimensions")
    write_arrays(directory, {**arrays, "has_audio": np.zeros(11, bool), "has_text": np.arange(11) < 5})
    text = section(build_page(directory), "Embeddings in two dimensions")
    assert "<svg" not in text and "Clips of the split test" not in text
    assert "both modalities. Found 0." in text and "The video-text space has no map" in text and "Found 5." in text


def middle_frame(prepared, clip_id: str) -> bytes:
    records = tfds.builder_from_directory(prepared.directory).as_dataset(
        split="test", decoders={"video": tfds.decode.SkipDecoding()}
    )
    frames = next(list(r["video"]) for r in records if r["clip_id"].numpy().decode() == clip_id)
    return frames[len(frames) // 2].numpy()


def test_examples_show_the_best_and_the_worst_query(directory, prepared):
    arrays = read_arrays(directory)
    text = examples(arrays, prepared)
    best, worst = np.argmin(arrays["rank"]), arrays["rank"].max()
    assert f"The right clip has rank {arrays['rank'][best]} of 11." in text
    assert f"The right clip has rank {worst} of 11." in text
    assert text.count('class="right"') == text.count('class="example"') == 6
    frame = base64.b64encode(middle_frame(prepared, str(arrays["clip_id"][best]))).decode()
    assert f'<figure class="right"><img src="data:image/jpeg;base64,{frame}"' in text


def test_examples_refuse_another_data_set(directory, prepared):
    arrays = read_arrays(directory)
    arrays["clip_id"] = arrays["clip_id"][::-1]
    with pytest.raises(data.DataError, match="is not the data set that was evaluated"):
        examples(arrays, prepared)


def test_the_report_of_an_unevaluated_run_names_the_missing_parts(directory):
    directory.result.unlink()
    shutil.rmtree(directory.report)
    page = build_page(directory)
    for heading in ("Result", "Embeddings in two dimensions", "Retrieval examples"):
        assert f"python -m experiments.evaluate --workdir={directory.path}" in section(page, heading)
    assert section(page, "Training").count("<svg") == 9
    assert section(page, "The cosine of the two gradients").count("<svg") == 1
    assert section(page, "The cosine layer by layer").count("<svg") == 1


def test_the_map_of_the_layers_says_what_it_shows(directory):
    text = section(build_page(directory), "The cosine layer by layer")
    (drawing,) = re.findall("<svg.*?</svg>", text, re.DOTALL)
    root = ElementTree.fromstring(drawing)
    assert root.attrib["viewBox"] and "Cosine of the two gradients by layer" in root.attrib["aria-label"]
    words = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert words.index("block 0") < words.index("head video hidden") and "audio patches" not in words
    assert {"step", "% of steps", "cosine", "67", "32"} <= set(words)  # 20 of 30 steps in conflict; 10 - 1 of 30 - 2
    assert drawing.count("data:image/png;base64,") >= 1
    assert "a column is a step" in text and "Never reached by both losses: audio patches." in text


def test_an_older_run_without_layers_explains_the_missing_map(directory):
    records = directory.read_metrics()
    directory.metrics.unlink()
    for record in records:
        directory.append_metrics({name: value for name, value in record.items() if not name.startswith("layer_")})
    page = build_page(directory)
    text = section(page, "The cosine layer by layer")
    assert (
        "<svg" not in text and "metrics.jsonl holds no cosine of a layer: the run has no step yet, or is older" in text
    )
    assert section(page, "Training").count("<svg") == 9


def test_all_directions_stand_in_a_table_with_their_intervals(directory):
    text, result = (
        section(build_page(directory), "Retrieval in six directions"),
        json.loads(directory.result.read_text()),
    )
    found = result["retrieval"]["audio_to_text"]
    assert '<th colspan="4">audio to text, no loss trained it, 11 clips</th>' in text
    assert f"{found['intervals']['mean_rank']['low']:.1f}".removesuffix(".0") + " to " in text
    assert text.count("<td>R@10</td>") == 6 and "no loss compares them" in text
    older = {name: found[name] for name in ("r1", "r5", "r10", "median_rank", "gallery", "chance")}
    directory.write(directory.result, json.dumps(result | {"retrieval": {"text_to_video": older}}))
    assert "Retrieval in six directions" not in build_page(directory)


def test_without_metrics_or_data_set_the_page_says_so(directory):
    directory.metrics.unlink()
    page = build_page(directory)
    assert "metrics.jsonl holds no training step yet" in section(page, "Training")
    assert f"python -m experiments.report --workdir={directory.path} --data_dir=DATA" in section(
        page, "Retrieval examples"
    )
    assert "<table>" in section(page, "Result")


def test_clips_without_captions_have_no_examples(directory, noisy_data):
    arrays = read_arrays(directory)
    write_arrays(directory, arrays | {"rank": np.zeros_like(arrays["rank"])})
    assert "No clip of the split test has a caption" in section(build_page(directory, noisy_data), "Retrieval examples")


def test_without_known_truth_there_is_no_split_histogram(directory):
    result = json.loads(directory.result.read_text()) | {"alignment": None}
    directory.write(directory.result, json.dumps(result))
    arrays = {name: value for name, value in read_arrays(directory).items() if not name.startswith("alignment")}
    write_arrays(directory, arrays)
    text = section(build_page(directory), "The cosine of the two gradients")
    assert text.count("<svg") == 1 and "or cannot be computed on these data" in text


def test_what_the_page_quotes_is_escaped(directory):
    directory.write(directory.config, "# <script>alert(1)</script> $title\n")
    page = build_page(directory)
    assert "<script>" not in page and "&lt;script&gt;" in page and "$title" in page
