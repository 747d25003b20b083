"""Recipe section `model`: the network."""

from typing import Any, Literal

from pydantic import Field

from dualseg.config.section import Section


class ModelSettings(Section):
    """The network: arguments of `dualseg.create_model`, which explains them. `backbone` and
    `output_stride` are the paper's where not given. `num_classes` is missing on purpose: the data
    knows it.
    """

    name: str = "deeplabv3plus"
    backbone: str | None = None
    output_stride: Literal[8, 16, 32] | None = None
    stem: Literal["b", "c", "d", "e", "s"] | None = None
    first_block: Literal["contract", "full", "group", "undilated"] = "contract"
    multi_grid: tuple[int, ...] | None = None
    backbone_options: dict[str, Any] | None = None
    atrous_rates: tuple[int, ...] | None = None
    head_variant: str | None = None
    head_options: dict[str, Any] | None = None
    oc: Literal["base", "pyramid", "asp"] | None = None
    neck: str | None = None
    align_corners: bool = False
    pretrained: bool | str = False
    auxiliary: bool | Literal["all"] = False
    auxiliary_channels: int | None = Field(default=None, ge=1)
    auxiliary_activation: Literal["relu", "leaky_relu", "none"] = "relu"
    auxiliary_weight: float = Field(default=0.4, ge=0)
