"""The methods of supervised audio-video learning that are compared: which losses reach what, and who weighs them."""

import dataclasses
from collections.abc import Callable, Sequence

import harmonization
from experiments.classifiers.gradient_blending import GradientBlending

MODALITIES = ("audio", "video")
MULTIMODAL = "multimodal"
ALL = (MULTIMODAL, *MODALITIES)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What a method does with the losses.

    Attributes:
      objectives: The losses whose gradients are taken.
      harmonizer: Makes what weighs them, unless the configuration brings another.
      heads: Modalities have linear heads of their own; else they speak through the fusion, the other one removed.
      fused: There is a fusion.
      disentangled: The multimodal loss reaches the fusion only, the unimodal ones the encoders only.
      scored: The harmonizer is told how well each modality does alone.
      kernels_only: Only the encoders' variables of two and more axes are in a group; the others get the plain sum.
      encoder_scale: Factor on the encoders' gradients after everything else, before the weight decay.
      bias_share: Share of the fusion's bias in a modality's own logits.
    """

    objectives: tuple[str, ...]
    harmonizer: Callable[[], harmonization.Harmonizer]
    heads: bool = False
    fused: bool = True
    disentangled: bool = False
    scored: bool = False
    kernels_only: bool = False
    encoder_scale: float = 1.0
    bias_share: float = 1.0

    def reaches(self, objective: str, parts: Sequence[str]) -> tuple[str, ...]:
        """Returns the parts of the model (`Classifier.parts`) that an objective's gradient is taken of."""
        if objective == MULTIMODAL:
            wanted = ("fusion",) if self.disentangled else (*MODALITIES, "fusion")
        elif self.heads or self.disentangled:
            wanted = (objective, f"{objective}_head")
        else:
            wanted = (objective, "fusion")
        return tuple(part for part in parts if part in wanted)

    def passes(self) -> list[tuple[str, ...]]:
        """Returns the objectives by backward pass: the modalities' reach different variables and share one."""
        unimodal = tuple(name for name in self.objectives if name != MULTIMODAL)
        return [names for names in ((MULTIMODAL,) * (MULTIMODAL in self.objectives), unimodal) if names]


def _named(name: str) -> Callable[[], harmonization.Harmonizer]:
    return lambda: harmonization.get(name)


RECIPES: dict[str, Recipe] = {
    "joint": Recipe((MULTIMODAL,), _named("sum")),
    "uniform": Recipe(ALL, _named("sum"), heads=True),
    # What MMPareto does in every step without conflict.
    "uniform_scaled": Recipe(ALL, _named("sum"), heads=True, encoder_scale=1.5),
    "unimodal": Recipe(MODALITIES, _named("sum"), heads=True, fused=False),
    "gradient_blending": Recipe(ALL, GradientBlending, heads=True),
    "ogm_ge": Recipe((MULTIMODAL,), _named("ogm_ge"), scored=True, kernels_only=True, bias_share=0.5),
    "mmpareto": Recipe(ALL, _named("mmpareto"), heads=True),
    "dgl": Recipe(ALL, _named("dgl"), disentangled=True),
}
"""By name, as `classify.method` takes it.

joint: the multimodal loss alone. uniform: the sum of all three. uniform_scaled: the same with the encoders' gradients
times 1.5, the control for MMPareto. unimodal: each modality by itself. gradient_blending, ogm_ge, mmpareto, dgl: see
the classes of these names. OGM-GE changes kernels only, as its authors' code does with those of convolutions.
"""
