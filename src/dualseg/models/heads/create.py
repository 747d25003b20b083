"""Heads by name, with the auxiliary heads that go with them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from dualseg.core.errors import InputError, nearest
from dualseg.models.backbones.features import FeatureInfo
from dualseg.models.entries import ENTRIES
from dualseg.models.heads.bisenet import BiSeNetHead
from dualseg.models.heads.ccnet import CCNetHead
from dualseg.models.heads.danet import DANetHead
from dualseg.models.heads.deeplab_v1 import DeepLabV1Head
from dualseg.models.heads.deeplab_v2 import DeepLabV2Head, MultiScaleMaxHead
from dualseg.models.heads.deeplab_v3 import DeepLabV3Head
from dualseg.models.heads.deeplab_v3_plus import DeepLabV3PlusHead
from dualseg.models.heads.densenet_fusion import DenseNetFusionHead
from dualseg.models.heads.encnet import EncNetHead
from dualseg.models.heads.fcn import FCNHead
from dualseg.models.heads.head import Head, TapHead
from dualseg.models.heads.lraspp import LRASPPHead
from dualseg.models.heads.ocnet import OCNetHead
from dualseg.models.heads.options import checked_options
from dualseg.models.heads.psp import PSPHead
from dualseg.models.layers import Activation, default_atrous_rates, initialize
from dualseg.models.segmentation import AuxiliaryHead, Classifier, Resizer

DEEPLAB_V2_RATES = (6, 12, 18, 24)
NUM_SCALES = 3  # of DeepLab v2: 1, 0.75, 0.5
BISENET_AUXILIARY_WIDTH = 64
DEEPLAB_V2_WIDTH = 256  # under DSRL, where the label decoder predicts from features


class Request(NamedTuple):
    """What a head is built from.

    Attributes:
        info: Channels and strides of the features it will read.
        variant: As `Entry.variants`; the first where none was named.
        rates: `atrous_rates`, or None for the paper's.
        options: Checked `head_options`: arguments of the head by name.
        align_corners: Of its bilinear resizings.
        class_scores: How many classes a head that classifies by itself predicts; None under DSRL.
    """

    info: Sequence[FeatureInfo]
    variant: Any
    rates: tuple[int, ...] | None
    options: dict[str, Any]
    align_corners: bool
    class_scores: int | None

    @property
    def aspp_rates(self) -> tuple[int, ...]:
        """The rates given, or those that fit the stride of the deepest feature."""
        return self.rates or default_atrous_rates(self.info[-1].stride)


def create_head(
    name: str,
    info: Sequence[FeatureInfo],
    *,
    variant: str | None,
    options: Mapping[str, Any],
    atrous_rates: tuple[int, ...] | None,
    align_corners: bool,
    class_scores: int | None,
) -> Head:
    """The head of a catalogue entry, initialised.

    Raises:
        InputError: An option it does not have or of a wrong kind, or features it cannot work with.
    """
    entry = ENTRIES[name]
    for option in options:
        if option not in entry.options:
            raise InputError(
                f"{name} has no head option {option!r}; {nearest(option, entry.options)}"
                if entry.options
                else f"{name} has no head options; leave {option!r} out"
            )
    chosen = variant or (entry.variants[0] if entry.variants else None)
    checked = checked_options(name, HEAD_CLASSES[name], options, known=entry.options)
    request = Request(info, chosen, atrous_rates, checked, align_corners, class_scores)
    return _BUILDERS[name](request)


def create_auxiliary_heads(
    name: str,
    head: Head,
    info: Sequence[FeatureInfo],
    *,
    index: int,
    which: bool | Literal["all"],
    channels: int | None,
    activation: Activation,
    num_classes: int,
    class_scores: int | None,
    align_corners: bool,
) -> list[AuxiliaryHead]:
    """Training-only classifiers: on the head's side features, or an FCN head on a backbone feature.

    Args:
        name: Of the network.
        head: Its head.
        info: Features after the neck.
        index: Which of them an FCN head reads.
        which: False: none; True: those of the paper; "all": side and FCN heads.
        channels: Width of FCN heads.
        activation: Of an FCN head on a backbone feature.
        num_classes: Classes predicted.
        class_scores: As `create_head`.
        align_corners: Of the resizing of their logits.

    Raises:
        InputError: There is no feature for an FCN head.
    """
    if which not in (False, True, "all"):
        raise InputError(f"auxiliary {which!r} is unknown; use true, false or all")
    maps = [*info, *head.side_info]
    heads: list[AuxiliaryHead] = []

    def classifier(on: Head) -> Classifier:
        return Classifier(
            on.out_channels, num_classes, dropout=on.dropout, align_corners=align_corners
        )

    if which == "all" or (which and not head.side_info):
        position = index % len(info)
        if len(info) < 2:
            raise InputError("an auxiliary head needs a backbone with at least two features")
        fcn = FCNHead(maps, index=position, channels=channels, activation=activation)
        initialize(fcn)
        heads.append(AuxiliaryHead(fcn, classifier(fcn)))
    sides = range(len(info), len(maps)) if which else ()
    for side in sides:
        if name == "bisenet":
            on: Head = FCNHead(maps, index=side, channels=channels or BISENET_AUXILIARY_WIDTH)
            initialize(on)  # type: ignore[arg-type]
        else:
            on = TapHead(maps, index=side, dropout=head.dropout)
        holds_scores = name == "deeplabv2" and class_scores is not None
        resizer = Resizer(align_corners=align_corners)
        heads.append(AuxiliaryHead(on, resizer if holds_scores else classifier(on)))
    return heads


def _fcn(r: Request) -> Head:
    return _initialized(FCNHead(r.info, variant=r.variant, **r.options))


def _pspnet(r: Request) -> Head:
    return _initialized(
        PSPHead(r.info, variant=r.variant, align_corners=r.align_corners, **r.options)
    )


def _deeplab_v1(r: Request) -> Head:
    return _initialized(DeepLabV1Head(r.info))


def _deeplab_v2(r: Request) -> Head:
    """Not initialised: its classifiers start small, see the head."""
    multi_scale = r.variant == "multi_scale"
    head = DeepLabV2Head(
        r.info[: 1 - NUM_SCALES] if multi_scale else r.info,
        out_channels=r.class_scores or DEEPLAB_V2_WIDTH,
        atrous_rates=r.rates or DEEPLAB_V2_RATES,
    )
    if not multi_scale:
        return head
    return MultiScaleMaxHead(head, r.info, num_scales=NUM_SCALES, align_corners=r.align_corners)


def _deeplab_v3(r: Request) -> Head:
    return _initialized(
        DeepLabV3Head(r.info, atrous_rates=r.aspp_rates, variant=r.variant, **r.options)
    )


def _deeplab_v3_plus(r: Request) -> Head:
    return _initialized(
        DeepLabV3PlusHead(
            r.info,
            atrous_rates=r.aspp_rates,
            variant=r.variant,
            align_corners=r.align_corners,
            **r.options,
        )
    )


def _danet(r: Request) -> Head:
    return _initialized(DANetHead(r.info, **r.options))


def _bisenet(r: Request) -> Head:
    return _initialized(
        BiSeNetHead(r.info, variant=r.variant, align_corners=r.align_corners, **r.options)
    )


def _ocnet(r: Request) -> Head:
    return _initialized(
        OCNetHead(r.info, variant=r.variant, align_corners=r.align_corners, **r.options)
    )


def _ccnet(r: Request) -> Head:
    return _initialized(CCNetHead(r.info, **r.options))


def _encnet(r: Request) -> Head:
    return _initialized(EncNetHead(r.info, align_corners=r.align_corners, **r.options))


def _lraspp(r: Request) -> Head:
    return _initialized(LRASPPHead(r.info, **r.options))


def _densenet_fusion(r: Request) -> Head:
    return _initialized(
        DenseNetFusionHead(r.info, variant=r.variant, align_corners=r.align_corners, **r.options)
    )


def _initialized(head: Any) -> Head:
    initialize(head)
    return head


HEAD_CLASSES: dict[str, type] = {
    "fcn": FCNHead,
    "pspnet": PSPHead,
    "deeplabv1": DeepLabV1Head,
    "deeplabv2": DeepLabV2Head,
    "deeplabv3": DeepLabV3Head,
    "deeplabv3plus": DeepLabV3PlusHead,
    "danet": DANetHead,
    "bisenet": BiSeNetHead,
    "ocnet": OCNetHead,
    "ccnet": CCNetHead,
    "encnet": EncNetHead,
    "lraspp": LRASPPHead,
    "densenet_fusion": DenseNetFusionHead,
}
_BUILDERS: dict[str, Callable[[Request], Head]] = {
    "fcn": _fcn,
    "pspnet": _pspnet,
    "deeplabv1": _deeplab_v1,
    "deeplabv2": _deeplab_v2,
    "deeplabv3": _deeplab_v3,
    "deeplabv3plus": _deeplab_v3_plus,
    "danet": _danet,
    "bisenet": _bisenet,
    "ocnet": _ocnet,
    "ccnet": _ccnet,
    "encnet": _encnet,
    "lraspp": _lraspp,
    "densenet_fusion": _densenet_fusion,
}
