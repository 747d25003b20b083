"""Recipe section `training`: length, optimiser, precision, what is kept."""

from typing import Literal

from pydantic import Field

from dualseg.config.section import Section


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
