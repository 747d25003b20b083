"""A recipe: what to train, on what, how. Typed and frozen; every fault is reported at once.

A recipe is YAML with the sections below. `load_recipe` reads a file or a packaged recipe,
applies `--set` overrides and checks the whole.
"""

from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from dualseg.core.errors import InputError, nearest

MAX_RECIPE_BYTES = 1_000_000


class Section(BaseModel):
    """A frozen group of settings that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ModelSettings(Section):
    """The network: arguments of `dualseg.create_model`, which explains them. `backbone` and
    `output_stride` are the paper's where not given. `num_classes` is missing on purpose: the data
    knows it.
    """

    name: str = "deeplabv3plus"
    backbone: str | None = None
    output_stride: Literal[8, 16, 32] | None = None
    stem: Literal["b", "c", "d", "e", "s"] | None = None
    first_block: Literal["contract", "full", "group", "undilated"] = "contract"
    multi_grid: tuple[int, ...] | None = None
    backbone_options: dict[str, Any] | None = None
    atrous_rates: tuple[int, ...] | None = None
    head_variant: str | None = None
    head_options: dict[str, Any] | None = None
    oc: Literal["base", "pyramid", "asp"] | None = None
    neck: str | None = None
    align_corners: bool = False
    pretrained: bool | str = False
    auxiliary: bool | Literal["all"] = False
    auxiliary_channels: int | None = Field(default=None, ge=1)
    auxiliary_activation: Literal["relu", "leaky_relu", "none"] = "relu"
    auxiliary_weight: float = Field(default=0.4, ge=0)


DSRL_PRESETS: dict[str, dict[str, Any]] = {
    "ours": {},
    # The authors' ESPNetv2 release: two transposed convolutions on the class scores.
    "official": {"sssr": "official"},
    # Dootmaan's port: nothing learned in SSSR, outputs compared, no normalisation, SISR and FTM
    # missing from its optimiser.
    "dootmaan": {
        "sssr": "dootmaan",
        "sisr": "residual",
        "affinity_features": "after_prediction",
        "affinity_normalization": "none",
        "affinity_reduction": "batch_sum",
        "affinity_subsampling": 16,
        "image_weight": 0.5,
        "affinity_weight": 0.5,
        "frozen": ("sisr_decoder", "ftm"),
    },
    # sanje2v's port: both sides to one channel, columns compared after a spectral norm, every entry
    # of one matrix with every entry of the other.
    "sanje2v": {
        "sssr": "sanje2v",
        "sisr": "single",
        "affinity_features": "after_prediction",
        "affinity_normalization": "spectral",
        "affinity_pairing": "all",
        "affinity_subsampling": 64,
        "ftm": "both",
    },
}


class DsrlSettings(Section):
    """Dual super-resolution learning; see `dualseg.models.dsrl`.

    Weights and the L1 distance are the paper's. `stage` 1 trains SSSR, 2 adds SISR, 3 adds feature
    affinity. `preset` fills every key that is not given with the choice of a public port, so that
    its claims can be tested; `ours` follows the paper.
    """

    enabled: bool = False
    stage: Literal[1, 2, 3] = 3
    preset: Literal["ours", "official", "dootmaan", "sanje2v"] = "ours"
    image_weight: float = Field(default=0.1, ge=0)
    affinity_weight: float = Field(default=1.0, ge=0)
    warmup_steps: int = Field(default=0, ge=0)
    sssr: Literal[
        "deconvolution", "pixel_shuffle", "bilinear", "official", "dootmaan", "sanje2v"
    ] = "deconvolution"
    sisr: Literal["espcn", "residual", "single"] = "espcn"
    affinity_features: Literal["before_prediction", "after_prediction"] = "before_prediction"
    affinity_normalization: Literal["l2", "none", "spectral"] = "l2"
    affinity_distance: Literal["l1", "l2"] = "l1"
    affinity_pairing: Literal["like", "all"] = "like"
    affinity_reduction: Literal["mean", "batch_sum"] = "mean"
    affinity_subsampling: int = Field(default=8, ge=1)
    ftm: Literal["seg", "both"] = "seg"
    image_target: Literal["normalized", "unit"] = "normalized"
    frozen: tuple[Literal["sisr_decoder", "ftm"], ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        return {**DSRL_PRESETS.get(str(given.get("preset", "ours")), {}), **given}

    @property
    def architecture(self) -> dict[str, Any]:
        """The keys that decide which modules there are, as `create_model(dsrl=...)` takes them."""
        names = (
            "stage",
            "sssr",
            "sisr",
            "affinity_features",
            "affinity_subsampling",
            "ftm",
            "frozen",
        )
        return {name: getattr(self, name) for name in names}


class DataSettings(Section):
    """Where images and labels are, and how a training crop is cut.

    Sizes are (height, width) of the image and label at full resolution; the network's input is the
    crop times `input_scale`.
    """

    name: str = "folder"
    root: str | None = None
    train_split: str = "train"
    val_split: str = "val"
    crop_size: tuple[int, int] | None = None
    input_scale: float = Field(default=1.0, gt=0, le=1)
    label_size: Literal["full", "input"] = "full"
    scale_range: tuple[float, float] = (0.5, 2.0)
    flip: bool = True
    photometric: float = Field(default=0.0, ge=0, le=1)
    class_balance: float = Field(default=0.0, ge=0, le=1)
    sampling: Literal["uniform", "rare_classes"] = "uniform"
    sampling_temperature: float = Field(default=0.1, gt=0)
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    cache: Literal["auto", "ram", "disk", "none"] = "auto"
    cache_dir: str | None = None

    @field_validator("crop_size")
    @classmethod
    def _crop_is_positive(cls, size: tuple[int, int] | None) -> tuple[int, int] | None:
        if size and min(size) < 8:
            raise ValueError(f"crop_size {size[0]}x{size[1]} is too small; use at least 8x8")
        return size

    @field_validator("scale_range")
    @classmethod
    def _range_is_ordered(cls, scales: tuple[float, float]) -> tuple[float, float]:
        if not 0 < scales[0] <= scales[1]:
            raise ValueError("scale_range must be [low, high] with 0 < low <= high")
        return scales

    @field_validator("std")
    @classmethod
    def _std_is_positive(cls, std: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(std) <= 0:
            raise ValueError("std must be above 0 in every channel (values are for pixels in 0..1)")
        return std


class TrainingSettings(Section):
    """How long, how fast, in which precision, and what is kept. One of the two lengths is given."""

    max_steps: int | None = Field(default=None, ge=1)
    max_epochs: int | None = Field(default=None, ge=1)
    batch_size: int = Field(default=8, ge=1)
    accumulate_steps: int = Field(default=1, ge=1)
    optimizer: Literal["sgd", "adamw"] = "sgd"
    lr: float = Field(default=0.01, gt=0)
    head_lr_multiplier: float = Field(default=1.0, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    nesterov: bool = False
    weight_decay: float = Field(default=5e-4, ge=0)
    schedule: Literal["poly", "constant"] = "poly"
    poly_power: float = Field(default=0.9, gt=0)
    warmup_steps: int = Field(default=0, ge=0)
    warmup_factor: float = Field(default=0.01, gt=0, le=1)
    clip_grad_norm: float | None = Field(default=None, gt=0)
    ema_decay: float | None = Field(default=None, gt=0, lt=1)
    precision: Literal["fp32", "bf16"] = "fp32"
    channels_last: bool = True
    eval_every: int | None = Field(default=None, ge=1)
    checkpoint_every: int | None = Field(default=None, ge=1)
    keep_checkpoints: int = Field(default=2, ge=2)
    log_every: int = Field(default=10, ge=1)
    num_workers: int = Field(default=0, ge=0)
    init_weights: str | None = None


class RuntimeSettings(Section):
    """The machine: device, and the thread count that CPU bits depend on."""

    device: str = "auto"
    threads: int | None = Field(default=None, ge=1)

    @field_validator("device")
    @classmethod
    def _device_is_known(cls, device: str) -> str:
        kind, _, index = device.partition(":")
        if kind not in ("auto", "cpu", "cuda", "mps") or (index and not index.isdigit()):
            raise ValueError("device must be auto, cpu, cuda, cuda:N or mps")
        return device


class Recipe(Section):
    """A whole recipe. See the sections for their keys."""

    seed: int = Field(default=0, ge=0, lt=2**31)
    model: ModelSettings = ModelSettings()
    dsrl: DsrlSettings = DsrlSettings()
    data: DataSettings = DataSettings()
    training: TrainingSettings = TrainingSettings()
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
        return self

    def to_yaml(self) -> str:
        """The resolved recipe, every key written out."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)


