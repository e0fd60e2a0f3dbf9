import numpy as np
import pytest

from experiments.inference import retrieval
from experiments.inference.directions import DIRECTIONS, figures
from experiments.inference.split_embeddings import Embeddings


@pytest.fixture
def clips() -> Embeddings:
    """Eight clips; two have no sound, three no text."""
    generator = np.random.default_rng(0)
    draw = lambda: generator.normal(size=(8, 3))  # noqa: E731
    facts = {"has_audio": np.arange(8) > 1, "has_text": np.arange(8) % 3 > 0}
    spaces = {"video_audio": {"video": draw(), "audio": draw()}}
    spaces["video_text"] = {name: draw() for name in ("video", "text", "audio")}
    return Embeddings(facts, {}, **spaces)


def test_every_pair_is_searched_both_ways_and_one_is_not_trained():
    assert list(DIRECTIONS) == [
        "text_to_video", "video_to_text", "audio_to_video", "video_to_audio", "audio_to_text", "text_to_audio",
    ]  # fmt: skip
    untrained = {name for name, direction in DIRECTIONS.items() if not direction.trained}
    assert untrained == {"audio_to_text", "text_to_audio"}
    assert all(("no loss trained it" in DIRECTIONS[name].title) == (name in untrained) for name in DIRECTIONS)


def test_only_clips_with_both_modalities_take_part(clips):
    both = {"text": [1, 2, 4, 5, 7], "audio": [2, 3, 4, 5, 6, 7], "": [2, 4, 5, 7]}
    for name, direction in DIRECTIONS.items():
        query, _, gallery = name.split("_")
        rows = both["" if {query, gallery} == {"text", "audio"} else ({query, gallery} - {"video"}).pop()]
        assert np.flatnonzero(direction.members(clips)).tolist() == rows
        pair = clips.video_text if "text" in (query, gallery) else clips.video_audio
        expected = retrieval.ranks(pair[query][rows], pair[gallery][rows])
        assert direction.ranks(clips).tolist() == expected.tolist()


def test_figures_have_their_intervals():
    found = figures(np.array([1, 2, 3, 4]))
    assert found["gallery"] == 4 and found["r1"] == 0.25 and found["mean_rank"] == 2.5
    assert found["intervals"] == retrieval.intervals(np.array([1, 2, 3, 4]))
