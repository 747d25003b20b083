"""From what a person names to splits: a folder of shards, a pattern of them, or URLs."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path

from dualseg.core.errors import InputError, first_few, nearest
from dualseg.core.image_spec import ImageSpec
from dualseg.core.labels import LabelSpec
from dualseg.data.datasets.dataset_yaml import Declaration
from dualseg.data.datasets.folder_pairs import SPLIT_FOLDERS, VAL_SHARE
from dualseg.data.pictures.images import IMAGE_SUFFIXES
from dualseg.data.shards.cache import cache_from_environment
from dualseg.data.shards.classes import infer_labels
from dualseg.data.shards.index import Progress, read_indexes
from dualseg.data.shards.reader import ShardDataset
from dualseg.data.shards.reading import find_shards, tars_in
from dualseg.data.shards.record import FolderRecord, ShardRecord, has_shard_record, read_record
from dualseg.data.shards.samples import find_samples
from dualseg.data.shards.urls import beside, is_url, name_of, normalized, parent_of, shown

ENDING = ".tar"
UNKNOWN = LabelSpec(("unknown",), ((0, 0, 0),))
UNSPLIT = ""  # shards whose names say no split
HOW_TO_NAME = (
    "name the shards train-000000.tar and val-000000.tar, name both in one pattern "
    "({train-{000..127},val-000}.tar), or give the other as data.val_split='DIR/NAME-{0..3}.tar'"
)
_TAR = re.compile(r"\.tar(?=$|[?},])", re.IGNORECASE)
_NUMBER = re.compile(r"[-_.]?\d+$")


@dataclass(frozen=True)
class ShardSource:
    """Shards before a split is chosen; nothing of them is read yet.

    Args:
        origin: As the person named it, for messages.
        shards: Split -> paths and URLs.
        records: Shard -> what `dataset.yaml` beside it says of it.
        labels: Classes; None where they have to be inferred from the labels themselves.
        declared: What a person says of the classes, where they have to be inferred.
        images: Bands and values of the images.
        notes: What is known, one line each.
        label_notes: Where the classes come from, if not from what is said beside the shards.
        elsewhere: Pattern of a split that lies in other places -> its shards.
    """

    origin: str
    shards: Mapping[str, tuple[str, ...]]
    records: Mapping[str, ShardRecord]
    labels: LabelSpec | None
    declared: Declaration
    images: ImageSpec
    notes: tuple[str, ...]
    label_notes: tuple[str, ...] = ()
    elsewhere: Mapping[str, "ShardSource"] = field(default_factory=dict)

    def open(self, split: str, *, progress: Progress | None = None) -> ShardDataset:
        """One split, through the indexes of its shards.

        Args:
            split: train, val or test, another name of one of them, or a pattern of shards. Where
                shards name no split, a fifth of the samples is val, by a hash of their names.
            progress: Called with (done, total) shards.

        Raises:
            InputError: There is no such split, or its shards cannot be read.
        """
        if names_shards(split):
            there = self.elsewhere.get(split) or _describe(split, self.labels, self.declared)
            shards = find_shards(split)
            name = split_of(name_of(shards[0])) or Path(name_of(shards[0])).stem
            return self._labelled(there._dataset(shards, name, progress), there)
        name = _split_name(split)
        if name in self.shards:
            return self._labelled(self._dataset(self.shards[name], name, progress), self)
        if UNSPLIT not in self.shards or name not in ("train", "val"):
            known = [key for key in self.shards if key]
            raise InputError(
                f"{self.origin} has no shards of the split {split!r}; {nearest(split, known)}. "
                f"Or {HOW_TO_NAME}"
            )
        whole = self._dataset(self.shards[UNSPLIT], name, progress)
        return _held_out(self._labelled(whole, self), name, self.origin)

    def _labelled(self, dataset: ShardDataset, there: "ShardSource") -> ShardDataset:
        """With the classes that all splits together have, where nobody says them.

        Args:
            dataset: A split.
            there: Its shards; together with them go all of which the same is said.
        """
        if there.labels is not None:
            dataset.label_notes = there.label_notes
            return dataset
        splits, seen = [], set()
        for source in (self, *self.elsewhere.values(), there):
            if source.labels is not None or source._said() != there._said():
                continue
            for name, shards in source.shards.items():
                others = [shard for shard in shards if shard not in seen]
                splits += [source._dataset(others, name, None)] if others else []
                seen.update(others)
        dataset.labels, dataset.label_notes = infer_labels(splits, self.origin, there.declared)
        return dataset

    def _said(self) -> tuple[object, ...]:
        """What decides what a label value means."""
        return self.declared.class_names, self.declared.ignore_index

    def _dataset(
        self, shards: Sequence[str], split: str, progress: Progress | None
    ) -> ShardDataset:
        found = [self.records.get(shard) for shard in shards]
        hashes = [None if record is None else record.sha256 for record in found]
        indexes = read_indexes(shards, hashes=hashes, progress=progress)
        for shard, record, (stamp, _) in zip(shards, found, indexes, strict=True):
            if record is not None and record.num_bytes != stamp.size:
                raise InputError(
                    f"{shown(shard)} has {stamp.size:,} bytes, dataset.yaml beside it says "
                    f"{record.num_bytes:,}; is it cut off? Copy it again"
                )
        ours = bool(shards) and all(record is not None for record in found)
        samples = find_samples(shards, [members for _, members in indexes], are_ours=ours)
        stamps = [stamp for stamp, _ in indexes]
        return ShardDataset(
            shards,
            stamps,
            samples,
            self.labels or UNKNOWN,
            split,
            images=self.images,
            hashes=hashes,
            cache=cache_from_environment(),
        )


def names_shards(text: str) -> bool:
    """Whether a text is a pattern, path or URL of shards, by its form."""
    return text.startswith("pipe:") or (_TAR.search(text) is not None and not Path(text).is_dir())


def are_shards(data: str) -> bool:
    """Whether `--data` means shards: a pattern, a URL, or a folder of shards without pictures."""
    if names_shards(data) or is_url(data):
        return True
    folder = Path(data)
    if not folder.is_dir():
        return False
    if has_shard_record(folder):
        return True
    has_tars = False
    for path in folder.iterdir():
        if path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES:
            return False
        has_tars = has_tars or path.suffix.lower() == ENDING
    return has_tars


def in_every_folder(text: str) -> str:
    """A pattern, path or URL of shards that means the same in every working folder; other texts as
    they are."""
    return normalized(text) if names_shards(text) or is_url(text) else text


def describe_shards(
    root: str, labels: LabelSpec | None = None, *, splits: Sequence[str] = ()
) -> ShardSource:
    """What is known before a shard is opened: splits by the names, classes by `dataset.yaml`.

    Args:
        root: A folder of shards or a pattern `DIR/train-{000..127}.tar`; a path or a URL.
        labels: A network's classes, for shards beside which nothing is said of classes.
        splits: Those that will be opened. Patterns among them may lie elsewhere; where nothing is
            said of classes there, what is said in `root` counts.

    Raises:
        InputError: There are no shards, or `dataset.yaml` has faults.
    """
    source = _describe(root, labels, Declaration())
    patterns = [split for split in splits if names_shards(split)]
    elsewhere = {split: _describe(split, source.labels, source.declared) for split in patterns}
    return replace(source, elsewhere=elsewhere)


def _describe(root: str, labels: LabelSpec | None, declared: Declaration) -> ShardSource:
    """One place; `labels` and `declared` count where nothing is said of classes there."""
    is_pattern = names_shards(root)
    named = find_shards(root) if is_pattern else []
    if is_pattern and not named:
        raise InputError(f"{root} names no shard")
    folder = parent_of(named[0]) if is_pattern else normalized(root)
    record = read_record(folder)
    splits = _splits(named, record, folder) if is_pattern else _listed(record, folder)
    if not splits:
        raise InputError(
            f"{shown(folder)} holds no shards (*.tar) and no dataset.yaml that lists some; give "
            "their pattern: DIR/train-{000000..000127}.tar"
        )
    notes = _notes(splits, record)
    if len(splits) > 1:
        splits = {split: shards for split, shards in splits.items() if split != UNSPLIT}
    records = {
        beside(folder, shard.name): shard for shards in record.splits.values() for shard in shards
    }
    said, palette = record.declared, record.declared.palette
    told: tuple[str, ...] = ()
    if record.labels is not None or said.gives_meaning:
        labels, declared = record.labels, said
    else:
        labels = replace(labels, palette=palette) if labels and palette else labels
        declared = replace(declared, palette=palette or declared.palette, images=said.images)
        told = _taken_classes(labels)
    return ShardSource(shown(root), splits, records, labels, declared, record.images, notes, told)


def _taken_classes(labels: LabelSpec | None) -> tuple[str, ...]:
    if labels is None:
        return ()
    return (
        f"classes: {labels.num_classes}, those of the network, since no dataset.yaml beside the "
        "shards says what their labels mean",
    )


def _splits(named: Sequence[str], record: FolderRecord, folder: str) -> dict[str, tuple[str, ...]]:
    """By the names of shards; a split that the pattern does not name is the recorded one."""
    of = {shard.name: split for split, shards in record.splits.items() for shard in shards}
    splits: dict[str, tuple[str, ...]] = {}
    for shard in named:
        split = of.get(name_of(shard), split_of(name_of(shard)))
        splits[split] = (*splits.get(split, ()), shard)
    rest = {split: shards for split, shards in record.splits.items() if split not in splits}
    return splits | {
        split: tuple(beside(folder, shard.name) for shard in shards)
        for split, shards in rest.items()
    }


def _listed(record: FolderRecord, folder: str) -> dict[str, tuple[str, ...]]:
    if record.splits:
        return _splits([], record, folder)
    return _splits(tars_in(folder), record, folder)


def split_of(name: str) -> str:
    """`train` for `coco-train-000012.tar`; nothing where no part of the name is a split's."""
    stem = _NUMBER.sub("", name.partition("?")[0].removesuffix(ENDING)).lower()
    parts = re.split(r"[-_.]", stem)
    for split, others in SPLIT_FOLDERS.items():
        if any(part in others for part in parts):
            return split
    return UNSPLIT


