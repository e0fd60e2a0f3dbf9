import pytest

from data import ClipSpec, DataError


def test_defaults_are_those_of_vatt():
    spec = ClipSpec()
    assert spec.clip_seconds == pytest.approx(3.2)
    assert spec.waveform_samples == 153_600


@pytest.mark.parametrize(
    "changes",
    [
        {"frames": 0},
        {"frames": 2.0},
        {"frames": True},
        {"frames_per_second": 0},
        {"frames_per_second": "10"},
        {"image_size": -1},
        {"sample_rate_hz": 48000.0},
        {"candidates": 0},
        {"words": 0},
        {"sparse_seconds": 0.0},
        {"sparse_seconds": "3"},
    ],
)
def test_a_bad_value_is_named(changes):
    (name,) = changes
    with pytest.raises(DataError, match=f"ClipSpec.{name} should be"):
        ClipSpec(**changes)


def test_a_clip_without_a_sample_is_refused():
    with pytest.raises(DataError, match="holds no sample"):
        ClipSpec(frames=1, frames_per_second=1000.0, sample_rate_hz=100)


def test_a_sparse_clip_is_as_long_as_it_says():
    spec = ClipSpec(frames=2, sparse_seconds=3.0, sample_rate_hz=16000)
    assert (spec.clip_seconds, spec.waveform_samples) == (3.0, 48000)
