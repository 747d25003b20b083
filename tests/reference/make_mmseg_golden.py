"""Makes golden files of every architecture that mmsegmentation publishes in the covered families.

In an environment of its own (Python 3.11; no compiler, no GPU):

    pip install torch==2.13.0 "numpy<2" mmengine==0.10.7 mmcv-lite==2.1.0 mmsegmentation==1.2.2 \
        ftfy regex "setuptools<81"
    python tests/reference/make_mmseg_golden.py FOLDER

Then, in dualseg's environment:

    DUALSEG_MMSEG_GOLDEN=FOLDER pytest -m oracle tests/checkpoints/test_import_mmsegmentation.py

The networks are built from the configs inside the package, with batch norm in place of its
synchronised form, 19 classes, and random weights. `mmcv-lite` lacks the compiled operators, which
`import mmseg.models` asks for; none of the covered networks calls one, so a stand-in whose
functions raise takes their place.
"""

import json
import re
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from reference.golden import Size, save_golden
from reference.original_weights import original_tensors
from reference.random_weights import random_image

FAMILIES = (
    "fcn",
    "pspnet",
    "deeplabv3",
    "deeplabv3plus",
    "danet",
    "encnet",
    "ccnet",
    "bisenetv1",
    "fastfcn",
    "mobilenet_v2",
)
NUM_CLASSES = 19
SIZES: tuple[Size, ...] = ((64, 96), (65, 97))
# A branch of rate 36 reads more than its centre only where a map at stride 8 is wider than that.
WIDE_SIZES: tuple[Size, ...] = ((64, 312), (65, 313))
NO_PART_OF_THE_NETWORK = (
    "pretrained",
    "init_cfg",
    "data_preprocessor",
    "train_cfg",
    "test_cfg",
    "loss_decode",
    "norm_eval",
)


class CompiledOperators(types.ModuleType):
    """Stands in for `mmcv._ext`."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("__"):
            raise AttributeError(name)

        def refuse(*_: object, **__: object) -> None:
            raise RuntimeError(f"the compiled operator {name} was called")

        return refuse


def main(folder: Path) -> None:
    """Writes one golden file for each distinct architecture, and which published file has which."""
    sys.modules["mmcv._ext"] = CompiledOperators("mmcv._ext")
    import mmseg.models  # noqa: F401 - fills the registry
    from mmengine.registry import init_default_scope

    init_default_scope("mmseg")
    folder.mkdir(parents=True, exist_ok=True)
    architectures = distinct_architectures()
    write_published(folder / "mmseg_published.json", architectures)
    for name, (config_name, config) in architectures.items():
        model = build(config)
        shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
        model.load_state_dict(original_tensors(shapes))
        model.eval()
        outputs = {size: predict(model, size) for size in sizes_for(config)}
        parameters = sum(parameter.numel() for parameter in model.parameters())
        description = (
            f"mmsegmentation 1.2.2, config {config_name}, {NUM_CLASSES} classes, BN for SyncBN; "
            f"{parameters} parameters; logits at the size of the image: of the decode head, then "
            "of the auxiliary heads, then of DANet's position and channel branches. Made by "
            "tests/reference/make_mmseg_golden.py.\n"
            f"model = {config!r}"
        )
        path = folder / f"mmseg_{name}.npz"
        save_golden(path, shapes, outputs, description)
        print(f"{path.name}: {parameters:,} parameters, {path.stat().st_size:,} bytes", flush=True)


def distinct_architectures() -> dict[str, tuple[str, dict[str, Any]]]:
    """One config and its network for each, under the config's name without the schedule."""
    found: dict[str, tuple[str, str, dict[str, Any]]] = {}
    for config_name, config in published_configs():
        name = re.sub(r"_\d+xb\d+-.*", "", config_name)
        if config["decode_head"].get("align_corners"):
            name += "_769x769"
        description = as_text(config)
        if description not in found or len(name) < len(found[description][0]):
            found[description] = name, config_name, config
    architectures = {name: (config_name, config) for name, config_name, config in found.values()}
    assert len(architectures) == len(found)
    return architectures


