"""Recipe section `runtime`: the machine."""

import re

from pydantic import Field, field_validator

from dualseg.config.section import Section
from dualseg.core.threads import MAX_THREADS

DEVICE = re.compile(r"auto|cpu|mps|cuda(:(0|[1-9][0-9]?))?")
DEVICES = "auto, cpu, cuda, cuda:N or mps"


class RuntimeSettings(Section):
    """The machine: device, the thread count that CPU bits depend on, and whether only
    deterministic algorithms may be used."""

    device: str = "auto"
    threads: int | None = Field(default=None, ge=1, le=MAX_THREADS)
    deterministic: bool = False

    @field_validator("device")
    @classmethod
    def _device_is_known(cls, device: str) -> str:
        if not DEVICE.fullmatch(device):
            raise ValueError(f"device must be {DEVICES}")
        return device