def load_recipe(
    source: str | Path | None,
    *,
    overrides: Iterable[str] = (),
    defaults: Mapping[str, Any] | None = None,
) -> Recipe:
    """Reads, completes and checks a recipe.

    Args:
        source: A YAML file, the name of a packaged recipe, or None for the defaults.
        overrides: `dotted.key=value` texts; the value is YAML. They win over the file.
        defaults: Nested values that the file and the overrides win over. Without any length it is
            50 epochs.

    Raises:
        InputError: The file is missing or is no plain YAML, or the recipe has faults; all are
            listed.
    """
    settings = _lay({"training": {"max_epochs": 50}}, dict(defaults or {}))
    settings = _lay(settings, read_yaml(_find(source)) if source else {})
    for override in overrides:
        settings = _lay(settings, parse_override(override))
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
    """Names of the packaged recipes."""
    folder = resources.files("dualseg.recipes")
    return sorted(item.name[:-5] for item in folder.iterdir() if item.name.endswith(".yaml"))


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


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file as a mapping. Safe loader only; aliases and files above 1 MB are refused.

    Raises:
        InputError: The file is missing, too large, no YAML, or no mapping.
    """
    try:
        if path.stat().st_size > MAX_RECIPE_BYTES:
            raise InputError(f"{path} is larger than {MAX_RECIPE_BYTES} bytes; this is no recipe")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"cannot read {path}: {getattr(error, 'strerror', None) or error}"
        ) from None
    content = parse_yaml(text, origin=str(path))
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise InputError(
            f"{path} holds {type(content).__name__}; expected a mapping of keys to values"
        )
    return content


class _PlainLoader(yaml.SafeLoader):
    """The safe loader without aliases (they can blow up in size) and without doubled keys."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[union-attr]
            raise yaml.YAMLError(
                f"line {mark.line + 1}: aliases are not allowed; write the value out"
            )
        return super().compose_node(parent, index)  # type: ignore[arg-type]

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        doubled = sorted({str(key) for key in keys if keys.count(key) > 1})
        if doubled:
            line = node.start_mark.line + 1
            raise yaml.YAMLError(f"line {line}: {', '.join(doubled)} stands twice; keep one")
        return super().construct_mapping(node, deep=deep)


