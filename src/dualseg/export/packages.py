"""Packages that only some formats need, imported where they are used."""

from importlib import import_module
from typing import Any

from dualseg.core.errors import InputError

EXTRAS = {
    "onnx": "onnx",
    "onnxscript": "onnx",
    "onnxruntime": "onnx",
    "openvino": "openvino",
    "nncf": "openvino",
}
"""Which extra of dualseg brings a package."""


def need(package: str, what_for: str) -> Any:
    """The package.

    Args:
        package: A key of `EXTRAS`.
        what_for: What cannot be done without it; begins the message.

    Raises:
        InputError: It is not installed; the message holds the command that installs it.
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise InputError(
            f"{what_for} needs {package}, which cannot be imported here ({error}); install it with "
            f"pip install 'dualseg[{EXTRAS[package]}]'"
        ) from None


def is_installed(package: str) -> bool:
    """Whether the package can be imported."""
    try:
        import_module(package)
    except ImportError:
        return False
    return True
