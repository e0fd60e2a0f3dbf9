"""What a file holds of a finished point; files can be damaged or edited."""

from typing import TypedDict

import typeguard

_EVERY = typeguard.CollectionCheckStrategy.ALL_ITEMS
_Figures = dict[str, float | None]


class _Point(TypedDict):
    variant: str
    text_noise: float
    audio_noise: float
    seed: int


class _MeanRank(TypedDict, total=False):
    mean_rank: float  # earlier versions had none


class _Ranks(_MeanRank):
    r1: float
    r5: float
    r10: float
    median_rank: float


class _Retrieval(_Ranks):
    gallery: int
    chance: _Ranks


class _Seconds(TypedDict):
    training: float
    evaluation: float


class _Pairs(TypedDict):
    pairs: int
    false: int
    dropped: int
    dropped_false: int


class _ClipValues(TypedDict, total=False):
    values: dict[str, list[float]]


class _Watched(_ClipValues):
    step: int
    clips: dict[str, int]
    auc: dict[str, _Figures]


class _Sometimes(TypedDict, total=False):
    dropped: dict[str, _Pairs]
    origin: dict[str, str]


class StoredPoint(_Sometimes):
    """The result of a point, as `points.run` returns it."""

    point: _Point
    retrieval: dict[str, _Retrieval]
    linear_probe: dict[str, _Figures]
    training: _Figures
    watched: list[_Watched]
    seconds: _Seconds


def checked_point(found: object) -> StoredPoint:
    """Returns what a file holds of a point; raises `typeguard.TypeCheckError` if it is something else."""
    return typeguard.check_type(found, StoredPoint, collection_check_strategy=_EVERY)


def checked_cost(found: object) -> dict[str, float]:
    """Returns the seconds per step by name; raises `typeguard.TypeCheckError` likewise."""
    return typeguard.check_type(found, dict[str, float], collection_check_strategy=_EVERY)