def _split_name(split: str) -> str:
    known = [name for name, others in SPLIT_FOLDERS.items() if split.lower() in others]
    return known[0] if known else split


def _notes(splits: Mapping[str, tuple[str, ...]], record: FolderRecord) -> tuple[str, ...]:
    counts = [f"{len(shards)} of {split}" for split, shards in splits.items() if split != UNSPLIT]
    rest = splits.get(UNSPLIT, ())
    notes = [f"shards: {', '.join(counts)}" if counts else f"shards: {len(rest)}"]
    if rest and counts:
        names = ", ".join(first_few([name_of(shard) for shard in rest]))
        notes.append(f"shards: not used, since their names say no split: {names}")
    elif rest:
        notes.append(
            f"split: {100 * VAL_SHARE:.0f} % of the samples are val, by a hash of the name"
        )
    if record.labels is not None:
        notes.append(f"classes: {record.labels.num_classes}, as dataset.yaml says")
    return tuple(notes)


def _held_out(whole: ShardDataset, split: str, origin: str) -> ShardDataset:
    """The part of a split; each sample is decided on its own."""
    ranks = [_rank(name) for name in whole.samples.names]
    chosen = [n for n, rank in enumerate(ranks) if (rank < VAL_SHARE) == (split == "val")]
    if not chosen or len(chosen) == len(ranks):
        raise InputError(
            f"{origin} holds {len(ranks)} samples and names no splits; that is too few to hold "
            f"some out. Or {HOW_TO_NAME}"
        )
    names = tuple(whole.samples.names[n] for n in chosen)
    part = copy(whole)
    part.samples = whole.samples._replace(names=names, places=whole.samples.places[chosen])
    return part


def _rank(name: str) -> float:
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
