"""DSRL around any segmentation network."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_type_hints

from pydantic import PositiveInt
from torch import Tensor, nn

from dualseg.core.errors import InputError, nearest
from dualseg.core.facts import ModelFacts
from dualseg.core.outputs import SegmentationOutput
from dualseg.models.dsrl.feature_transform import FeatureTransform
from dualseg.models.dsrl.sisr_decoder import SISRDecoder, SisrKind
from dualseg.models.dsrl.sssr_decoder import SssrKind
from dualseg.models.dsrl.upsampling import double_size
from dualseg.models.option_values import checked_value
from dualseg.models.segmentation import SegmentationModel


@dataclass(frozen=True)
class DsrlOptions:
    """Which parts there are and how they are built.

    Args:
        stage: 1: SSSR; 2: and SISR; 3: and FTM, for the feature affinity.
        sssr: Kind of label decoder.
        sisr: Kind of image decoder.
        affinity_features: Compare the last maps before each prediction layer (the paper, as its
            first author says), or the final outputs (both public ports).
        affinity_subsampling: Output size divided by the size of the compared maps.
        ftm: Transform the label side (the paper) or both (sanje2v).
        frozen: Parts that are never updated, to reproduce the public port that forgot them.
        inference_only: No training branch at all: what `prune` leaves.
    """

    stage: Literal[1, 2, 3] = 3
    sssr: SssrKind = "deconvolution"
    sisr: SisrKind = "espcn"
    affinity_features: Literal["before_prediction", "after_prediction"] = "before_prediction"
    affinity_subsampling: PositiveInt = 8
    ftm: Literal["seg", "both"] = "seg"
    frozen: tuple[Literal["sisr_decoder", "ftm"], ...] = ()
    inference_only: bool = False

    @classmethod
    def from_mapping(cls, options: Mapping[str, Any]) -> "DsrlOptions":
        """Checks names and values; a list becomes a tuple.

        Raises:
            InputError: An unknown option, or a value it cannot have.
        """
        known = get_type_hints(cls, include_extras=True)
        checked = {}
        for name, value in options.items():
            if name not in known:
                raise InputError(f"there is no dsrl option {name!r}; {nearest(name, known)}")
            checked[name] = checked_value(f"dsrl option {name!r}", known[name], value)
        return cls(**checked)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `model.json`."""
        return asdict(self) | {"frozen": list(self.frozen)}


class DsrlModel(nn.Module):
    """A host network that answers at twice its input, and the branches that teach it detail.

    The host's predictor is the SSSR decoder; SISR decoder and FTM hang beside it and run in
    training mode only. `prune()` therefore hands out the host as it is.

    Args:
        host: Network whose predictor gives (B, K, 2H, 2W).
        sisr_decoder: Stages 2 and 3.
        ftm: Stage 3.
        options: How it was built.
        architecture: The arguments of `create_model` that build this network again.

    Shape: images (B, C, H, W) -> logits (B, K, 2H, 2W); in training mode also image_sr
    (B, C, 2H, 2W) and two feature maps of one shape.

    Source: Wang et al. 2020, figure 2.
    """

    def __init__(
        self,
        host: SegmentationModel,
        sisr_decoder: SISRDecoder | None,
        ftm: FeatureTransform | None,
        *,
        options: DsrlOptions,
        architecture: Mapping[str, Any],
    ):
        super().__init__()
        self.host = host
        self.sisr_decoder = sisr_decoder
        self.ftm = ftm
        self.options = options
        self.architecture = dict(architecture)
        self.facts: ModelFacts | None = None
        for part in options.frozen:
            module = getattr(self, part)
            if module is not None:
                module.requires_grad_(False)

    def forward(self, images: Tensor) -> SegmentationOutput:
        if not self.training or self.sisr_decoder is None:
            return self.host(images)
        input_size = (images.shape[-2], images.shape[-1])
        encoding = self.host.encode(images)
        prediction = self.host.predictor(encoding.features, input_size)
        auxiliary_logits = self.host.auxiliary_logits(encoding, input_size)
        reconstruction = self.sisr_decoder(encoding.backbone_features, input_size)
        output = SegmentationOutput(
            prediction.logits,
            auxiliary_logits,
            reconstruction.image,
            features=prediction.features,
        )
        if self.ftm is None:
            return output
        if self.options.affinity_features == "before_prediction":
            pair = prediction.features, reconstruction.features
        else:
            pair = prediction.logits, reconstruction.image
        seg, sr = self.ftm(*pair, double_size(input_size))
        return output._replace(features_seg=seg, features_sr=sr)

    def prune(self) -> SegmentationModel:
        """The host with its SSSR decoder: an ordinary network, same weights, identical logits."""
        pruned = self.host.prune()
        options = {**self.options.to_dict(), "inference_only": True}
        pruned.architecture = {**self.architecture, "auxiliary": False, "dsrl": options}
        if self.facts is not None:
            pruned.facts = replace(self.facts, architecture=pruned.architecture)
        return pruned
