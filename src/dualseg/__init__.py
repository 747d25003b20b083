"""dualseg: semantic segmentation that sees at low resolution and answers at high resolution."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from dualseg.checkpoints.model_files import load_model
    from dualseg.evaluation.evaluate import evaluate
    from dualseg.inference.predictor import Predictor
    from dualseg.models.catalog import create_model, list_backbones, list_models

__all__ = [
    "Predictor",
    "create_model",
    "evaluate",
    "list_backbones",
    "list_models",
    "load_model",
]

_HOMES = {
    "Predictor": "dualseg.inference.predictor",
    "create_model": "dualseg.models.catalog",
    "evaluate": "dualseg.evaluation.evaluate",
    "list_backbones": "dualseg.models.catalog",
    "list_models": "dualseg.models.catalog",
    "load_model": "dualseg.checkpoints.model_files",
}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used: `import dualseg` and `--help` load no torch."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'dualseg' has no attribute {name!r}")
