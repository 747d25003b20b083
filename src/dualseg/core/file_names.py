"""Where a name's ending says a kind of file, and where a dot is but a part of the name."""

from pathlib import Path

_WEIGHTS = ".safetensors .safetensor .pth .pt .pt2 .ckpt .pkl .pickle .bin .onnx .xml .h5 .npz .npy"
_PAGES = ".html .htm .json .jsonl .yaml .yml .toml .txt .md .csv .svg .pdf"
_PICTURES = ".png .jpg .jpeg .webp .bmp .gif .tif .tiff"
_ARCHIVES = ".tar .gz .tgz .zip .7z"
FILE_ENDINGS = frozenset(" ".join((_WEIGHTS, _PAGES, _PICTURES, _ARCHIVES)).split())
"""Of files that people have where they use this package."""


def file_ending(path: Path) -> str:
    """The ending as it is spelled, if it says a kind of file; else nothing.

    Folders have dots in their names too: of `runs/v1.5`, `lr0.1` and `camvid.baseline` what follows
    the dot is no ending.
    """
    return path.suffix if path.suffix.lower() in FILE_ENDINGS else ""


def with_ending(path: Path, ending: str) -> Path:
    """The name with this ending instead of its own, or behind it where it has none."""
    return path.with_name(path.name.removesuffix(file_ending(path)) + ending)
