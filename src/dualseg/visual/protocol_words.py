"""A protocol in words, for beside the number: in a terminal and on a page alike."""

from collections.abc import Mapping, Sequence
from typing import Any


def describe_protocol(protocol: Mapping[str, Any]) -> str:
    """What must be known to compare a score with another, in one line.

    Args:
        protocol: As `Protocol.to_dict` gives it, or as a file holds it; settings that are not in
            use may be missing, and are then left out.
    """
    words = [str(protocol.get("name")), *_resolution(protocol), *_window(protocol)]
    if "input_scale" in protocol:
        words.append(f"network input scaled by {_plain(protocol['input_scale'])}")
    words += _scales(protocol)
    if protocol.get("flip"):
        words.append("mirror image averaged")
    if "output_stride" in protocol:
        words.append(f"output stride {protocol['output_stride']}")
    if isinstance(crf := protocol.get("crf"), Mapping):
        words.append("CRF " + " ".join(f"{name}={_plain(value)}" for name, value in crf.items()))
    if "precision" in protocol:
        words.append(str(protocol["precision"]))
    return ", ".join(words)


def _resolution(protocol: Mapping[str, Any]) -> list[str]:
    resolution = str(protocol.get("resolution"))
    if "crop_size" in protocol:
        return [resolution, f"comparable {protocol.get('comparable', 'with nothing else')}"]
    return [f"{resolution} resolution"]


def _window(protocol: Mapping[str, Any]) -> list[str]:
    if "window" not in protocol:
        return []
    window, stride = (_joined(protocol.get(key), "x") for key in ("window", "stride"))
    return [f"window {window}, stride {stride}, averaged {protocol.get('average')}"]


def _scales(protocol: Mapping[str, Any]) -> list[str]:
    scales = protocol.get("scales", [1.0])
    if scales == [1.0] and "fusion" not in protocol:
        return []
    fused = f", fused by {protocol['fusion']}" if "fusion" in protocol else ""
    return [f"scales {_joined(scales, ' ')}{fused}"]


def _joined(values: Any, between: str) -> str:
    if isinstance(values, Sequence) and not isinstance(values, str):
        return between.join(map(_plain, values))
    return str(values)


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
