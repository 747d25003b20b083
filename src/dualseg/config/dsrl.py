"""Recipe section `dsrl`: dual super-resolution learning, and the choices of its public ports."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from dualseg.config.section import Section

DSRL_PRESETS: dict[str, dict[str, Any]] = {
    "ours": {},
    # The authors' ESPNetv2 release: two transposed convolutions on the class scores.
    "official": {"sssr": "official"},
    # Dootmaan's port: nothing learned in SSSR, outputs compared, no normalisation, SISR and FTM
    # missing from its optimiser.
    "dootmaan": {
        "sssr": "dootmaan",
        "sisr": "residual",
        "affinity_features": "after_prediction",
        "affinity_normalization": "none",
        "affinity_reduction": "batch_sum",
        "affinity_subsampling": 16,
        "image_weight": 0.5,
        "affinity_weight": 0.5,
        "frozen": ("sisr_decoder", "ftm"),
    },
    # sanje2v's port: both sides to one channel, columns compared after a spectral norm, every entry
    # of one matrix with every entry of the other.
    "sanje2v": {
        "sssr": "sanje2v",
        "sisr": "single",
        "affinity_features": "after_prediction",
        "affinity_normalization": "spectral",
        "affinity_pairing": "all",
        "affinity_subsampling": 64,
        "ftm": "both",
    },
}


SssrKind = Literal[
    "deconvolution",
    "pixel_shuffle",
    "bilinear",
    "bilinear_convolution",
    "official",
    "dootmaan",
    "sanje2v",
]


class DsrlSettings(Section):
    """Dual super-resolution learning; see `dualseg.models.dsrl`.

    Weights and the L1 distance are the paper's. `stage` 1 trains SSSR, 2 adds SISR, 3 adds feature
    affinity. `preset` fills every key that is not given with the choice of a public port, so that
    its claims can be tested; `ours` follows the paper. See also `make_room_for_preset`.
    """

    enabled: bool = False
    stage: Literal[1, 2, 3] = 3
    preset: Literal["ours", "official", "dootmaan", "sanje2v"] = "ours"
    image_weight: float = Field(default=0.1, ge=0)
    affinity_weight: float = Field(default=1.0, ge=0)
    warmup_steps: int = Field(default=0, ge=0)
    sssr: SssrKind = "deconvolution"
    sisr: Literal["espcn", "residual", "single"] = "espcn"
    affinity_features: Literal["before_prediction", "after_prediction"] = "before_prediction"
    affinity_normalization: Literal["l2", "none", "spectral"] = "l2"
    affinity_distance: Literal["l1", "l2"] = "l1"
    affinity_pairing: Literal["like", "all"] = "like"
    affinity_reduction: Literal["mean", "batch_sum"] = "mean"
    affinity_subsampling: int = Field(default=8, ge=1)
    ftm: Literal["seg", "both"] = "seg"
    image_target: Literal["normalized", "unit"] = "normalized"
    frozen: tuple[Literal["sisr_decoder", "ftm"], ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        return {**DSRL_PRESETS.get(str(given.get("preset", "ours")), {}), **given}

    @property
    def architecture(self) -> dict[str, Any]:
        """The keys that decide which modules there are, as `create_model(dsrl=...)` takes them."""
        names = (
            "stage",
            "sssr",
            "sisr",
            "affinity_features",
            "affinity_subsampling",
            "ftm",
            "frozen",
        )
        return {name: getattr(self, name) for name in names}


def make_room_for_preset(below: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Takes the values of one preset away where another one is laid on top.

    A value equal to the preset's counts as the preset's, also where somebody has written it out, as
    every run's `config.yaml` does. All others are of the recipe's own choice and stay.

    Args:
        below: Plain values of this section.
        over: Those that will be laid on them.

    Returns:
        All of `below` where `over` names no other preset; what is no preset is left to the check.
    """
    before, after = (str(section.get("preset", "ours")) for section in (below, over))
    if "preset" not in over or before == after or not {before, after} <= DSRL_PRESETS.keys():
        return dict(below)
    filled = DsrlSettings.model_validate({"preset": before}).model_dump(mode="json")
    return {key: v for key, v in below.items() if key not in filled or v != filled[key]}
