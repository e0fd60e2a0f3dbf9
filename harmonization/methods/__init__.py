"""The methods by name."""

import difflib
import inspect
from typing import Any

from harmonization.harmonizer import Harmonizer
from harmonization.methods.aligned_mtl import AlignedMTL
from harmonization.methods.both import Both
from harmonization.methods.cagrad import CAGrad
from harmonization.methods.conflict_free import ConFIG
from harmonization.methods.curriculum import GradientCurriculum
from harmonization.methods.db_mtl import DBMTL
from harmonization.methods.dgl import DGL
from harmonization.methods.dualproj import DualProj
from harmonization.methods.fairgrad import FairGrad
from harmonization.methods.given_weights.mean import Mean
from harmonization.methods.given_weights.random_weights import RandomWeights
from harmonization.methods.given_weights.reweight import Reweight
from harmonization.methods.given_weights.sum import Sum
from harmonization.methods.gradnorm import GradNorm
from harmonization.methods.gradvac import GradVac
from harmonization.methods.imtl_g import IMTLG
from harmonization.methods.loss_weights.dwa import DWA
from harmonization.methods.loss_weights.famo import FAMO
from harmonization.methods.loss_weights.gls import GLS
from harmonization.methods.loss_weights.imtl_l import IMTLL
from harmonization.methods.loss_weights.stch import STCH
from harmonization.methods.loss_weights.uncertainty import UncertaintyWeights
from harmonization.methods.mgda import MGDA
from harmonization.methods.mmpareto import MMPareto
from harmonization.methods.nash_mtl import NashMTL
from harmonization.methods.ogm_ge import OGMGE
from harmonization.methods.pcd import PCD
from harmonization.methods.pcgrad import PCGrad
from harmonization.methods.realignment import GradientRealignment
from harmonization.methods.sdmgrad import SDMGrad
from harmonization.methods.upgrad import UPGrad
from harmonization.methods.wrappers.cr_mogm import CRMOGM
from harmonization.methods.wrappers.significant import Significant

METHODS: dict[str, type[Harmonizer]] = {
    "sum": Sum,
    "mean": Mean,
    "reweight": Reweight,
    "gr": GradientRealignment,
    "cl": GradientCurriculum,
    "both": Both,
    "pcgrad": PCGrad,
    "gradvac": GradVac,
    "mgda": MGDA,
    "cagrad": CAGrad,
    "imtl_g": IMTLG,
    "nash_mtl": NashMTL,
    "aligned_mtl": AlignedMTL,
    "upgrad": UPGrad,
    "dualproj": DualProj,
    "config": ConFIG,
    "fairgrad": FairGrad,
    "pcd": PCD,
    "sdmgrad": SDMGrad,
    "db_mtl": DBMTL,
    "cr_mogm": CRMOGM,
    "rlw": RandomWeights,
    "uw": UncertaintyWeights,
    "imtl_l": IMTLL,
    "dwa": DWA,
    "gls": GLS,
    "stch": STCH,
    "famo": FAMO,
    "gradnorm": GradNorm,
    "mmpareto": MMPareto,
    "dgl": DGL,
    "ogm_ge": OGMGE,
}
SAVED_METHODS: dict[str, type[Harmonizer]] = METHODS | {"significant": Significant}
"""What a file may name: `Significant`, too, which is none of the methods, as it serves no trainer without parts."""


def get(name: str, **options) -> Harmonizer:
    """A method by its name, a key of `METHODS`.

    Example: `get("cl", schedule=LinearSchedule(steps=500_000))`.

    Args:
      name: The name.
      **options: Arguments of the method's class.

    Raises:
      ValueError: If there is no such method, or the options are not those of its class.
    """
    if name not in METHODS:
        nearest = difflib.get_close_matches(str(name).lower(), METHODS, n=1, cutoff=0.0)[0]
        raise ValueError(f"Unknown method {name!r}. Known are {', '.join(METHODS)}; the nearest is {nearest!r}.")
    return _make(name, METHODS[name], options)


def make_saved(name: str, **options) -> Harmonizer:
    """As `get`, of `SAVED_METHODS`."""
    return _make(name, SAVED_METHODS[name], options) if name in SAVED_METHODS else get(name, **options)


def _make(name: str, method: type[Harmonizer], options: dict[str, Any]) -> Harmonizer:
    try:
        inspect.signature(method).bind(**options)
        return method(**options)
    except TypeError as error:
        raise ValueError(f"Method {name!r} is {method.__name__}{inspect.signature(method)}: {error}.") from error
