"""The data set YouCook2: steps of recipes in videos, each with a sentence (TFDS builder)."""

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

_ANNOTATIONS, _RECIPES = "youcookii_annotations_trainval.json", "label_foodtype.csv"
_SPLITS = {"training": "train", "validation": "validation"}


@dataclasses.dataclass(eq=False, kw_only=True)
class YouCook2Config(ListedClipsConfig):
    """Settings of `ListedClipsConfig`.

    Attributes:
      clip_seconds: A longer step is cut off after this; 60 keeps nearly all whole (our choice).
    """

    clip_seconds: float = 60.0

    def read_source(self) -> ClipList:
        """Looks up the videos of the annotations."""
        found, annotated = files_by_name(self.tree, VIDEO_SUFFIXES), self._annotated()
        recipes = self._recipes(annotated)
        labels = {recipe: index for index, recipe in enumerate(recipes)}
        videos, skipped = [], []
        for video_id, video in annotated.items():
            if video_id not in found:
                skipped.append((NOT_THERE, video_id))
            elif video["subset"] not in _SPLITS:
                skipped.append((f"of the subset {video['subset']!r}", video_id))
            elif not video["segments"]:
                skipped.append(("no step of it can be used", video_id))
            else:
                split, label = _SPLITS[video["subset"]], labels[video["recipe_type"]]
                videos.append(ListedVideo(video_id, split, found[video_id], label=label, segments=video["segments"]))
            skipped += [("the step has no time or no sentence", name) for name in video["broken"]]
        require_some(self.tree, videos, skipped, "raw_videos/validation/405/xHr8X2Wpmno.mp4")
        return ClipList(videos, tuple(recipes.values()), by_reason(skipped))

    def _annotated(self) -> dict[str, dict[str, Any]]:
        """Returns video id -> subset, recipe_type, segments and the names of broken ones."""
        path = _ANNOTATIONS if self.tree.exists(_ANNOTATIONS) else f"annotations/{_ANNOTATIONS}"
        content = self.tree.read_json(path)
        try:
            return {video_id: _read_video(video_id, video) for video_id, video in content["database"].items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"{self.tree.path(path)} should hold a database of videos with subset, recipe_type and annotations, "
                f"each with segment and sentence ({type(error).__name__}: {error})"
            ) from error

    def _recipes(self, annotated: dict[str, dict[str, Any]]) -> dict[str, str]:
        """Returns the recipes' numbers -> names, in the order of the numbers."""
        names = {number: number for number in {video["recipe_type"] for video in annotated.values()}}
        for path in (_RECIPES, f"annotations/{_RECIPES}"):
            if self.tree.exists(path):
                names |= {row[0]: row[1] for row in self.tree.read_rows(path) if len(row) > 1}
        return {number: names[number] for number in sorted(names, key=lambda number: (len(number), number))}


class YouCook2(ListedClips):
    """YouCook2: 2,000 videos of 89 recipes, of which every step has a time and a sentence.

    The source folder holds the annotations of http://youcook2.eecs.umich.edu/download and the videos:

        youcookii_annotations_trainval.json     or below annotations/
        label_foodtype.csv                      number,name of each recipe, without a header; if there
        raw_videos/training/101/ID.mp4          (or .webm, .mkv, ...), or in any other folder
        raw_videos/validation/...

    One record per step, named like `ID_0` for the first of a video's list, the sentence its one caption,
    and the recipe its class. Splits: `train` and `validation`, on whose steps (VATT counts 3,320) retrieval
    is measured; the test videos have no published sentences. Videos that are gone are counted.

    License: none is stated with the annotations (see the page above for their terms); the videos belong
    to their uploaders on YouTube.
    """

    name = "youcook2"
    VERSION = tfds.core.Version("1.0.0")
    DESCRIPTION = "YouCook2: the steps of recipes, as videos and sentences."
    CITATION = """@inproceedings{zhou2018towards,
  title={Towards Automatic Learning of Procedures from Web Instructional Videos},
  author={Zhou, Luowei and Xu, Chenliang and Corso, Jason J.},
  booktitle={AAAI Conference on Artificial Intelligence}, year={2018}
}"""


def _read_video(video_id: str, video: dict[str, Any]) -> dict[str, Any]:
    segments, broken = [], []
    for number, step in enumerate(video["annotations"]):
        clip_id = f"{video_id}_{number}"
        start, end = step["segment"]
        sentence = one_line(step.get("sentence") or "")
        if is_span(start, end) and sentence:
            segments.append(Segment(clip_id, float(start), float(end), (Cue(sentence, float(start), float(end)),)))
        else:
            broken.append(clip_id)
    kept = {key: str(video[key]) for key in ("subset", "recipe_type")}
    return kept | {"segments": tuple(segments), "broken": broken}
