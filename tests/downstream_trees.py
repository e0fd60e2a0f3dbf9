"""Small trees in the published layouts of the six downstream sets, and the sets that the builders make of them."""

import json
import pathlib
import runpy

import numpy as np

from data.preparing.prepare import prepare
from data.sets.esc50 import ESC50, ESC50Config
from data.sets.hmdb51 import HMDB51, HMDB51Config
from data.sets.kinetics400 import Kinetics400, Kinetics400Config
from data.sets.msrvtt import MSRVTT, MSRVTTConfig
from data.sets.ucf101 import UCF101, UCF101Config
from data.sets.youcook2 import YouCook2, YouCook2Config

write_media = runpy.run_path(str(pathlib.Path(__file__).with_name("media_files.py")))["write_media"]
CLASSES = ("ant", "bee", "cat", "dog", "elk", "fox")
SECONDS, FRAMES_PER_SECOND, SIZE, SAMPLE_RATE_HZ = 1.4, 10, (32, 40), 16000
# MSR-VTT's test clips and their sentences; those with a first of their own are in the list 1k-A.
QUERIES = {
    f"video70{number}": f"a {color} square moves" for number, color in enumerate(("red", "green", "blue"), start=10)
}
SENTENCES = {
    "video7010": ["a red square", "a circle grows"],
    "video7011": ["a green square moves", "the star turns"],
    "video7012": ["a blue star"],
    "video7013": ["a yellow circle moves left", "a circle", "a red circle"],
    "video7014": ["the triangle is white", "a star"],
}
# YouCook2: the steps of a video, a sentence each.
STEPS = (
    "a red square",
    "a green circle",
    "the blue star moves",
    "a triangle turns",
    "a circle grows",
    "a white star",
    "red",
)


def clip(path, number, seconds=SECONDS, video=True):
    """Writes a media file of noise to see or to hear, another one for each number, the same every time."""
    generator = np.random.default_rng(number)
    if not video:
        return write_media(
            path, None, generator.normal(0, 0.2, round(seconds * SAMPLE_RATE_HZ)), sample_rate_hz=SAMPLE_RATE_HZ
        )
    # Coarse, so that it outlasts compression, and changing, so that windows differ.
    coarse = generator.integers(0, 256, (round(seconds * FRAMES_PER_SECOND), SIZE[0] // 8, SIZE[1] // 8, 3))
    return write_media(path, coarse.repeat(8, axis=1).repeat(8, axis=2).astype(np.uint8), None, FRAMES_PER_SECOND)


def write_lines(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def ucf101(root):
    """Six classes; groups 1, 8 and 15 are tested on by the first, second and third split, 22 by none."""
    lists, tested = root / "ucfTrainTestlist", {1: 1, 8: 2, 15: 3}
    write_lines(lists / "classInd.txt", [f"{number} {name}" for number, name in enumerate(CLASSES, start=1)])
    files = {(name, group): f"{name}/v_{name}_g{group:02d}_c01.avi" for name in CLASSES for group in (1, 8, 15, 22)}
    for number, file in enumerate(files.values()):
        clip(root / "UCF-101" / file, number)
    for split in (1, 2, 3):
        for part in ("train", "test"):
            rows = [file for (_, group), file in files.items() if (tested.get(group) == split) == (part == "test")]
            write_lines(lists / f"{part}list0{split}.txt", rows)
    return UCF101, UCF101Config


def hmdb51(root):
    """Six classes of three videos, of which each split trains on one, tests on one and leaves one out."""
    for number, name in enumerate(CLASSES):
        videos = [f"v{take}_{name}_f_cm_np1_fr_med_{take}.avi" for take in range(3)]
        for take, video in enumerate(videos):
            clip(root / "hmdb51_org" / name / video, 100 + 10 * number + take)
        for split in range(3):
            rows = [f"{video} {(take + split) % 3} " for take, video in enumerate(videos)]
            write_lines(root / f"testTrainMulti_7030_splits/{name}_test_split{split + 1}.txt", rows)
    return HMDB51, HMDB51Config


def esc50(root):
    """A sound of each of six classes in every fold."""
    rows = [(fold, target) for fold in range(1, 6) for target in range(len(CLASSES))]
    names = [f"{fold}-{fold}{target}-A-{target}.wav" for fold, target in rows]
    lines = [f"{name},{fold},{target},{CLASSES[target]}" for name, (fold, target) in zip(names, rows, strict=True)]
    write_lines(root / "meta/esc50.csv", ["filename,fold,target,category", *lines])
    for number, name in enumerate(names):
        clip(root / "audio" / name, 200 + number, video=False)
    return ESC50, ESC50Config


def kinetics400(root):
    """Seven clips to validate on, one to train on."""
    for split, count in {"train": 1, "val": 7}.items():
        names = [(f"{split}{number}".ljust(11, "x"), CLASSES[number % len(CLASSES)]) for number in range(count)]
        lines = [f"{label},{name},0,10,{split}" for name, label in names]
        write_lines(root / f"annotations/{split}.csv", ["label,youtube_id,time_start,time_end,split", *lines])
        for number, (name, _) in enumerate(names):
            clip(root / split / f"{name}_000000_000010.mp4", 300 + number)
    return Kinetics400, Kinetics400Config


def youcook2(root):
    """One video of seven steps to validate on."""
    steps = [
        {"id": number, "segment": [SECONDS * number, SECONDS * (number + 1)], "sentence": sentence}
        for number, sentence in enumerate(STEPS)
    ]
    clip(root / "raw_videos/validation/101/abcdefghijk.mp4", 400, SECONDS * len(STEPS))
    video = {"subset": "validation", "recipe_type": "101", "annotations": steps}
    write_lines(root / "youcookii_annotations_trainval.json", [json.dumps({"database": {"abcdefghijk": video}})])
    return YouCook2, YouCook2Config


def msrvtt(root):
    """Five clips of test, of which three are in the list 1k-A."""
    videos = [
        {"video_id": name, "category": 1, "split": "test", "start time": 0.0, "end time": SECONDS} for name in SENTENCES
    ]
    sentences = [{"video_id": name, "caption": text} for name, texts in SENTENCES.items() for text in texts]
    write_lines(root / "test_videodatainfo.json", [json.dumps({"videos": videos, "sentences": sentences})])
    rows = [f"ret{number},msr{name},{name},{text}" for number, (name, text) in enumerate(QUERIES.items())]
    write_lines(root / "MSRVTT_JSFUSION_test.csv", ["key,vid_key,video_id,sentence", *rows])
    for number, name in enumerate(SENTENCES):
        clip(root / f"TestVideo/{name}.mp4", 500 + number)
    return MSRVTT, MSRVTTConfig


def prepare_all(source_dir, data_dir):
    """Writes the trees of the six sets and prepares them."""
    for write in (ucf101, hmdb51, esc50, kinetics400, youcook2, msrvtt):
        root = source_dir / write.__name__
        builder, config = write(root)
        options = dict(source_dir=str(root), sample_rate_hz=SAMPLE_RATE_HZ, image_size_px=SIZE[0])
        prepare(builder, config(**options), str(data_dir))
