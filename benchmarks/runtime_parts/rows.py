"""The rows of the table, but for int8 and the folder."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dualseg.core.facts import ModelFacts
from dualseg.core.geometry import Size
from dualseg.export.exported import Exported
from dualseg.export.rewrites.attention_in_parts import split_attention
from dualseg.export.rewrites.measure import bf16_is_native
from dualseg.inference.label_maps import label_map_of
from dualseg.inference.predictor import batch_of_one
from dualseg.models.catalog import create_model
from dualseg.models.heads.ocnet import SelfAttention
from runtime_parts import ours, peers
from runtime_parts.turns import Compared, compare


@dataclass(frozen=True)
class Settings:
    """What all rows share.

    Args:
        rounds: Timed, after a warm-up.
        size: (height, width) of the images.
        model: A trained run for the int8 row; None: one is trained for a minute.
        data: The folder that belongs to it.
        num_files: Of the folder row.
        measure: Whether forms of layers are timed against each other first.
    """

    rounds: int
    size: Size
    model: Path | None
    data: Path | None
    num_files: int
    measure: bool

    @property
    def precision(self) -> str:
        """OpenVINO's word for the fastest one of this processor."""
        return "bf16" if bf16_is_native() else "f32"


@dataclass(frozen=True)
class Row:
    """One measured row.

    Args:
        holds: Whether what the goal asks beside the ratio is so.
        note: What the figures alone do not say.
    """

    work: str
    against: str
    goal: float
    compared: Compared
    note: str = ""
    holds: bool = True

    @property
    def is_reached(self) -> bool:
        return self.holds and self.compared.ratio >= self.goal


def deeplabv3plus_eager(settings: Settings) -> Row:
    peer = peers.smp_deeplabv3plus()
    model, facts = peers.imported(peer, "smp", "deeplabv3plus_resnet50-os16")
    built = ours.export(model, facts, settings.size, measure=settings.measure)
    large = _twice(settings.size)
    image = _image(settings.size)
    theirs = peers.eager(peer, large)
    own = _label_map(built.exported, large)
    return Row(
        f"DeepLabV3+-R50 OS16, image {_text(settings.size)} -> label map {_text(large)}",
        "smp, eager fp32",
        12.0,
        compare(lambda: own(image), lambda: theirs(image), rounds=settings.rounds),
        _agreement(own(image), theirs(image)) + _rewrites(built),
    )


def deeplabv3plus_openvino(settings: Settings) -> Row:
    peer = peers.smp_deeplabv3plus()
    model, facts = peers.imported(peer, "smp", "deeplabv3plus_resnet50-os16")
    built = ours.export(model, facts, settings.size, measure=settings.measure)
    large = _twice(settings.size)
    return _whole_row(
        f"DeepLabV3+-R50 OS16, image {_text(settings.size)} -> label map {_text(large)}",
        1.5,
        (peer, facts, built),
        large,
        settings,
    )


def deeplabv3(settings: Settings) -> Row:
    peer = peers.torchvision_deeplabv3()
    model, facts = peers.imported(peer, "torchvision", "deeplabv3_resnet50")
    built = ours.export(model, facts, settings.size, measure=settings.measure)
    own = ours.network_alone(built.exported, facts, settings.size)
    theirs = peers.openvino_network(peer, settings.size, settings.precision)
    return Row(
        f"DeepLabV3-R50 OS8 {_text(settings.size)}, network only",
        f"OpenVINO {settings.precision}, own export",
        3.6,
        compare(own, theirs, rounds=settings.rounds),
        _rewrites(built),
    )


def pspnet(settings: Settings) -> Row:
    peer = peers.smp_pspnet()
    model, facts = peers.imported(peer, "smp", "pspnet_resnet50")
    built = ours.export(model, facts, settings.size, measure=settings.measure)
    work = f"PSPNet-R50 (smp), image -> label map {_text(settings.size)}"
    return _whole_row(work, 1.0, (peer, facts, built), settings.size, settings)


def pspnet_of_the_paper(settings: Settings) -> Row:
    return _own_network(settings, "pspnet")


def danet(settings: Settings) -> Row:
    return _own_network(settings, "danet")


def ccnet(settings: Settings) -> Row:
    return _own_network(settings, "ccnet")


