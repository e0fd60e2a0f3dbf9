"""Gradient harmonization for TensorFlow: several objectives' gradients in, one update out.

Example:
    method = harmonization.get("gr")
    update, report = harmonization.harmonize([gradients_va, gradients_vt], method)
    harmonization.apply_if(report["keep"], optimizer, update, variables)
"""

from harmonization.aligned_mtl import AlignedMTL
from harmonization.apply import apply_if
from harmonization.both import Both
from harmonization.cagrad import CAGrad
from harmonization.conflict_free import ConFIG
from harmonization.curriculum import GradientCurriculum
from harmonization.dgl import DGL
from harmonization.diagnostics import conflict_rate, gram_statistics, layer_statistics
from harmonization.dualproj import DualProj
from harmonization.famo import FAMO
from harmonization.gradnorm import GradNorm
from harmonization.gradvac import GradVac
from harmonization.gram import find_nonfinite
from harmonization.groups import indices_of
from harmonization.harmonize import harmonize
from harmonization.harmonizer import Decision, GramHarmonizer, Group, Harmonizer
from harmonization.imtl_g import IMTLG
from harmonization.keras_model import HarmonizedModel, HarmonizedTraining
from harmonization.mean import Mean
from harmonization.methods import METHODS, get
from harmonization.mgda import MGDA
from harmonization.minimize import minimize
from harmonization.mmpareto import MMPareto
from harmonization.nash_mtl import NashMTL
from harmonization.ogm_ge import OGMGE
from harmonization.pcgrad import PCGrad
from harmonization.random_weights import RandomWeights
from harmonization.realignment import GradientRealignment
from harmonization.replicas import sum_over_replicas
from harmonization.reweight import Reweight
from harmonization.schedule import (
    ConstantSchedule,
    CosineSchedule,
    LinearSchedule,
    Schedule,
    StepSchedule,
)
from harmonization.sum import Sum
from harmonization.upgrad import UPGrad

__all__ = [
    "DGL",
    "FAMO",
    "IMTLG",
    "METHODS",
    "MGDA",
    "OGMGE",
    "AlignedMTL",
    "Both",
    "CAGrad",
    "ConFIG",
    "ConstantSchedule",
    "CosineSchedule",
    "Decision",
    "DualProj",
    "GradNorm",
    "GradVac",
    "GradientCurriculum",
    "GradientRealignment",
    "GramHarmonizer",
    "Group",
    "HarmonizedModel",
    "HarmonizedTraining",
    "Harmonizer",
    "LinearSchedule",
    "MMPareto",
    "Mean",
    "NashMTL",
    "PCGrad",
    "RandomWeights",
    "Reweight",
    "Schedule",
    "StepSchedule",
    "Sum",
    "UPGrad",
    "apply_if",
    "conflict_rate",
    "find_nonfinite",
    "get",
    "gram_statistics",
    "harmonize",
    "indices_of",
    "layer_statistics",
    "minimize",
    "sum_over_replicas",
]
