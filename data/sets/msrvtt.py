"""The data set MSR-VTT: clips with twenty sentences each, to find one by the other (TFDS builder)."""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow_datasets as tfds

from data.errors import DataError
from data.preparing.listed_clips import ListedClips
from data.preparing.listed_clips_config import ListedClipsConfig
from data.preparing.listing import ClipList, ListedVideo, Segment, by_reason, is_span
from data.preparing.named_files import NOT_THERE, files_by_name, require_some
from data.source.file_kinds import VIDEO_SUFFIXES
from data.text.cues import Cue, one_line

CLASS_NAMES = (
    "music",
    "people",
    "gaming",
    "sports/actions",
    "news/events/politics",
    "education",
    "tv shows",
    "movie/comedy",
    "animation",
    "vehicles/autos",
    "howto",
    "travel",
    "science/technology",
    "animals/pets",
    "kids/family",
    "documentary",
    "food/drink",
    "cooking",
    "beauty/fashion",
    "advertisement",
)
_SPLITS = {"train": "train", "validate": "validation", "test": "test"}
_LISTED, _REST = "test_1k_a", "test_rest"
_1K_A = "MSRVTT_JSFUSION_test.csv"


@dataclasses.dataclass(eq=False, kw_only=True)
class MSRVTTConfig(ListedClipsConfig):
    """Settings of `ListedClipsConfig`.

    Attributes:
      clip_seconds: A longer clip is cut off after this; 32 keeps all whole (our choice).
    """

    clip_seconds: float = 32.0

    def read_source(self) -> ClipList:
        """Looks up the videos of the lists, and puts the 1k-A sentence of a clip before its others."""
        described, sentences = self._read_lists()
        queries = self._queries(described)
        found = files_by_name(self.tree, VIDEO_SUFFIXES)
        videos, skipped = [], []
        for video_id, video in described.items():
            if video_id not in found:
                skipped.append((NOT_THERE, video_id))
                continue
            first = [queries[video_id]] if video_id in queries else []
            texts = first + [text for text in sentences.get(video_id, []) if text not in first]
            cues = tuple(Cue(text, 0.0, video["seconds"]) for text in texts)
            split = video["split"]
            if split == "test" and queries:
                split = _LISTED if first else _REST
            segments = (Segment(video_id, cues=cues),)
            videos.append(ListedVideo(video_id, split, found[video_id], label=video["label"], segments=segments))
        require_some(self.tree, videos, skipped, "TrainValVideo/video0.mp4")
        return ClipList(videos, CLASS_NAMES, by_reason(skipped), unions=_unions({video.split for video in videos}))

    def _read_lists(self) -> tuple[dict[str, dict[str, Any]], dict[str, list[str]]]:
        """Returns video id -> split, label and seconds; video id -> its sentences, in the order of the first list."""
        paths = [path for path in self.tree.find((".json",)) if _is_list(path)]
        if not paths:
            raise DataError(f"{self.tree.root} should hold train_val_videodatainfo.json and the like. Found none.")
        described, sentences = {}, {}
        for path in paths:
            content = self.tree.read_json(path)
            try:
                found = {video["video_id"]: _read_video(video) for video in content["videos"]}
                texts = {}
                for sentence in content.get("sentences") or ():
                    if words := one_line(sentence["caption"]):
                        texts.setdefault(sentence["video_id"], []).append(words)
            except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
                raise DataError(
                    f"{self.tree.path(path)} should hold videos with video_id, category, split, start time and end time, and "
                    f"sentences with video_id and caption ({type(error).__name__}: {error})"
                ) from error
            described, sentences = found | described, texts | sentences
        return described, sentences

    def _queries(self, described: dict[str, dict[str, Any]]) -> dict[str, str]:
        """Returns video id -> the sentence that the 1k-A list has for it; nothing where that is not there."""
        path = next((path for path in self.tree.find((".csv",)) if path.split("/")[-1] == _1K_A), None)
        if path is None:
            return {}
        header, *rows = self.tree.read_rows(path) or [[]]
        try:
            video_id, sentence = header.index("video_id"), header.index("sentence")
            queries = {row[video_id]: row[sentence] for row in rows}
        except (ValueError, IndexError) as error:
            raise DataError(
                f"{self.tree.path(path)} should have the columns video_id and sentence ({error})"
            ) from error
        if silent := [name for name, words in queries.items() if not words]:
            raise DataError(f"{self.tree.path(path)} has no sentence for {silent[0]}")
        strangers = [name for name in queries if name not in described or described[name]["split"] != "test"]
        if strangers:
            raise DataError(
                f"{self.tree.path(path)} names {strangers[0]}, which no videodatainfo file has as a test video"
            )
        return queries


