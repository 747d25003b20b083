"""CamVid with one of its training drives in the place of val.

Val is 101 frames of one short stretch of a drive whose other frames are more than half of train:
it says little about other streets. A choice that holds when each training drive is held out in turn
is not made on val at all.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from camvid_study.hosts import HOSTS
from dualseg.core.errors import InputError, nearest
from dualseg.core.files import make_folder, new_folder
from dualseg.data.dataset import Pair
from dualseg.data.datasets.camvid import open_camvid

FOLD_FILE = "fold.txt"
"""In the folder of a fold; says which drive is held out."""


def make_fold(root: Path, drive: str, target: Path) -> Path:
    """Writes a folder in CamVid's layout that holds lists and links, no picture.

    Args:
        root: CamVid.
        drive: What stands before the underscore in the names of a drive's frames.
        target: The new folder; its val split is the drive, its train split the other ones.

    Raises:
        InputError: There is no such drive, it is the only one, `target` is there already, or the
            folder it lies in cannot be made.
    """
    pairs = open_camvid(root, "train").pairs
    drives = sorted({drive_of(pair) for pair in pairs})
    if drive not in drives:
        raise InputError(f"there is no drive {drive!r} in train; {nearest(drive, drives)}")
    if len(drives) == 1:
        raise InputError(f"{drive} is the only drive in train; nothing is left to train on")
    make_folder(target.parent)
    with new_folder(target) as folder:
        for split in ("train", "val"):
            os.symlink(root.resolve() / "train", folder / split)
            os.symlink(root.resolve() / "trainannot", folder / f"{split}annot")
            own = [pair for pair in pairs if (drive_of(pair) == drive) == (split == "val")]
            (folder / f"{split}.txt").write_text(_listed(own))
        (folder / FOLD_FILE).write_text(f"val is the drive {drive} of CamVid's train\n")
    return target


def is_fold(root: Path) -> bool:
    """Whether `make_fold` has written it."""
    return (root / FOLD_FILE).is_file()


def fold_hosts(hosts: Sequence[str]) -> list[str]:
    """Those of the hosts whose weights have not been trained on the drive that is held out."""
    return [host for host in hosts if host not in HOSTS or not HOSTS[host].knows_train]


def drive_of(pair: Pair) -> str:
    """`0006R0_f00930` -> `0006R0`"""
    return pair.name.partition("_")[0]


def _listed(pairs: Sequence[Pair]) -> str:
    return "".join(f"{pair.image.name} {pair.label.name}\n" for pair in pairs)
