"""Gradient harmonization for TensorFlow: several objectives' gradients in, one update out.

Example:
    method = harmonization.get("gr")
    update, report = harmonization.harmonize([gradients_va, gradients_vt], method)
    harmonization.apply_if(report["keep"], optimizer, update, variables)
"""

from harmonization.apply import apply_if
from harmonization.diagnostics import gram_statistics, layer_statistics
from harmonization.gram import find_nonfinite
from harmonization.groups import indices_of
from harmonization.harmonize import harmonize
from harmonization.harmonize_losses import harmonize_losses
from harmonization.harmonizer import Decision, GramHarmonizer, Group, Harmonizer
from harmonization.keras_model import FunctionalModel, HarmonizedModel, HarmonizedTraining
from harmonization.methods import METHODS, get
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
from harmonization.minimize import minimize
from harmonization.part_gradients import LossParts
from harmonization.replicas import sum_over_replicas
from harmonization.schedule import (
    ConstantSchedule,
    CosineSchedule,
    LinearSchedule,
    Schedule,
    StepSchedule,
)
from harmonization.significance import part_gram, part_statistics
from harmonization.tape_cut import RecomputedCut, TapeCut

__all__ = [
    "CRMOGM",
    "DBMTL",
    "DGL",
    "DWA",
    "FAMO",
    "GLS",
    "IMTLG",
    "IMTLL",
    "METHODS",
    "MGDA",
    "OGMGE",
    "PCD",
    "STCH",
    "AlignedMTL",
    "Both",
    "CAGrad",
    "ConFIG",
    "ConstantSchedule",
    "CosineSchedule",
    "Decision",
    "DualProj",
    "FairGrad",
    "FunctionalModel",
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
    "LossParts",
    "MMPareto",
    "Mean",
    "NashMTL",
    "PCGrad",
    "RandomWeights",
    "RecomputedCut",
    "Reweight",
    "SDMGrad",
    "Schedule",
    "Significant",
    "StepSchedule",
    "Sum",
    "TapeCut",
    "UPGrad",
    "UncertaintyWeights",
    "apply_if",
    "find_nonfinite",
    "get",
    "gram_statistics",
    "harmonize",
    "harmonize_losses",
    "indices_of",
    "layer_statistics",
    "minimize",
    "part_gram",
    "part_statistics",
    "sum_over_replicas",
]
