"""A recipe: what to train, on what, how. Typed and frozen; every fault is reported at once.

A recipe is YAML; each section has its file here. `load_recipe` reads a file or a packaged recipe,
applies `--set` overrides and checks the whole.
"""

from dualseg.config.data import DataSettings
from dualseg.config.distillation import DistillationSettings
from dualseg.config.dsrl import DSRL_PRESETS, DsrlSettings
from dualseg.config.loss import LossSettings
from dualseg.config.model import ModelSettings
from dualseg.config.recipe import (
    Recipe,
    check_recipe,
    list_recipes,
    load_recipe,
    parse_override,
)
from dualseg.config.runtime import RuntimeSettings
from dualseg.config.tracking import TrackingSettings
from dualseg.config.training import TrainingSettings
from dualseg.config.yaml_files import dump_yaml, parse_yaml, read_yaml

__all__ = [
    "DSRL_PRESETS",
    "DataSettings",
    "DistillationSettings",
    "DsrlSettings",
    "LossSettings",
    "ModelSettings",
    "Recipe",
    "RuntimeSettings",
    "TrackingSettings",
    "TrainingSettings",
    "check_recipe",
    "dump_yaml",
    "list_recipes",
    "load_recipe",
    "parse_override",
    "parse_yaml",
    "read_yaml",
]
