"""Recipe section `runtime`: the machine."""

from pydantic import Field, field_validator

from dualseg.config.section import Section


class RuntimeSettings(Section):
    """The machine: device, the thread count that CPU bits depend on, and whether only
    deterministic algorithms may be used."""

    device: str = "auto"
    threads: int | None = Field(default=None, ge=1)
    deterministic: bool = False

    @field_validator("device")
    @classmethod
    def _device_is_known(cls, device: str) -> str:
        kind, _, index = device.partition(":")
        if kind not in ("auto", "cpu", "cuda", "mps") or (index and not index.isdigit()):
            raise ValueError("device must be auto, cpu, cuda, cuda:N or mps")
        return device
