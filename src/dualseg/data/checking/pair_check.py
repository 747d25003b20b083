"""An image and its label looked at together: sizes, values, and everything that is wrong."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from dualseg.core.errors import InputError
from dualseg.core.geometry import Size
from dualseg.data.checking.label_hints import unknown_values_fault
from dualseg.data.dataset import FileDataset, Pair, count_values, map_values
from dualseg.data.faults import Fault, PictureError, picture_error
from dualseg.data.labels.label_counts import classes_of
from dualseg.data.loading.cache import CachedDataset
from dualseg.data.pictures.images import DEEP_MODES, PictureFacts
from dualseg.data.shards.reader import ShardDataset

UPRIGHT = 1
QUARTER_TURN = 5  # from this EXIF orientation on, height and width are exchanged
NOTHING: Mapping[int, int] = MappingProxyType({})


class Checked(NamedTuple):
    """A pair without fault.

    Attributes:
        size: (height, width) as displayed.
        kind: Of the image.
        pixels: Class id -> pixels.
        turned_alone: Whether the image is turned by EXIF, and its label is not, while both sizes
            are equal either way.
    """

    size: Size
    kind: str
    pixels: dict[int, int]
    turned_alone: bool = False


class Look(NamedTuple):
    """What was found in a pair.

    Attributes:
        result: Of the check.
        facts: Of an image that can be read.
        label_size, counts: Of a label that can be read beside such an image.
    """

    result: Checked | list[Fault]
    facts: PictureFacts | None
    label_size: Size | None = None
    counts: Mapping[int, int] = NOTHING


def look_at(
    dataset: FileDataset | ShardDataset,
    index: int,
    pair: Pair,
    inspect: Callable[[], PictureFacts],
    cache: CachedDataset | None,
) -> Look:
    """Decodes image and label; `pair` names them in messages."""
    faults: list[Fault] = []
    image = facts = values = None
    try:
        facts = inspect()
        deep = facts.kind in DEEP_MODES or facts.kind.endswith(";16")
        if cache is not None or deep or not dataset.images.is_plain:
            image = dataset.image(index)  # by the rules the data set was opened with
    except InputError as error:
        facts = None
        faults.append(fault_of(error, pair.image, "E110"))
    try:
        values = dataset.raw_values(index)
    except InputError as error:
        faults.append(fault_of(error, pair.label, "E104"))
    if facts is None or values is None or faults:
        return Look(faults, facts)
    size, counts = (values.shape[0], values.shape[1]), count_values(values)
    result: Checked | list[Fault]
    unknown = {
        value: count for value, count in counts.items() if value not in dataset.labels.values
    }
    if size != facts.size:
        result = [_size_fault(pair, facts, size)]
    elif unknown:
        result = [unknown_values_fault(pair.label, unknown, counts, dataset.labels)]
    else:
        if cache is not None and image is not None:
            cache.keep(index, image, map_values(values, dataset.labels, pair.label))
        result = Checked(size, facts.kind, classes_of(counts, dataset.labels))
    return Look(result, facts, size, counts)


def is_turned_alone(size: Size, orientation: int, read_of_label: Callable[[], int]) -> bool:
    """Whether EXIF turns the image and not its label, and their sizes do not tell.

    Args:
        size: (height, width) of both, as displayed.
        orientation: The image's, 1 to 8.
        read_of_label: Gives the label's, which is asked for only where it matters.
    """
    tells = orientation >= QUARTER_TURN and size[0] != size[1]
    if orientation == UPRIGHT or tells:
        return False
    try:
        return read_of_label() == UPRIGHT
    except InputError:  # outlines, not a picture: they follow what the tool showed
        return False


def fault_of(error: InputError, file: Path | str, code: str) -> Fault:
    """What a reader says of a file; only those of pictures know codes."""
    if isinstance(error, PictureError):
        return error.fault
    found = str(error).replace(str(file), "", 1).strip().removeprefix(":").strip()
    return picture_error(
        code, file, found, "correct the file", expected="one class id a pixel"
    ).fault


def _size_fault(pair: Pair, facts: PictureFacts, size: Size) -> Fault:
    height, width = facts.size
    fix = "make them equal"
    if size == (width, height):
        if facts.orientation >= QUARTER_TURN:
            fix = (
                f"transposed: the image has EXIF orientation {facts.orientation}, which its label "
                "lacks; turn the label as the image is shown, or save the image upright"
            )
        else:
            fix = (
                "transposed: turned by 90 degrees, as where a tool has lost the EXIF orientation "
                "of one; turn it back"
            )
    return Fault(
        "E101",
        str(pair.image),
        f"is {height}x{width} (height x width), its label {pair.label} is {size[0]}x{size[1]}",
        "both of one size",
        fix,
    )
