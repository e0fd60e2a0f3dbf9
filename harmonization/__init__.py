"""Gradient harmonization for TensorFlow: several objectives' gradients in, one update out.

Example:
    method = harmonization.get("gr")
    update, report = harmonization.harmonize([gradients_va, gradients_vt], method)
    harmonization.apply_if(report["keep"], optimizer, update, variables)
"""

from harmonization.apply import apply_if
from harmonization.both import Both
from harmonization.curriculum import GradientCurriculum
from harmonization.gram import find_nonfinite
from harmonization.harmonize import harmonize
from harmonization.harmonizer import Decision, GramHarmonizer, Group, Harmonizer
from harmonization.keras_model import HarmonizedModel
from harmonization.mean import Mean
from harmonization.methods import METHODS, get
from harmonization.minimize import minimize
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

__all__ = [
    "METHODS",
    "Both",
    "ConstantSchedule",
    "CosineSchedule",
    "Decision",
    "GradientCurriculum",
    "GradientRealignment",
    "GramHarmonizer",
    "Group",
    "HarmonizedModel",
    "Harmonizer",
    "LinearSchedule",
    "Mean",
    "Reweight",
    "Schedule",
    "StepSchedule",
    "Sum",
    "apply_if",
    "find_nonfinite",
    "get",
    "harmonize",
    "minimize",
    "sum_over_replicas",
]
