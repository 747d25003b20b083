"""A network in two files: `model.safetensors` (weights) and `model.json` (facts). No pickle."""

import os
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dualseg.checkpoints.bounded_build import SLACK, at_most_parameters
from dualseg.checkpoints.checksums import CHECKSUMS_FILE, find_damage
from dualseg.checkpoints.hub import fetch_model, is_on_hub
from dualseg.checkpoints.json_files import read_json
from dualseg.checkpoints.tensors import (
    pack_tensors,
    read_tensors,
    require_finite,
    require_same_tensors,
)
from dualseg.config import Recipe, load_recipe
from dualseg.core.errors import InputError
from dualseg.core.facts import FORMAT, ModelFacts
from dualseg.core.file_names import file_ending
from dualseg.core.files import json_text, make_folder, write_bytes, write_text
from dualseg.models.catalog import create_model
from dualseg.models.dsrl.model import DsrlModel
from dualseg.models.paper_options import as_stored
from dualseg.models.segmentation import SegmentationModel

WEIGHTS_FILE = "model.safetensors"
FACTS_FILE = "model.json"
RUN_CONFIG_FILE = "config.yaml"
EXPORTED_SUFFIXES = (".onnx", ".xml", ".pt2")
EXPORTED_READER = "dualseg.export.loading"  # by name: it stands on a layer above


def save_model(folder: Path, model: nn.Module, facts: ModelFacts) -> None:
    """Writes `model.safetensors` and `model.json` into `folder`, which is made if need be.

    Raises:
        InputError: A weight is NaN or infinite, or the folder cannot be written.
    """
    weights = model.state_dict()
    require_finite(weights, origin="the network to save")
    text = json_text(facts.to_dict())
    make_folder(folder)
    (folder / CHECKSUMS_FILE).unlink(missing_ok=True)  # of what stood there before
    write_bytes(folder / WEIGHTS_FILE, pack_tensors(weights))
    write_text(folder / FACTS_FILE, text)


def save_model_file(path: Path, model: nn.Module, facts: ModelFacts) -> None:
    """Writes one `NAME.safetensors` with its `NAME.json` beside it.

    Raises:
        InputError: A weight is NaN or infinite, or the folder cannot be written.
    """
    weights = model.state_dict()
    require_finite(weights, origin="the network to save")
    text = json_text(facts.to_dict())
    write_bytes(path, pack_tensors(weights))
    write_text(path.with_suffix(".json"), text)


def save_new_model(out: Path, model: nn.Module, facts: ModelFacts) -> None:
    """Writes a model where `require_new_model` lets it: one file by its ending, else a folder."""
    if file_ending(out):
        save_model_file(out, model, facts)
    else:
        save_model(out, model, facts)


def require_new_model(out: Path, *, option: str = "--out") -> None:
    """Refuses a place where no new model can be written, before any work rather than after.

    Args:
        out: A `.safetensors` file, or a folder, whose name may have dots.
        option: What it was given by, for the message.

    Raises:
        InputError: It ends as another kind of file, it stands already, or the facts that would lie
            beside the file do.
    """
    ending = file_ending(out)
    if ending not in (".safetensors", ""):
        raise InputError(f"{option} is {out}; give a name that ends in .safetensors, or a folder")
    for path in (out, out.with_suffix(".json")) if ending else (out,):
        if path.exists():
            raise InputError(
                f"{option} is {out}, but {path} exists; choose another name or remove it"
            )


def load_model(path: str | Path) -> SegmentationModel:
    """A network ready for use: pruned, in evaluation mode, on the CPU, with its `facts`.

    Args:
        path: A run folder (its best checkpoint, else its last), a checkpoint folder, or a
            `.safetensors` file with its `.json` beside it, or `hf://owner/name` on the hub. An
            exported file (`.onnx`, `.xml`, `.pt2`) gives an `Exported`, which takes the place of
            the network in `Predictor` and `evaluate`.

    Raises:
        InputError: Nothing is there, the files are damaged, or weights and facts do not fit.
    """
    if is_exported(path):
        return import_module(EXPORTED_READER).load_exported(path)
    model, _ = load_unpruned(path)
    return model.prune().eval()


def is_exported(path: str | Path) -> bool:
    """Whether `path` names a file of `dualseg export`."""
    return not is_on_hub(path) and Path(path).suffix.lower() in EXPORTED_SUFFIXES


def load_unpruned(path: str | Path) -> tuple[SegmentationModel | DsrlModel, ModelFacts]:
    """The network with everything it was trained with, in training mode, and its facts.

    Raises:
        InputError: As `load_model`.
    """
    weights_path, facts_path = find_model(path)
    facts = read_facts(facts_path)
    require_undamaged(weights_path)
    weights = read_tensors(weights_path)
    require_finite(weights, origin=str(weights_path))
    model = build_fitting(facts, weights, origin=facts_path, weights_origin=str(weights_path))
    load_weights(model, weights, origin=str(weights_path))
    model.facts = facts
    return model, facts