class MSRVTT(ListedClips):
    """MSR-VTT: 10,000 clips of 10 to 32 s in 20 categories, with 20 sentences each.

    The source folder holds the lists and the clips; the videos are already cut, so the times in the lists,
    those of the videos they come from, give their length alone:

        train_val_videodatainfo.json, test_videodatainfo.json   or one videodatainfo_2017.json, MSRVTT_data.json
        MSRVTT_JSFUSION_test.csv        key,vid_key,video_id,sentence: the list 1k-A, if there
        TrainValVideo/video0.mp4, TestVideo/video7010.mp4       or in any other folder

    Splits: `train` (6,513 clips), `validation` (497) and `test` (2,990). With the list 1k-A (Yu, Kim and Kim
    2018) the test clips are stored as `test_1k_a` and `test_rest`, of which `test` is the union; its 1,000
    sentences are the queries of that benchmark, and each is the first caption of its clip, so that an
    evaluation with one candidate per clip asks just that. `train_7k` is train and validation, `train_9k` all
    but `test_1k_a`; both are trained on in the literature.

    All captions of a clip last as long as it does, in the order of the list. The category is the class.

    License: none is stated with the lists (Microsoft Research); the videos belong to their uploaders on YouTube.
    """

    VERSION = tfds.core.Version("1.0.0")
    DESCRIPTION = "MSR-VTT: clips of web videos with twenty sentences each."
    CITATION = """@inproceedings{xu2016msr,
  title={{MSR-VTT}: A Large Video Description Dataset for Bridging Video and Language},
  author={Xu, Jun and Mei, Tao and Yao, Ting and Rui, Yong},
  booktitle={IEEE Conference on Computer Vision and Pattern Recognition (CVPR)}, year={2016}
}
@inproceedings{yu2018joint,
  title={A Joint Sequence Fusion Model for Video Question Answering and Retrieval},
  author={Yu, Youngjae and Kim, Jongseok and Kim, Gunhee},
  booktitle={European Conference on Computer Vision (ECCV)}, year={2018}
}"""


def _is_list(path: str) -> bool:
    name = path.split("/")[-1].lower()
    return "videodatainfo" in name or name == "msrvtt_data.json"


def _read_video(video: dict[str, Any]) -> dict[str, Any]:
    label, seconds = int(video["category"]), float(video["end time"]) - float(video["start time"])
    if not 0 <= label < len(CLASS_NAMES) or not is_span(0, seconds):
        raise ValueError(f"category {label}, {seconds} s")
    return {"split": _SPLITS[video["split"]], "label": label, "seconds": seconds}


def _unions(stored: set[str]) -> dict[str, tuple[str, ...]]:
    """Returns the splits that are put together from those that are stored."""
    unions = {"train_7k": ("train", "validation")}
    if _LISTED in stored:
        unions |= {"train_9k": ("train", "validation", _REST), "test": (_LISTED, _REST)}
    there = {name: tuple(part for part in parts if part in stored) for name, parts in unions.items()}
    return {name: parts for name, parts in there.items() if parts}
