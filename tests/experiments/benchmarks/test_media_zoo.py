"""A small part of the zoo of media files, prepared as a user's folder is; and that the judge sees what is wrong."""

import collections

import numpy as np
import pytest

from experiments.benchmarks.zoo import judging, visit
from experiments.benchmarks.zoo.caption_forms import cues_of
from experiments.benchmarks.zoo.kinds import ODDITIES
from experiments.benchmarks.zoo.media import pictures, sound
from experiments.benchmarks.zoo.specimens import PAIRS, draw

pytestmark = pytest.mark.slow
# Encoders that take long to start are in the whole zoo.
SLOW_ENCODERS = ("libsvtav1", "libx265", "libvpx-vp9")


@pytest.fixture(scope="module")
def specimens():
    """Of every container one file, no two of the same oddity as far as that goes."""
    seen, chosen = collections.Counter(), {}
    for specimen in draw(0, 390):
        if specimen.container not in chosen and specimen.video not in SLOW_ENCODERS and not seen[specimen.oddity]:
            chosen[specimen.container] = specimen
            seen[specimen.oddity] += 1
    return list(chosen.values())


def test_all_that_is_planted_is_found_or_said(specimens, tmp_path):
    verdicts, false_counts = visit.visit(specimens, tmp_path)
    bad = [verdict for verdict in verdicts if verdict.result in (judging.WRONG, judging.UNNOTED)]
    assert len(verdicts) >= 18 and bad == [] and false_counts == []
    assert {judging.RIGHT, judging.NOTED} <= {verdict.result for verdict in verdicts}
    assert visit.table(verdicts).splitlines()[2].startswith(f"| all | {len(verdicts)} |")


def record_of(specimen):
    """What should be stored of a specimen that has 10 frames per second and pixels that are not scaled down."""
    cues = cues_of(specimen.captions, specimen.caption_seconds)
    texts, starts, ends = zip(*cues, strict=True)
    frames = np.stack([frame.copy() for frame in pictures(specimen)])
    (audio,) = sound(specimen)
    return {
        "video": frames,
        "audio": (audio * 32767).astype(np.int16),
        "captions": {
            "text": [text.encode() for text in texts],
            "start_seconds": np.array(starts),
            "end_seconds": np.array(ends),
        },
    }


CHANGES = {
    "nothing": (lambda record: None, judging.RIGHT),
    "a frame is lost": (lambda record: record.update(video=record["video"][1:]), judging.WRONG),
    "mirrored": (lambda record: record.update(video=record["video"][:, :, ::-1]), judging.WRONG),
    "blue for red": (lambda record: record.update(video=record["video"][..., ::-1]), judging.WRONG),
    "silence": (lambda record: record.update(audio=0 * record["audio"]), judging.WRONG),
    "late sound": (lambda record: record.update(audio=np.roll(record["audio"], 1600)), judging.WRONG),
    "another word": (lambda record: record["captions"]["text"].reverse(), judging.WRONG),
    "late captions": (lambda record: record["captions"].update(start_seconds=record["captions"]["end_seconds"]), judging.WRONG),
}  # fmt: skip


@pytest.fixture
def specimen(monkeypatch):
    monkeypatch.setattr(judging, "IMAGE_SIZE_PX", 96)
    return draw(0, 1)[0]._replace(
        container="mkv", video="ffv1", layout="mono", orientation="as stored", oddity="none", captions="srt",
        frames_per_second=10, sample_rate_hz=judging.SAMPLE_RATE_HZ, color=(180, 60, 40),
    )  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_the_judge_sees_what_is_wrong(specimen, change):
    record = record_of(specimen)
    apply, result = CHANGES[change]
    apply(record)
    verdict = judging.judge(specimen, [record], {})
    assert (verdict.result, bool(verdict.faults)) == (result, result == judging.WRONG)


def test_the_judge_wants_to_be_told(specimen):
    record = record_of(specimen)
    assert judging.judge(specimen._replace(oddity="empty"), [], {}).result == judging.UNNOTED
    assert judging.judge(specimen._replace(oddity="empty"), [], {"skipped": "0 bytes"}).result == judging.NOTED
    assert judging.judge(specimen._replace(layout="opposite"), [record], {}).result == judging.UNNOTED
    assert judging.judge(specimen, [record], {"incomplete": "falsely"}).result == judging.WRONG
    assert judging.judge(specimen, [], {}).result == judging.WRONG


def test_the_zoo_has_every_kind():
    drawn = draw(0, 390)
    assert {(specimen.container, specimen.video) for specimen in drawn} == set(PAIRS)
    assert {specimen.oddity for specimen in drawn} == set(ODDITIES)
    assert drawn == draw(0, 390) != draw(1, 390)