def read_run_config(path: str | Path) -> Recipe | None:
    """The recipe of the run a model lies in; None for a model outside a run folder.

    Only RUN/checkpoints/NAME/model.safetensors lies in a run; any other `config.yaml` near a model
    is a stranger's. An exported file is in none.
    """
    if is_exported(path):
        return None
    weights_path = find_model(path)[0]
    for place in (weights_path.absolute(), weights_path.resolve()):
        checkpoints = place.parent.parent
        config = checkpoints.parent / RUN_CONFIG_FILE
        if place.name == WEIGHTS_FILE and checkpoints.name == "checkpoints" and config.is_file():
            return load_recipe(config)
    return None


def load_weights(model: nn.Module, weights: Mapping[str, Tensor], *, origin: str) -> None:
    """Copies weights into a network; names, shapes and kinds of numbers must agree one to one.

    Raises:
        InputError: They do not; everything missing, left over, wrongly shaped and of a wrong type
            is listed.
    """
    require_same_tensors(weights, model.state_dict(), origin=origin)
    model.load_state_dict(weights)


def require_undamaged(weights_path: Path) -> None:
    """A checkpoint of a run knows its checksums; a single flipped bit is found.

    Raises:
        InputError: The file is not as it was written.
    """
    folder = weights_path.parent
    if weights_path.name != WEIGHTS_FILE or not (folder / CHECKSUMS_FILE).is_file():
        return
    damage = find_damage(folder, (WEIGHTS_FILE,))
    if damage:
        raise InputError(f"{folder} is damaged: {damage}; take another checkpoint of the run")


def find_model(path: str | Path) -> tuple[Path, Path]:
    """The weights file and the facts file that `path` stands for.

    Raises:
        InputError: There is no model; the message says what was looked for.
    """
    if is_on_hub(path):
        path = fetch_model(str(path))
    path = Path(path)
    if path.suffix == ".safetensors":
        pair = path, path.with_suffix(".json")
    elif os.path.isdir(path):  # unlike pathlib's, not surprised by a name too long
        pair = _find_in_folder(path)
    elif is_exported(path) and os.path.exists(path):
        raise InputError(
            f"{path} is an exported file, which can predict and be evaluated; this needs the "
            "network it was made of"
        )
    elif os.path.exists(path):
        raise InputError(
            f"{path} is no model: expected a run folder, a checkpoint folder, or a .safetensors "
            "file"
        )
    else:
        raise InputError(f"there is no model at {path}: no such file or folder")
    for file in pair:
        if not os.path.isfile(file):
            raise InputError(f"there is no model at {path}: {file} is missing")
    return pair


def read_facts(path: Path) -> ModelFacts:
    """`model.json`, checked.

    Raises:
        InputError: The file is no JSON, of another format, or a key is missing or wrong.
    """
    return parse_facts(read_json(path), origin=path)


def parse_facts(plain: Mapping[str, Any], *, origin: Path) -> ModelFacts:
    """Facts from the plain values of `model.json`, checked.

    Raises:
        InputError: They are of another format, or a key is missing or wrong.
    """
    if plain.get("format") != FORMAT:
        raise InputError(
            f"{origin} has format {plain.get('format')!r}; this version of dualseg reads {FORMAT!r}"
        )
    try:
        facts = ModelFacts.from_dict(plain)
        facts = replace(facts, architecture=as_stored(facts.architecture))
        num_classes = facts.architecture.get("num_classes", facts.labels.num_classes)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        what = f"key {error} is missing" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{origin} is no whole description of a model: {what}") from None
    if num_classes != facts.labels.num_classes:
        raise InputError(
            f"{origin} names {facts.labels.num_classes} classes, but the network predicts "
            f"{num_classes}"
        )
    return facts


def _find_in_folder(folder: Path) -> tuple[Path, Path]:
    for place in (folder / "checkpoints" / "best", folder / "checkpoints" / "last", folder):
        if (place / WEIGHTS_FILE).is_file():
            return place / WEIGHTS_FILE, place / FACTS_FILE
    raise InputError(
        f"there is no model in {folder}: looked for checkpoints/best, checkpoints/last and "
        f"{WEIGHTS_FILE}"
    )


def build_fitting(
    facts: ModelFacts, weights: Mapping[str, Tensor], *, origin: Path, weights_origin: str
) -> SegmentationModel | DsrlModel:
    """As `build_network`, but facts that nobody vouches for get no more memory than the weights
    call for.

    Raises:
        InputError: As `build_network`, or a much larger network does not fit the weights.
    """
    limit = 2 * sum(tensor.numel() for tensor in weights.values()) + SLACK
    try:
        with at_most_parameters(limit):
            return build_network(facts, origin=origin)
    except (RuntimeError, InputError):  # too large, or something else, which then is said below
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            try:
                outline = build_network(facts, origin=origin).state_dict()
            except RuntimeError as error:
                raise InputError(f"{origin}: no network can be so large: {error}") from error
        require_same_tensors(weights, outline, origin=weights_origin)
        return build_network(facts, origin=origin)  # of a network of which little is kept


def build_network(facts: ModelFacts, *, origin: Path) -> SegmentationModel | DsrlModel:
    """The network the facts describe, without looking for pretrained weights.

    Raises:
        InputError: This version knows no such network.
    """
    try:
        return create_model(**{**facts.architecture, "pretrained": False})
    except InputError:
        raise
    except (TypeError, AttributeError, LookupError, ValueError, ArithmeticError) as error:
        # Keys or values of another version.
        raise InputError(f"{origin}: this version cannot build the network: {error}") from error
