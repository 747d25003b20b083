"""A folder of images and masks: pairs, split and classes are inferred, and shown as notes.

The folder is only read. A `dataset.yaml` in it overrules what would be inferred.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dualseg.core.errors import InputError, nearest
from dualseg.core.labels import LabelSpec
from dualseg.data.dataset import FileDataset, Pair, RawValues, read_label_file
from dualseg.data.datasets.dataset_yaml import DECLARATION_FILE, read_declaration
from dualseg.data.datasets.folder_colors import are_colored, describe_colors
from dualseg.data.datasets.folder_labelme import describe_labelme, find_labelme_pairs
from dualseg.data.datasets.folder_labels import describe_labels
from dualseg.data.datasets.folder_pairs import SPLIT_FOLDERS, find_pairs, hold_out


@dataclass(frozen=True)
class FolderDescription:
    """Everything known about a folder, found once for all its splits.

    Args:
        root: The folder.
        splits: Pairs of files by split.
        labels: Classes, the same in every split.
        notes: What was inferred, one line each.
        read_values: Reads the label of a pair.
    """

    root: Path
    splits: Mapping[str, tuple[Pair, ...]]
    labels: LabelSpec
    notes: tuple[str, ...]
    read_values: Callable[[Pair], RawValues] = read_label_file

    def open(self, split: str) -> FileDataset:
        """One split.

        Args:
            split: train, val or test, or another name of one of them, as validation.

        Raises:
            InputError: There is no such split.
        """
        known = [name for name, others in SPLIT_FOLDERS.items() if split.lower() in others]
        name = known[0] if known else split
        if name not in self.splits:
            raise InputError(f"{self.root} has no split {split!r}; {nearest(split, self.splits)}")
        return FileDataset(self.splits[name], self.labels, name, read_values=self.read_values)


def describe_folder(root: Path, labels: LabelSpec | None = None) -> FolderDescription:
    """Pairs images with masks, and infers classes from all masks.

    Args:
        root: Holds images/ and masks/ (or another usual name of them), flat or with train/ and val/
            in them, or train/ and val/ with images/ and masks/ in each.
        labels: A network's classes. Label values mean what they mean there, unless a dataset.yaml
            says otherwise or the masks hold values that stand in no such label; so a folder in
            which the last class does not occur has the network's classes all the same.

    Raises:
        InputError: Folders or files are missing, dataset.yaml has faults, or the label values
            cannot be class ids.
    """
    declaration = read_declaration(root)
    drawn = find_labelme_pairs(root)
    if drawn:
        found, notes, draw = describe_labelme(drawn, declaration.class_names)
        train, val = hold_out(drawn, root)
        split = f"images: {len(train)} train, {len(val)} val, held out by a hash of the name"
        splits = {"train": train, "val": val}
        return FolderDescription(root, splits, found, (split, *notes), draw)
    pairs, pair_notes = find_pairs(root)
    masks = [pair.label for split in pairs.values() for pair in split]
    if are_colored(masks):
        found, color_notes, reader = describe_colors(masks, declaration)
        return FolderDescription(root, pairs, found, (*pair_notes, *color_notes), reader)
    if declaration.colors is not None:
        raise InputError(
            f"{root / DECLARATION_FILE} has colors, but not all masks are colour pictures; "
            "say what their label values mean, under values"
        )
    if (root / DECLARATION_FILE).is_file():
        labels = None
    found, label_notes = describe_labels(masks, declaration, labels)
    return FolderDescription(root, pairs, found, (*pair_notes, *label_notes))
