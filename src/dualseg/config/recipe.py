"""A whole recipe: read, completed by overrides, checked; every fault is reported at once."""

from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from dualseg.config.data import DataSettings
from dualseg.config.distillation import DistillationSettings
from dualseg.config.dsrl import DsrlSettings, make_room_for_preset
from dualseg.config.loss import LossSettings
from dualseg.config.model import ModelSettings
from dualseg.config.runtime import RuntimeSettings
from dualseg.config.section import Section
from dualseg.config.tracking import TrackingSettings
from dualseg.config.training import TrainingSettings
from dualseg.config.yaml_files import dump_yaml, parse_yaml, read_yaml
from dualseg.core.errors import InputError, nearest

LENGTHS = ("max_steps", "max_epochs")
LONGEST_SHOWN = 80
"""Characters of a wrong value in a message."""


class Recipe(Section):
    """A whole recipe. See the sections for their keys."""

    seed: int = Field(default=0, ge=0, lt=2**31)
    model: ModelSettings = ModelSettings()
    dsrl: DsrlSettings = DsrlSettings()
    loss: LossSettings = LossSettings()
    distillation: DistillationSettings = DistillationSettings()
    data: DataSettings = DataSettings()
    training: TrainingSettings = TrainingSettings()
    tracking: TrackingSettings = TrackingSettings()
    runtime: RuntimeSettings = RuntimeSettings()

    @model_validator(mode="after")
    def _sections_agree(self) -> "Recipe":
        if (self.training.max_steps is None) == (self.training.max_epochs is None):
            raise ValueError("training: give exactly one of max_steps and max_epochs")
        if self.dsrl.enabled and self.data.input_scale != 0.5:
            raise ValueError(
                f"data.input_scale is {self.data.input_scale}; a DSRL network answers at twice "
                "its input, so use input_scale: 0.5"
            )
        if self.dsrl.enabled and self.data.label_size != "full":
            raise ValueError("data.label_size: input is for networks without DSRL; use full")
        if self.distillation.teacher is not None and self.data.base_scale != 1:
            raise ValueError(
                f"data.base_scale is {self.data.base_scale}; a teacher sees the crop before the "
                "shrink, which is the image itself only with base_scale: 1"
            )
        return self

    def to_yaml(self) -> str:
        """The resolved recipe, every key written out."""
        return dump_yaml(self.model_dump(mode="json"))


def load_recipe(
    source: str | Path | None,
    *,
    overrides: Iterable[str] = (),
    defaults: Mapping[str, Any] | None = None,
) -> Recipe:
    """Reads, completes and checks a recipe.

    A recipe may name another one under `base`, by a packaged name or by a path from its own folder:
    it begins with the other's keys and lays its own on top. Sections are laid key by key; a key's
    value replaces the one below, also where both are mappings, such as `loss.terms`. Another
    `dsrl.preset` also replaces what below it is only the preset's, written out or not.

    Args:
        source: A YAML file, the name of a packaged recipe, or None for the defaults.
        overrides: `dotted.key=value` texts; the value is YAML. They win over the file. A key may
            lead into a mapping: `loss.terms.lovasz=0.5` leaves the other terms, the file's or,
            where it names none, the default.
        defaults: Nested values that the file and the overrides win over. Without any length it is
            50 epochs.

    Raises:
        InputError: The file is missing or is no plain YAML, or the recipe has faults; all are
            listed. Or the overrides give both lengths.
    """
    settings = _lay({"training": {"max_epochs": 50}}, dict(defaults or {}))
    settings = _lay(settings, _read_with_bases(_find(source)) if source else {})
    lengths: set[str] = set()
    changes = [(parse_override(text), text.partition("=")[0].count(".")) for text in overrides]
    for given, _ in changes:  # before any is laid: their own values stay, whatever their order
        settings = _make_room(settings, given)
    for given, dots in changes:
        lengths |= _lengths(given)
        settings = _lay(settings, given, dots=dots)
    if len(lengths) > 1:
        raise InputError("--set: give exactly one of max_steps and max_epochs of training")
    return check_recipe(settings, origin=str(source) if source else "the recipe")


def check_recipe(settings: Mapping[str, Any], *, origin: str) -> Recipe:
    """Turns nested plain values into a `Recipe`, or raises one InputError with every fault."""
    try:
        return Recipe.model_validate(settings)
    except ValidationError as error:
        problems = [_explain(fault) for fault in error.errors()]
        count = f"{len(problems)} fault{'s' * (len(problems) > 1)}"
        raise InputError(f"{origin} has {count}:", problems) from None


def list_recipes() -> list[str]:
    """Names of the packaged recipes; what begins with `_` is only a base of others."""
    folder = resources.files("dualseg.recipes")
    names = [item.name[:-5] for item in folder.iterdir() if item.name.endswith(".yaml")]
    return sorted(name for name in names if not name.startswith("_"))


def packaged_recipe(name: str) -> Path:
    """The file of a packaged recipe.

    Raises:
        InputError: There is none of that name.
    """
    if name not in list_recipes():
        raise InputError(f"there is no recipe {name!r}; {nearest(name, list_recipes())}")
    return _packaged(name)


