import pytest

import harmonization


@pytest.mark.parametrize(
    ("name", "options", "cls"),
    [
        ("sum", {}, harmonization.Sum),
        ("reweight", {"weights": (1, 2)}, harmonization.Reweight),
        ("gr", {}, harmonization.GradientRealignment),
        ("cl", {"schedule": 0.0, "indicator": "dot"}, harmonization.GradientCurriculum),
        ("both", {"schedule": harmonization.LinearSchedule(10)}, harmonization.Both),
    ],
)
def test_builds_every_method_by_name(name, options, cls):
    assert type(harmonization.get(name, **options)) is cls


def test_the_names_above_are_all_there_are():
    assert list(harmonization.METHODS) == ["sum", "reweight", "gr", "cl", "both"]


@pytest.mark.parametrize(("name", "nearest"), [("boht", "both"), ("SUM", "sum"), ("rewieght", "r")])
def test_an_unknown_name_lists_the_known_and_the_nearest(name, nearest):
    message = f"Unknown method '{name}'. Known are sum, reweight, gr, cl, both; the nearest is '"
    with pytest.raises(ValueError, match=message + nearest):
        harmonization.get(name)


def test_wrong_options_show_the_right_ones():
    with pytest.raises(ValueError, match="'cl' is GradientCurriculum.*schedule.*missing"):
        harmonization.get("cl")
    with pytest.raises(ValueError, match="'gr' is GradientRealignment.*unexpected.*'gamma'"):
        harmonization.get("gr", gamma=1.0)
