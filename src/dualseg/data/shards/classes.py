"""Classes of shards beside which nobody says them: inferred from the labels, as of a folder."""

import hashlib
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from dualseg.core.errors import InputError
from dualseg.core.files import write_json
from dualseg.core.labels import LabelSpec
from dualseg.data.checking.mask_facts import MaskFacts, read_mask_facts
from dualseg.data.datasets.dataset_yaml import Declaration
from dualseg.data.datasets.folder_labels import meaning_of_values
from dualseg.data.scanning import in_order
from dualseg.data.shards.index import default_index_folder
from dualseg.data.shards.member_file import as_file
from dualseg.data.shards.reader import ShardDataset


def infer_labels(
    splits: Sequence[ShardDataset], origin: str, *, folder: Path | None = None
) -> LabelSpec:
    """Reads every label once, and keeps what was inferred as long as no shard changes.

    Args:
        splits: All of them; their own classes are not looked at.
        origin: What messages call it.
        folder: Where results are kept; the user's cache folder where not given.

    Raises:
        InputError: A label cannot be read or is a colour picture, or the values cannot be class
            ids.
    """
    facts = [(s.shards, s.stamps, s.samples.label_extension, len(s)) for s in splits]
    name = hashlib.blake2b(repr(facts).encode(), digest_size=16).hexdigest()
    kept = (folder or default_index_folder()) / f"{name}.labels.json"
    try:
        return LabelSpec.from_dict(json.loads(kept.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        labels = _infer(splits, origin)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_json(kept, labels.to_dict())
    except (OSError, InputError):  # then the next opening takes as long
        pass
    return labels


def _infer(splits: Sequence[ShardDataset], origin: str) -> LabelSpec:
    labels = [(split, index) for split in splits for index in range(len(split))]
    counts: dict[int, int] = {}
    with tempfile.TemporaryDirectory() as place:
        telling: dict[Path, tuple[ShardDataset, int]] = {}  # the first label that holds each value
        known: list[MaskFacts] = []
        for number, facts in enumerate(in_order(lambda n: _facts(*labels[n]), len(labels))):
            if set(facts.counts) - set(counts):
                split, index = labels[number]
                path = Path(place, f"{number:09d}.png")
                path.write_bytes(split.label_bytes(index))
                telling[path] = labels[number]
                known.append(facts)
            else:
                known[0] = known[0]._replace(counts=_sum(known[0].counts, facts.counts))
            counts = _sum(counts, facts.counts)
        try:
            return meaning_of_values(list(telling), known, Declaration())[0]
        except InputError as error:
            text = str(error)
            for path, (split, index) in telling.items():
                text = text.replace(str(path), split.label_origin(index))
            raise InputError(
                f"{origin} has no dataset.yaml that says its classes, and {text}"
            ) from None


def _facts(dataset: ShardDataset, index: int) -> MaskFacts:
    origin = dataset.label_origin(index)
    with as_file(dataset.label_bytes(index), origin) as path:
        facts = read_mask_facts(path)
    if facts.kind != "ids":
        raise InputError(
            f"{origin} is a colour picture; labels in shards are class ids, one number a pixel. "
            "Save them so, or unpack the shards into a folder"
        )
    return facts


def _sum(first: dict[int, int], second: dict[int, int]) -> dict[int, int]:
    return {value: first.get(value, 0) + second.get(value, 0) for value in first | second}