def parse_yaml(text: str, *, origin: str) -> Any:
    """Plain YAML values. `1e-3` is read as a number, as people mean it.

    Raises:
        InputError: The text is no YAML, or it holds an alias, a tag or a key that stands twice.
    """
    try:
        return yaml.load(text, Loader=_PlainLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{origin} is not plain YAML: {reason}") from None


def _find(source: str | Path) -> Path:
    path = Path(source)
    if path.suffix in (".yaml", ".yml") or path.exists():
        if not path.is_file():
            raise InputError(
                f"there is no recipe file {path}; packaged recipes: {', '.join(list_recipes())}"
            )
        return path
    if str(source) in list_recipes():
        return Path(str(resources.files("dualseg.recipes") / f"{source}.yaml"))
    raise InputError(f"there is no recipe {source!r}; {nearest(str(source), list_recipes())}")


def _lay(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`_merge`, where a length in steps replaces one in epochs, and the other way round."""
    lengths = ("max_steps", "max_epochs")
    training, given = base.get("training"), over.get("training")
    if (
        isinstance(training, Mapping)
        and isinstance(given, Mapping)
        and any(k in given for k in lengths)
    ):
        base = {**base, "training": {k: v for k, v in training.items() if k not in lengths}}
    return _merge(base, over)


def _merge(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid on `base`, section by section; neither is changed."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(dict(below), value) if both else value  # type: ignore[arg-type]
    return merged


def _explain(fault: Any) -> str:
    """One pydantic fault as one line: key, what came, what is allowed."""
    location = [str(part) for part in fault["loc"]]
    key = ".".join(location)
    if fault["type"] == "extra_forbidden":
        return f"{key}: unknown key; {nearest(location[-1], _known_keys(location[:-1]))}"
    message = str(fault["msg"]).removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    return f"{key}: {message} (got {fault['input']!r})" if key else message


def _known_keys(section: list[str]) -> list[str]:
    model: Any = Recipe
    for part in section:
        model = model.model_fields[part].annotation
    return list(model.model_fields)