def parse_override(text: str) -> dict[str, Any]:
    """`a.b=value` -> {"a": {"b": value}}; the value is read as YAML, so `false` is False.

    Raises:
        InputError: There is no `=`, or the value is no YAML.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise InputError(f"--set {text!r} is not key=value; for example --set training.lr=0.01")
    nested: Any = parse_yaml(value, origin=f"--set {key}")
    for part in reversed(key.strip().split(".")):
        nested = {part: nested}
    return nested


def _read_with_bases(path: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The keys of a recipe laid on those of its base, and so on."""
    if path.resolve() in above:
        raise InputError(f"{path} is its own base, by way of {above[-1].name}; break the circle")
    content = read_yaml(path)
    base = content.pop("base", None)
    if base is None:
        return content
    if not isinstance(base, str):
        raise InputError(f"{path}: base is {base!r}; give a packaged recipe's name or a path")
    packaged = _packaged(base)
    below = packaged if packaged.is_file() else _find(path.parent / base)
    base_content = _read_with_bases(below, (*above, path.resolve()))
    return _lay(_make_room(base_content, content), content)


def _packaged(name: str) -> Path:
    return Path(str(resources.files("dualseg.recipes") / f"{name}.yaml"))


def _find(source: str | Path) -> Path:
    """A packaged name wins over a file or folder of that name, as it does under `base`."""
    path, name = Path(source), str(source)
    if name in list_recipes():
        return _packaged(name)
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1 or path.is_file():
        if not path.is_file():
            raise InputError(
                f"there is no recipe file {path}; packaged recipes: {', '.join(list_recipes())}"
            )
        return path
    return packaged_recipe(name)


def _lay(base: dict[str, Any], over: dict[str, Any], *, dots: int = 0) -> dict[str, Any]:
    """`_merge`, where a length in steps replaces one in epochs, and the other way round."""
    training, given = base.get("training"), over.get("training")
    if (
        isinstance(training, Mapping)
        and isinstance(given, Mapping)
        and any(k in given for k in LENGTHS)
    ):
        base = {**base, "training": {k: v for k, v in training.items() if k not in LENGTHS}}
    return _merge(base, over, Recipe, dots)


def _make_room(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` without the values of a preset that `over` exchanges for another."""
    below, given = base.get("dsrl"), over.get("dsrl")
    if isinstance(below, Mapping) and isinstance(given, Mapping):
        return {**base, "dsrl": make_room_for_preset(below, given)}
    return base


def _lengths(settings: Mapping[str, Any]) -> set[str]:
    """Those of the two lengths that have a value."""
    training = settings.get("training")
    given = training if isinstance(training, Mapping) else {}
    return {key for key in LENGTHS if given.get(key) is not None}


def _merge(
    base: Mapping[str, Any], over: Mapping[str, Any], section: type[Section] | None, dots: int
) -> dict[str, Any]:
    """`over` laid on `base`, section by section; neither is changed.

    Other mappings are values: they replace the one below, but where a key's dots lead into them.
    They lead into the default where the key is not given.
    """
    merged = dict(base)
    for key, value in over.items():
        inner = _section(section, key)
        below = merged.get(key, _default(section, key) if dots else None)
        if (inner or dots) and isinstance(below, Mapping) and isinstance(value, Mapping):
            value = _merge(below, value, inner, max(0, dots - 1))
        merged[key] = value
    return merged


def _section(parent: type[Section] | None, key: str) -> type[Section] | None:
    """The section that stands under a key; None where a value does."""
    field = parent.model_fields.get(key) if parent else None
    kind = field.annotation if field else None
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def _default(section: type[Section] | None, key: str) -> Any:
    """Of a value; a section's own keys have theirs."""
    field = section.model_fields.get(key) if section else None
    if field is None or field.is_required():
        return None
    default = field.get_default(call_default_factory=True)
    return {} if isinstance(default, Section) else default


def _explain(fault: Any) -> str:
    """One pydantic fault as one line: key, what came, what is allowed."""
    location = [str(part) for part in fault["loc"]]
    key = ".".join(location)
    if fault["type"] == "extra_forbidden":
        return f"{key}: unknown key; {nearest(location[-1], _known_keys(location[:-1]))}"
    message = str(fault["msg"]).removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    return f"{key}: {message} (got {_shown(fault['input'])})" if key else message


def _shown(value: Any) -> str:
    """What came; of what is long, its kind and size, or its start.

    A fault of keys that do not agree comes with their whole section.
    """
    text = repr(value)
    if len(text) <= LONGEST_SHOWN:
        return text
    if isinstance(value, Mapping):
        return f"a mapping of {len(value)} keys"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)} entries"
    return f"{text[:LONGEST_SHOWN]}..."


def _known_keys(section: list[str]) -> list[str]:
    model: Any = Recipe
    for part in section:
        model = model.model_fields[part].annotation
    return list(model.model_fields)
