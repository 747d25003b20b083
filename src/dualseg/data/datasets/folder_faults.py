"""Everything that is wrong with the files of a folder whose masks cannot all be read.

Their classes cannot be inferred then, so no data set is there to check; its files are all the same.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from dualseg.core.errors import InputError
from dualseg.core.image_spec import ImageSpec
from dualseg.core.labels import LabelSpec, voc_palette
from dualseg.data.checking.mask_facts import MaskFacts
from dualseg.data.checking.pair_check import look_at
from dualseg.data.dataset import FileDataset, Pair, RawValues
from dualseg.data.faults import DatasetError, Fault
from dualseg.data.pictures.images import inspect_image
from dualseg.data.scanning import in_order

ANY_LABELS = LabelSpec(("any", "other"), voc_palette(2), {0: 0, 1: 1})

Found = Mapping[Path, MaskFacts | InputError]


class UnreadableMasksError(InputError):
    """Masks cannot be read.

    Args:
        found: What each mask holds, or why it cannot be read.
    """

    def __init__(self, found: Found):
        faults = [error for error in found.values() if isinstance(error, InputError)]
        super().__init__(f"{len(faults)} masks cannot be read:", map(str, faults))
        self.found = found


def faults_of_files(
    root: Path, splits: Mapping[str, Sequence[Pair]], found: Found, images: ImageSpec
) -> DatasetError:
    """The faults of masks, of images, and of their sizes; masks are not decoded again.

    Args:
        root: The folder.
        splits: Its pairs.
        found: What each mask holds, or why it cannot be read.
        images: How the images are read.
    """

    def read(pair: Pair) -> RawValues:
        mask = found[pair.label]
        if isinstance(mask, InputError):
            raise mask
        return np.zeros(mask.size, np.uint8)

    pairs = tuple(chain.from_iterable(splits.values()))
    dataset = FileDataset(pairs, ANY_LABELS, "all", read_values=read, images=images)

    def look(index: int) -> list[Fault]:
        pair = pairs[index]
        inspect = partial(inspect_image, pair.image, images)
        result = look_at(dataset, index, pair, inspect, None).result
        return result if isinstance(result, list) else []

    faults = list(chain.from_iterable(in_order(look, len(pairs))))
    return DatasetError(f"{root} has faults:", faults)