def ocnet(settings: Settings) -> Row:
    return _own_network(settings, "ocnet")


def dsrl(settings: Settings) -> Row:
    return _against_its_host(settings, "deconvolution")


def dsrl_bilinear(settings: Settings) -> Row:
    return _against_its_host(settings, "bilinear")


def _against_its_host(settings: Settings, sssr: str) -> Row:
    """The network alone: at half the size with a label decoder, and its host at the full one."""
    torch.manual_seed(0)
    options = {"backbone": "resnet50", "num_classes": peers.CLASSES, "output_stride": 16}
    both = create_model("deeplabv3plus", **options, dsrl={"sssr": sssr}).eval().prune()
    host = create_model("deeplabv3plus", **options).eval()
    own_facts = ours.facts_for(both, peers.CLASSES, 0.5)
    host_facts = ours.facts_for(host, peers.CLASSES)
    own = ours.export(both, own_facts, settings.size, measure=settings.measure)
    other = ours.export(host, host_facts, settings.size, measure=settings.measure)
    half = (settings.size[0] // 2, settings.size[1] // 2)
    sizes = f"{_text(half)} -> {_text(settings.size)}"
    return Row(
        f"DSRL DeepLabV3+-R50, SSSR by {sssr}, {sizes}, network only",
        f"its host at {_text(settings.size)}, the same runtime",
        3.5,
        compare(
            ours.network_alone(own.exported, own_facts, settings.size),
            ours.network_alone(other.exported, host_facts, settings.size),
            rounds=settings.rounds,
        ),
    )


def _own_network(settings: Settings, name: str) -> Row:
    """A network that no peer's library has: its plain form is exported by OpenVINO as it is, with
    attention as the authors write it, all weights at once.
    """
    torch.manual_seed(0)
    model = create_model(name, backbone="resnet50", num_classes=peers.CLASSES, output_stride=8)
    for parameter_name, parameter in model.named_parameters():
        if parameter_name.endswith("gamma"):
            nn.init.constant_(parameter, 0.5)  # at 0 attention would do nothing
    for module in model.modules():
        if isinstance(module, SelfAttention):
            nn.init.normal_(module.output.weight, std=0.01)
    model = model.prune().eval()
    facts = ours.facts_for(model, peers.CLASSES)
    built = ours.export(model, facts, settings.size, measure=settings.measure)
    work = f"{name} R50 OS8, image -> label map {_text(settings.size)}"
    plain = split_attention(model, 1)
    return _whole_row(work, 1.0, (plain, facts, built), settings.size, settings)


def _whole_row(
    work: str,
    goal: float,
    networks: tuple[nn.Module, ModelFacts, ours.Ours],
    out_size: Size,
    settings: Settings,
) -> Row:
    """Image -> label map against OpenVINO's own export; the note has the networks alone."""
    peer, facts, built = networks
    image = _image(settings.size)
    theirs = peers.openvino_label_map(peer, settings.size, out_size, settings.precision)
    own = _label_map(built.exported, out_size)
    compared = compare(lambda: own(image), lambda: theirs(image), rounds=settings.rounds)
    note = _agreement(own(image), theirs(image))

    alone = compare(
        ours.network_alone(built.exported, facts, settings.size),
        peers.openvino_network(peer, settings.size, settings.precision),
        rounds=settings.rounds,
    )
    note += f"networks alone {alone.ours:.0f} and {alone.peer:.0f} ms ({alone.ratio:.2f}x); "
    against = f"OpenVINO {settings.precision}, own export, bilinear and arg-max in the graph"
    return Row(work, against, goal, compared, note + _rewrites(built))


def _label_map(exported: Exported, size: Size) -> Callable[[NDArray[np.uint8]], NDArray[np.uint8]]:
    """At any size; at the image's own it is `Exported.label_map`."""

    def label_map(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return label_map_of(exported.raw_logits(batch_of_one(image)), size)

    return label_map


def _image(size: Size) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)


def _agreement(own: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> str:
    return f"label maps agree on {100 * (own == theirs).mean():.2f} %; "


def _rewrites(built: ours.Ours) -> str:
    return f"rewrites kept: {ours.kept(built.steps)}"


def _twice(size: Size) -> Size:
    return 2 * size[0], 2 * size[1]


def _text(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
