"""What can be wrong with a data set, under codes that stay the same from version to version.

E: training refuses. W: allowed, but worth knowing.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from dualseg.core.errors import InputError, first_few

CODES = {
    "E100": "no data set is found there",
    "E101": "image and label differ in size",
    "E102": "a file is missing, a dangling link or not readable",
    "E103": "label values that are no class",
    "E104": "a label file without one class id a pixel",
    "E106": "more than 8 bits a channel, without a declared maximum",
    "E107": "values that are no number",
    "E108": "a number or type of bands that is not supported",
    "E110": "cut off or damaged",
    "E111": "empty, or no single picture of a known format",
    "E112": "far larger when unpacked than it is worth (decompression bomb)",
    "W201": "classes without a pixel",
    "W202": "much is ignored",
    "W203": "the same image in two splits",
    "W204": "the same image twice in a split",
    "W205": "images without a labelled pixel",
    "W206": "images of several kinds, or with a band that is dropped",
    "W207": "images that EXIF turns, and not their labels",
}
ALLOWED = "a JPEG, PNG, WebP, TIFF or BMP picture"


@dataclass(frozen=True)
class Fault:
    """One fault of one file.

    Args:
        code: A key of `CODES`.
        file: What it concerns.
        found: What was found, to be read behind the file's name: `is empty (zero bytes)`.
        expected: What should be there.
        fix: One thing to do.
    """

    code: str
    file: str
    found: str
    expected: str
    fix: str

    def __str__(self) -> str:
        return f"{self.code} {sentence(self)}"

    def to_dict(self) -> dict[str, str]:
        """Plain text that any encoding can print: a byte of a name that is no UTF-8 is escaped."""
        return {key: printable(text) for key, text in asdict(self).items()}


class PictureError(InputError):
    """A file cannot be used as image or label.

    Args:
        fault: What is wrong.
        message: Said in place of the sentence made of it.
    """

    def __init__(self, fault: Fault, message: str | None = None):
        super().__init__(message or sentence(fault))
        self.fault = fault


class DatasetError(InputError):
    """Everything that is wrong with a split or more, of each kind the first five.

    Args:
        headline: Stands above the list.
        faults: All of them, in the order of the data set.
    """

    def __init__(self, headline: str, faults: Iterable[Fault]):
        self.faults = tuple(faults)
        super().__init__(headline, _by_code(self.faults))


def picture_error(
    code: str, file: str | Path, found: str, fix: str, *, expected: str = ALLOWED
) -> PictureError:
    """A `PictureError` of the parts of its fault."""
    return PictureError(Fault(code, str(file), found, expected, fix))


def sentence(fault: Fault) -> str:
    """`a.png is empty (zero bytes); expected a PNG; fetch it again`, on one line."""
    wanted = f"; expected {fault.expected}" if fault.expected else ""
    return printable(f"{fault.file} {fault.found}{wanted}; {fault.fix}".strip().translate(_CONTROL))


def printable(text: str) -> str:
    """With the bytes of file names that are no UTF-8 escaped, so that any stream takes it."""
    return text.encode("utf-8", "backslashreplace").decode()


def _by_code(faults: tuple[Fault, ...]) -> list[str]:
    lines: list[str] = []
    for code, meaning in CODES.items():
        of_code = [str(fault) for fault in faults if fault.code == code]
        lines += first_few(of_code, what=f"{code}: {meaning}")
    return lines


# A file may be named so that a terminal would start a new line, or be made to change its colours.
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | {10: "\\n"}