def write_published(path: Path, architectures: Mapping[str, tuple[str, dict[str, Any]]]) -> None:
    """JSON: name of each published weights file -> [architecture, number of classes]."""
    import yaml
    from mmengine.config import Config

    names = {
        json.dumps(config, sort_keys=True): name for name, (_, config) in architectures.items()
    }
    rows: dict[str, tuple[str, int]] = {}
    for family in FAMILIES:
        metafile = yaml.safe_load((configs_folder() / family / "metafile.yaml").read_text())
        for entry in metafile["Models"]:
            if "Weights" not in entry:
                continue
            config = entry["Config"].replace("/ddeeplab", "/deeplab")  # one row is misspelt
            model = Config.fromfile(configs_folder().parent / config).model
            file = entry["Weights"].rpartition("/")[2]
            depth = re.search(r"_r\d+", file)
            name = names[as_text(reduce(model))]
            if depth:  # three rows name the ResNet-50 config beside a ResNet-101's weights
                name = re.sub(r"_r\d+", depth[0], name)
            rows[file] = name, model["decode_head"]["num_classes"]
    lines = (f"{json.dumps(file)}: {json.dumps(row)}" for file, row in sorted(rows.items()))
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{path.name}: {len(rows)} published files", flush=True)


def published_configs() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every config of the families, reduced to what makes the network."""
    from mmengine.config import Config

    for family in FAMILIES:
        for path in sorted((configs_folder() / family).glob("*.py")):
            yield path.stem, reduce(Config.fromfile(path).model)


def configs_folder() -> Path:
    import mmseg

    return Path(mmseg.__file__).parent / ".mim" / "configs"


def as_text(config: dict[str, Any]) -> str:
    return json.dumps(config, sort_keys=True)


def reduce(node: Any) -> Any:
    """Without weights, losses and schedule, with 19 classes and plain batch norm."""
    if isinstance(node, dict):
        plain = {k: reduce(v) for k, v in node.items() if k not in NO_PART_OF_THE_NETWORK}
        if plain.get("align_corners") is False:
            del plain["align_corners"]
        if "num_classes" in plain:
            plain["num_classes"] = NUM_CLASSES
        return {**plain, "type": "BN"} if plain.get("type") == "SyncBN" else plain
    if isinstance(node, (list, tuple)):
        return tuple(reduce(item) for item in node)
    return node


def build(config: dict[str, Any]) -> nn.Module:
    from mmseg.registry import MODELS

    auxiliary = config.get("auxiliary_head")
    listed = {"auxiliary_head": list(auxiliary)} if isinstance(auxiliary, tuple) else {}
    return MODELS.build({**config, **listed, "test_cfg": {"mode": "whole"}})


@torch.no_grad()
def predict(model: Any, size: Size) -> Tensor:
    """Logits of the network, then of its auxiliary heads (but dilated ones, which dualseg does not
    build) and DANet's two branches, one below the other, all resized as the heads do it.
    """
    from mmseg.models.utils import resize

    metas = [{"img_shape": size}]
    features = model.extract_feat(random_image(size))
    auxiliary = getattr(model, "auxiliary_head", None)
    listed = auxiliary if isinstance(auxiliary, nn.ModuleList) else [auxiliary]
    auxiliary = [
        head for head in listed if head is not None and head.convs[0].conv.dilation[0] == 1
    ]
    heads = [model.decode_head, *auxiliary]
    logits = [head.predict(features, metas, model.test_cfg) for head in heads]
    if type(model.decode_head).__name__ == "DAHead":
        align_corners = model.decode_head.align_corners
        for branch in model.decode_head(features)[1:]:
            logits.append(resize(branch, size, mode="bilinear", align_corners=align_corners))
    return torch.cat(logits)


def sizes_for(config: dict[str, Any]) -> tuple[Size, ...]:
    return WIDE_SIZES if "ASPP" in config["decode_head"]["type"] else SIZES


if __name__ == "__main__":
    main(Path(sys.argv[1]))
