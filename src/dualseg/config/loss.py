"""Recipe section `loss`: what is minimised over the labels, and how DSRL's images are compared."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from dualseg.config.section import Section
from dualseg.core.errors import nearest

LOSS_TERMS = (
    "cross_entropy",
    "ohem",
    "bootstrapped",
    "focal",
    "lovasz",
    "dice",
    "tversky",
    "boundary",
)
TAKE_CLASS_WEIGHTS = ("cross_entropy", "ohem", "bootstrapped", "focal")

CLASS_WEIGHT_RULES = ("median_frequency", "inverse_log", "cityscapes")


class OhemSettings(Section):
    """Term `ohem`: the probability up to which a pixel is hard, and how many pixels of the whole
    batch are kept at least (a sixteenth of the valid ones where not given).
    """

    threshold: float = Field(default=0.7, gt=0, le=1)
    min_kept: int | None = Field(default=None, ge=0)


class BootstrappedSettings(Section):
    """Term `bootstrapped`: the share of the valid pixels that is kept."""

    kept_share: float = Field(default=0.25, gt=0, le=1)


class FocalSettings(Section):
    """Term `focal`: the exponent; 0 is cross-entropy."""

    gamma: float = Field(default=2.0, ge=0)


class LovaszSettings(Section):
    """Term `lovasz`: which classes, and whether each image has a loss of its own."""

    classes: Literal["present", "all"] = "present"
    per_image: bool = False


class TverskySettings(Section):
    """Term `tversky`: weights of false positives (alpha) and misses (beta)."""

    alpha: float = Field(default=0.3, ge=0)
    beta: float = Field(default=0.7, ge=0)


class LossSettings(Section):
    """Terms over the labels by name, each with its weight, and their options.

    `class_weights` is a number for each class, or a rule that is resolved to numbers from the raw
    training labels when a run begins. `auxiliary_weights` has one number for each auxiliary head
    (`model.auxiliary_weight` for all where not given), `auxiliary_terms` replaces `terms` for them.
    `reconstruction` and `ramp` are DSRL's: the image loss, and the form in which its two weights
    grow over `dsrl.warmup_steps`.
    """

    terms: dict[str, float] = Field(default={"cross_entropy": 1.0})
    class_weights: tuple[float, ...] | str | None = None
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    ohem: OhemSettings = OhemSettings()
    bootstrapped: BootstrappedSettings = BootstrappedSettings()
    focal: FocalSettings = FocalSettings()
    lovasz: LovaszSettings = LovaszSettings()
    tversky: TverskySettings = TverskySettings()
    auxiliary_terms: dict[str, float] | None = None
    auxiliary_weights: tuple[float, ...] | None = None
    reconstruction: Literal["l2", "l1", "charbonnier"] = "l2"
    ramp: Literal["linear", "cosine", "step", "constant"] = "linear"

    @field_validator("terms", "auxiliary_terms")
    @classmethod
    def _known_terms(cls, terms: dict[str, float] | None) -> dict[str, float] | None:
        if terms is None:
            return terms
        if not terms:
            raise ValueError(f"name at least one term; {nearest('', LOSS_TERMS)}")
        for name, weight in terms.items():
            if name not in LOSS_TERMS:
                raise ValueError(f"there is no loss {name!r}; {nearest(name, LOSS_TERMS)}")
            if weight <= 0:
                raise ValueError(f"the weight of {name} is {weight}; give one above 0, or no term")
        return terms

    @field_validator("class_weights")
    @classmethod
    def _usable_weights(
        cls, weights: tuple[float, ...] | str | None
    ) -> tuple[float, ...] | str | None:
        if isinstance(weights, str) and weights not in CLASS_WEIGHT_RULES:
            hint = nearest(weights, CLASS_WEIGHT_RULES)
            raise ValueError(f"there is no rule {weights!r} for class weights; {hint}")
        if isinstance(weights, tuple) and (min(weights, default=-1) < 0 or max(weights) == 0):
            raise ValueError("class weights are 0 or more, and one of them above 0")
        return weights

    @field_validator("auxiliary_weights")
    @classmethod
    def _not_negative(cls, weights: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if weights and min(weights) < 0:
            raise ValueError("the weight of an auxiliary head is 0 or more")
        return weights

    @model_validator(mode="after")
    def _options_have_an_effect(self) -> "LossSettings":
        used = {**self.terms, **(self.auxiliary_terms or {})}
        weighs = any(name in used for name in TAKE_CLASS_WEIGHTS)
        if self.class_weights is not None and not weighs:
            raise ValueError(
                f"class_weights has no effect: only {', '.join(TAKE_CLASS_WEIGHTS)} weigh classes"
            )
        if self.label_smoothing and "cross_entropy" not in used:
            raise ValueError("label_smoothing has no effect: it belongs to cross_entropy")
        for name in ("ohem", "bootstrapped", "focal", "lovasz", "tversky"):
            settings = getattr(self, name)
            if settings != type(settings)() and name not in used:
                raise ValueError(f"the options of {name} have no effect: terms has no {name}")
        return self
