"""Classes of shards whose label values nobody explains: inferred as those of a folder."""

import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dualseg.core.errors import InputError
from dualseg.core.files import write_json
from dualseg.core.labels import LabelSpec
from dualseg.data.checking.mask_facts import MaskFacts, read_mask_facts
from dualseg.data.datasets.dataset_yaml import Declaration
from dualseg.data.datasets.folder_labels import meaning_of_values
from dualseg.data.faults import PictureError
from dualseg.data.scanning import in_order
from dualseg.data.shards.index import default_index_folder
from dualseg.data.shards.member_file import as_file
from dualseg.data.shards.reader import ShardDataset

RULES = 2  # of the inference; another number makes what was kept by older ones anew
Inferred = tuple[LabelSpec, tuple[str, ...]]


def infer_labels(
    splits: Sequence[ShardDataset],
    origin: str,
    declared: Declaration,
    *,
    folder: Path | None = None,
) -> Inferred:
    """Reads every label once, and keeps what was inferred as long as no shard changes.

    Args:
        splits: All of them; their own classes are not looked at.
        origin: What messages call it.
        declared: What a person says of the classes. Where their names are given, labels that cannot
            be read are passed over: a check lists them.
        folder: Where results are kept; the user's cache folder where not given.

    Returns:
        The classes, and notes that say what was inferred.

    Raises:
        InputError: A label cannot be read or is a colour picture, or the values cannot be class
            ids.
    """
    facts = [(s.shards, s.stamps, s.samples.label_extension, len(s)) for s in splits]
    name = hashlib.blake2b(repr((RULES, facts, declared)).encode(), digest_size=16).hexdigest()
    kept = (folder or default_index_folder()) / f"{name}.labels.json"
    try:
        return _from_plain(json.loads(kept.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        labels, notes = _infer(splits, origin, declared)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_json(kept, {"labels": labels.to_dict(), "notes": list(notes)})
    except (OSError, InputError):  # then the next opening takes as long
        pass
    return labels, notes


def _from_plain(plain: Mapping[str, Any]) -> Inferred:
    return LabelSpec.from_dict(plain["labels"]), tuple(map(str, plain["notes"]))


def _infer(splits: Sequence[ShardDataset], origin: str, declared: Declaration) -> Inferred:
    labels = [(split, index) for split in splits for index in range(len(split))]
    counts: dict[int, int] = {}
    with tempfile.TemporaryDirectory() as place:
        telling: dict[Path, tuple[ShardDataset, int]] = {}  # first with a value, or its colour
        known: list[MaskFacts] = []
        colors: set[tuple[int, int]] = set()
        for number, facts in enumerate(in_order(lambda n: _facts(*labels[n]), len(labels))):
            if isinstance(facts, InputError):
                if declared.class_names is None:
                    raise facts
                continue
            if set(facts.counts) - set(counts) or set(facts.colors.items()) - colors:
                split, index = labels[number]
                path = Path(place, f"{number:09d}.png")
                path.write_bytes(split.label_bytes(index))
                telling[path] = labels[number]
                known.append(facts)
            else:
                _add(facts, known)
            counts = _sum(counts, facts.counts)
            colors.update(facts.colors.items())
        origins = {path: split.label_origin(index) for path, (split, index) in telling.items()}
        try:
            found, notes, _ = meaning_of_values(list(telling), known, declared)
        except InputError as error:
            text = str(error)
            for path, label in origins.items():
                text = text.replace(str(path), label)
            unsaid = " has no dataset.yaml that says its classes, and"
            said = ":" if declared.gives_meaning else unsaid
            raise InputError(f"{origin}{said} {text}") from None
    for path, label in origins.items():  # a palette is of a label
        notes = tuple(note.replace(path.name, label) for note in notes)
    return found, notes


def _add(facts: MaskFacts, known: list[MaskFacts]) -> None:
    """Adds the pixels to a label that holds the same values, so that none seem to meet that do
    not; to the first where there is none."""
    at = next((i for i, one in enumerate(known) if set(facts.counts) <= set(one.counts)), 0)
    known[at] = known[at]._replace(counts=_sum(known[at].counts, facts.counts))


def _facts(dataset: ShardDataset, index: int) -> MaskFacts | InputError:
    """What a label holds, or why it holds no class ids; a shard that cannot be read is raised."""
    origin = dataset.label_origin(index)
    try:
        with as_file(dataset.label_bytes(index), origin) as path:
            facts = read_mask_facts(path, max_pixels=dataset.images.max_pixels)
    except PictureError as error:
        return error
    if facts.kind == "ids":
        return facts
    return InputError(
        f"{origin} is a colour picture; labels in shards are class ids, one number a pixel. "
        "Save them so, or unpack the shards into a folder"
    )


def _sum(first: dict[int, int], second: dict[int, int]) -> dict[int, int]:
    return {value: first.get(value, 0) + second.get(value, 0) for value in first | second}
