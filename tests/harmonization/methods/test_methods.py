import pytest

import harmonization

pytestmark = pytest.mark.every_python


@pytest.mark.parametrize(
    ("name", "options", "cls"),
    [
        ("sum", {}, harmonization.Sum),
        ("mean", {}, harmonization.Mean),
        ("reweight", {"weights": (1, 2)}, harmonization.Reweight),
        ("gr", {}, harmonization.GradientRealignment),
        ("cl", {"schedule": 0.0, "indicator": "dot"}, harmonization.GradientCurriculum),
        ("both", {"schedule": harmonization.LinearSchedule(10)}, harmonization.Both),
        ("pcgrad", {"reduction": "mean", "seed": 3}, harmonization.PCGrad),
        ("gradvac", {"beta": 0.1}, harmonization.GradVac),
        ("mgda", {}, harmonization.MGDA),
        ("cagrad", {"c": 0.4}, harmonization.CAGrad),
        ("imtl_g", {}, harmonization.IMTLG),
        ("nash_mtl", {"max_norm": None}, harmonization.NashMTL),
        ("aligned_mtl", {"scale": "median"}, harmonization.AlignedMTL),
        ("upgrad", {"reduction": "sum"}, harmonization.UPGrad),
        ("dualproj", {}, harmonization.DualProj),
        ("config", {}, harmonization.ConFIG),
        ("fairgrad", {"alpha": 0.5}, harmonization.FairGrad),
        ("pcd", {"tau": 0.2}, harmonization.PCD),
        ("sdmgrad", {"toward_mean": 0.0}, harmonization.SDMGrad),
        ("db_mtl", {}, harmonization.DBMTL),
        ("cr_mogm", {"method": harmonization.UPGrad()}, harmonization.CRMOGM),
        ("rlw", {"seed": 3}, harmonization.RandomWeights),
        ("uw", {"likelihood": ("regression", "classification")}, harmonization.UncertaintyWeights),
        ("imtl_l", {"learning_rate": 0.1}, harmonization.IMTLL),
        ("dwa", {"period": 10}, harmonization.DWA),
        ("gls", {}, harmonization.GLS),
        ("stch", {"mu": 0.1}, harmonization.STCH),
        ("famo", {"weight_decay": 1e-2}, harmonization.FAMO),
        ("gradnorm", {"alpha": 2.0}, harmonization.GradNorm),
        ("mmpareto", {}, harmonization.MMPareto),
        ("dgl", {"alpha": 5.0}, harmonization.DGL),
        ("ogm_ge", {}, harmonization.OGMGE),
    ],
)
def test_builds_every_method_by_name(name, options, cls):
    assert type(harmonization.get(name, **options)) is cls is harmonization.METHODS[name]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("boht", "both"), ("SUM", "sum"), ("rewieght", "reweight"), ("nash-mtl", "nash_mtl"), ("UPGrad", "upgrad")],
)
def test_an_unknown_name_lists_the_known_and_the_nearest(name, nearest):
    known = ", ".join(harmonization.METHODS)
    message = f"Unknown method '{name}'. Known are {known}; the nearest is '{nearest}'"
    with pytest.raises(ValueError, match=message):
        harmonization.get(name)


def test_wrong_options_show_the_right_ones():
    with pytest.raises(ValueError, match="'cl' is GradientCurriculum.*schedule.*missing"):
        harmonization.get("cl")
    with pytest.raises(ValueError, match="'gr' is GradientRealignment.*unexpected.*'gamma'"):
        harmonization.get("gr", gamma=1.0)
