"""Recipe section `training`: length, optimiser, schedule, precision, what is frozen and kept."""

from typing import Any, Literal

from pydantic import Field, model_validator

from dualseg.config.section import Section

OptimizerName = Literal["sgd", "adam", "adamw", "lamb"]
ScheduleName = Literal["poly", "constant", "step", "multi_step", "cosine", "one_cycle"]
Precision = Literal["fp32", "bf16", "fp16"]
FrozenBatchNorm = Literal["none", "statistics", "all"]

BELONGS_TO: dict[str, tuple[ScheduleName, ...]] = {
    "poly_power": ("poly",),
    "lr_step_every": ("step",),
    "lr_milestones": ("multi_step",),
    "lr_step_factor": ("step", "multi_step"),
    "final_lr_factor": ("poly", "cosine", "one_cycle"),
    "one_cycle_rise": ("one_cycle",),
    "one_cycle_start_factor": ("one_cycle",),
}
"""The schedules that look at a key; with any other it has to keep its default."""


class TrainingSettings(Section):
    """How long, how fast, in which precision, and what is kept. One of the two lengths is given.

    `batch_size` is over all processes. `lr_multipliers` and `freeze` name parts of the network by
    their beginnings, such as `backbone.layer1`; the longest that fits counts. `final_lr_factor` is
    where `poly`, `cosine` and `one_cycle` end.
    """

    max_steps: int | None = Field(default=None, ge=1)
    max_epochs: int | None = Field(default=None, ge=1)
    batch_size: int = Field(default=8, ge=1)
    accumulate_steps: int = Field(default=1, ge=1)
    optimizer: OptimizerName = "sgd"
    lr: float = Field(default=0.01, gt=0)
    head_lr_multiplier: float = Field(default=1.0, gt=0)
    lr_multipliers: dict[str, float] = Field(default_factory=dict)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    nesterov: bool = False
    weight_decay: float = Field(default=5e-4, ge=0)
    schedule: ScheduleName = "poly"
    poly_power: float = Field(default=0.9, gt=0)
    lr_step_every: int | None = Field(default=None, ge=1)
    lr_milestones: tuple[int, ...] = ()
    lr_step_factor: float = Field(default=0.1, gt=0, lt=1)
    final_lr_factor: float = Field(default=0.0, ge=0, lt=1)
    one_cycle_rise: float = Field(default=0.3, gt=0, lt=1)
    one_cycle_start_factor: float = Field(default=0.04, gt=0, le=1)
    warmup_steps: int = Field(default=0, ge=0)
    warmup_factor: float = Field(default=0.01, gt=0, le=1)
    clip_grad_norm: float | None = Field(default=None, gt=0)
    clip_grad_value: float | None = Field(default=None, gt=0)
    on_nan: Literal["stop", "skip"] = "stop"
    max_skipped_steps: int = Field(default=10, ge=1)
    ema_decay: float | None = Field(default=None, gt=0, lt=1)
    freeze: tuple[str, ...] = ()
    freeze_batchnorm: FrozenBatchNorm = "none"
    sync_batchnorm: Literal["auto"] | bool = "auto"
    precision: Precision = "fp32"
    channels_last: bool = True
    checkpoint_activations: bool = False
    compile: bool = False
    patience: int | None = Field(default=None, ge=1)
    min_delta: float = Field(default=0.0, ge=0, lt=1)
    eval_every: int | None = Field(default=None, ge=1)
    checkpoint_every: int | None = Field(default=None, ge=1)
    keep_checkpoints: int = Field(default=2, ge=2)
    log_every: int = Field(default=10, ge=1)
    num_workers: int = Field(default=0, ge=0)
    init_weights: str | None = None

    @model_validator(mode="after")
    def _keys_agree(self) -> "TrainingSettings":
        if self.clip_grad_norm is not None and self.clip_grad_value is not None:
            raise ValueError("give clip_grad_norm or clip_grad_value, not both")
        if self.schedule == "step" and self.lr_step_every is None:
            raise ValueError("schedule: step needs lr_step_every, the steps between two falls")
        if self.schedule == "multi_step" and not self.lr_milestones:
            raise ValueError("schedule: multi_step needs lr_milestones, for example [600, 800]")
        if list(self.lr_milestones) != sorted({step for step in self.lr_milestones if step > 0}):
            raise ValueError(f"lr_milestones {list(self.lr_milestones)} must grow, from 1 on")
        if self.schedule == "one_cycle" and self.warmup_steps:
            raise ValueError("one_cycle rises by itself (one_cycle_rise); use warmup_steps: 0")
        for key, schedules in BELONGS_TO.items():
            value, default = getattr(self, key), type(self).model_fields[key].default
            if value != default and self.schedule not in schedules:
                raise ValueError(
                    f"{key} {_plain(value)} has no effect with schedule: {self.schedule}; leave it "
                    f"out ({key}={_plain(default)}), or use schedule: {' or '.join(schedules)}"
                )
        if self.nesterov and self.optimizer != "sgd":
            raise ValueError(
                f"nesterov has no effect with optimizer: {self.optimizer}; use sgd, or "
                "nesterov: false"
            )
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0, for example momentum: 0.9")
        slow = [name for name, factor in self.lr_multipliers.items() if not factor > 0]
        if slow:
            raise ValueError(
                f"lr_multipliers of {', '.join(slow)} must be above 0; "
                "a part that should not learn belongs into freeze"
            )
        return self


def _plain(value: Any) -> Any:
    """As YAML has it."""
    if value is None:
        return "null"
    return list(value) if isinstance(value, tuple) else value
