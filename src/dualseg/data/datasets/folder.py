"""A folder of images and labels: pairs, split and classes are inferred, and shown as notes.

The folder is only read. A `dataset.yaml` in it overrules what would be inferred.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from dualseg.core.errors import InputError, nearest
from dualseg.core.image_spec import ImageSpec
from dualseg.core.labels import LabelSpec
from dualseg.data.dataset import PLAIN, FileDataset, Pair, RawValues, read_label_file
from dualseg.data.datasets.camvid import CAMVID_LABELS, camvid_pairs, has_camvid_layout
from dualseg.data.datasets.dataset_yaml import DECLARATION_FILE, Declaration, read_declaration
from dualseg.data.datasets.folder_coco import describe_coco
from dualseg.data.datasets.folder_cvat import describe_cvat
from dualseg.data.datasets.folder_drawn import Drawn
from dualseg.data.datasets.folder_faults import UnreadableMasksError, faults_of_files
from dualseg.data.datasets.folder_labelme import describe_labelme
from dualseg.data.datasets.folder_masks import describe_masks
from dualseg.data.datasets.folder_pairs import find_pairs, split_of
from dualseg.data.datasets.folder_places import holds_masks
from dualseg.data.datasets.folder_yolo import describe_yolo

DRAWN = {
    "LabelMe": describe_labelme,
    "COCO JSON": describe_coco,
    "CVAT XML": describe_cvat,
    "YOLO polygons": describe_yolo,
}
NOT_OPENED = ("split: ", "not read: ")
"""How notes begin that say why images, such as those for testing, are in no split."""


@dataclass(frozen=True)
class FolderDescription:
    """Everything known about a folder, found once for all its splits.

    Args:
        root: The folder.
        splits: Pairs of files by split.
        labels: Classes, the same in every split.
        notes: What was inferred, one line each.
        read_values: Reads the label of a pair.
        images: How the images are read.
    """

    root: Path
    splits: Mapping[str, tuple[Pair, ...]]
    labels: LabelSpec
    notes: tuple[str, ...]
    read_values: Callable[[Pair], RawValues] = read_label_file
    images: ImageSpec = PLAIN

    def open(self, split: str) -> FileDataset:
        """One split.

        Args:
            split: train, val or test, or another name of one of them, as validation.

        Raises:
            InputError: There is no such split.
        """
        name = split if split in self.splits else split_of(split) or split
        if name not in self.splits:
            left_out = [n for n in self.notes if n.startswith(NOT_OPENED) and name in n]
            raise InputError(
                f"{self.root} has no split {split!r}; "
                + "; ".join([nearest(split, self.splits), *left_out])
            )
        return FileDataset(
            self.splits[name],
            self.labels,
            name,
            read_values=self.read_values,
            images=self.images,
        )


def describe_folder(
    root: Path,
    labels: LabelSpec | None = None,
    *,
    max_pixels: int | None = None,
    allow_missing: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> FolderDescription:
    """Pairs images with labels, and infers classes from all of them.

    Where there are masks, they are read; else LabelMe's, COCO's, CVAT's and YOLO's files are looked
    for. A folder in CamVid's layout has CamVid's classes, unless its dataset.yaml gives others.

    Args:
        root: Holds images/ and masks/ (or another usual name of them), flat or with train/ and val/
            in them, or train/ and val/ with images/ and masks/ in each.
        labels: A network's classes. Label values mean what they mean there, unless a dataset.yaml
            says what they mean or the masks hold values that stand in no such label; so a folder in
            which the last class does not occur has the network's classes all the same.
        max_pixels: Overrules the one of dataset.yaml: larger images and masks are refused.
        allow_missing: Leave out images and masks without a partner, with a note, also where
            dataset.yaml does not say so.
        progress: Called with (done, total) while masks are read.

    Raises:
        InputError: Folders or files are missing, dataset.yaml has faults, the label values cannot
            be class ids, or there are labels in two formats.
    """
    declaration = read_declaration(root)
    images = declaration.images.changed({"max_pixels": max_pixels})
    allow_missing = allow_missing or declaration.allow_missing
    declaration = replace(declaration, images=images, allow_missing=allow_missing)
    if declaration.gives_meaning:
        labels = None
    if has_camvid_layout(root):
        pairs, left_out = camvid_pairs(root, allow_missing=declaration.allow_missing)
        layout = f"layout: {root} has CamVid's (train.txt, trainannot/)"
        if declaration == Declaration(allow_missing=declaration.allow_missing, images=images):
            notes = (f"{layout}, so it is read as camvid", *left_out)
            return FolderDescription(root, pairs, CAMVID_LABELS, notes, images=images)
        pair_notes = [f"{layout}; its classes are as {DECLARATION_FILE} says", *left_out]
    else:
        drawn = None if holds_masks(root) else _drawn(root, declaration, labels)
        if drawn is not None:
            return FolderDescription(root, *drawn, images)
        pairs, pair_notes = find_pairs(root, allow_missing=declaration.allow_missing)
    masks = [pair.label for split in pairs.values() for pair in split]
    try:
        found, notes, read = describe_masks(masks, declaration, labels, progress=progress)
    except UnreadableMasksError as error:
        raise faults_of_files(root, pairs, error.found, images) from None
    return FolderDescription(root, pairs, found, (*pair_notes, *notes), read, images)


def _drawn(root: Path, declaration: Declaration, labels: LabelSpec | None) -> Drawn | None:
    found = {kind: describe(root, declaration, labels) for kind, describe in DRAWN.items()}
    there = {kind: drawn for kind, drawn in found.items() if drawn is not None}
    if len(there) > 1:
        raise InputError(
            f"{root} holds labels in {len(there)} formats: {', '.join(there)}; keep one of them"
        )
    return next(iter(there.values()), None)
