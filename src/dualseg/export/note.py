"""What an exported file says of itself beside the facts of its network."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from dualseg.checkpoints.model_files import parse_facts
from dualseg.core.errors import InputError
from dualseg.core.facts import ModelFacts
from dualseg.core.geometry import Size
from dualseg.export.sessions import ExportPrecision

FORMAT = "dualseg-export/1"
FACTS_KEY, NOTE_KEY = "dualseg.facts", "dualseg.export"
MAX_TEXT = 10_000_000


@dataclass(frozen=True)
class ExportNote:
    """How a file was made and how its logits are to be read.

    Args:
        precision: In which it computes.
        size: (height, width) of its images where these are fixed.
        final_logits: False: the last bilinear resizing is left to the reader of the logits.
        has_label_map: Whether the graph goes on to a label map.
        parity: What its gate measured.
        smallest: Side of the network's input below which the network pads it, as no graph does; 1
            in files of older versions, which do not say it.
    """

    precision: ExportPrecision
    size: Size | None
    final_logits: bool
    has_label_map: bool
    parity: Mapping[str, Any]
    smallest: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Plain values for the file."""
        return {"format": FORMAT, **asdict(self), "size": list(self.size) if self.size else None}


def packed(facts: ModelFacts, note: ExportNote) -> dict[str, str]:
    """Both as texts, by the keys they have in the file."""
    texts = {FACTS_KEY: facts.to_dict(), NOTE_KEY: note.to_dict()}
    return {key: json.dumps(value, allow_nan=False) for key, value in texts.items()}


def unpacked(texts: Mapping[str, str], origin: Path) -> tuple[ModelFacts, ExportNote]:
    """The inverse of `packed`, checked.

    Raises:
        InputError: A text is missing, or says nothing that this version understands.
    """
    missing = [key for key in (FACTS_KEY, NOTE_KEY) if key not in texts]
    if missing:
        raise InputError(
            f"{origin} says nothing of classes and input ({', '.join(missing)} missing): it was "
            "not written by dualseg export"
        )
    facts = parse_facts(_object(texts[FACTS_KEY], FACTS_KEY, origin), origin=origin)
    return facts, read_note(_object(texts[NOTE_KEY], NOTE_KEY, origin), origin)


def read_note(plain: Mapping[str, Any], origin: Path) -> ExportNote:
    """A note from its plain values, checked.

    Raises:
        InputError: It is of another format, or a key is missing or wrong.
    """
    if plain.get("format") != FORMAT:
        raise InputError(
            f"{origin} was exported as {plain.get('format')!r}; this version of dualseg reads "
            f"{FORMAT!r}; export it again"
        )
    size, precision = plain.get("size"), plain.get("precision")
    flags = [plain.get("final_logits"), plain.get("has_label_map")]
    parity, smallest = plain.get("parity"), plain.get("smallest", 1)
    is_size = size is None or (
        isinstance(size, list) and len(size) == 2 and all(type(n) is int and n > 0 for n in size)
    )
    if (
        precision not in get_args(ExportPrecision)
        or not is_size
        or not all(type(flag) is bool for flag in flags)
        or not isinstance(parity, Mapping)
        or type(smallest) is not int
    ):
        raise InputError(f"{origin}: its {NOTE_KEY} is damaged: {dict(plain)}"[:500])
    return ExportNote(
        precision=precision,  # type: ignore[arg-type]  (checked above)
        size=(size[0], size[1]) if size else None,
        final_logits=bool(flags[0]),
        has_label_map=bool(flags[1]),
        parity=dict(parity),
        smallest=smallest,
    )


def _object(text: str, key: str, origin: Path) -> dict[str, Any]:
    if len(text) > MAX_TEXT:
        raise InputError(f"{origin}: its {key} is larger than {MAX_TEXT:,} characters")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{origin}: its {key} is no JSON: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{origin}: its {key} is no JSON object")
    return content
