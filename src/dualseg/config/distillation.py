"""Recipe section `distillation`: learning from a trained network that sees more."""

from typing import Literal

from pydantic import Field, model_validator

from dualseg.config.section import Section


class DistillationSettings(Section):
    """A frozen teacher beside the labels; see `dualseg.training.objectives.distillation`.

    `teacher` is a run folder or a `.safetensors` file. It is fed the crop as it was before the
    shrink (`full`), or what the student is fed (`same`). `weight` belongs to the class
    probabilities, `feature_weight` to the affinity of the last maps before the prediction, compared
    at the crop's size divided by `feature_subsampling`. `teacher_fingerprint` is written when a run
    begins, so that it goes on with the same teacher only.
    """

    teacher: str | None = None
    teacher_fingerprint: str | None = None
    input: Literal["full", "same"] = "full"
    weight: float = Field(default=1.0, ge=0)
    temperature: float = Field(default=1.0, gt=0)
    feature_weight: float = Field(default=0.0, ge=0)
    feature_subsampling: int = Field(default=16, ge=1)

    @model_validator(mode="after")
    def _has_an_effect(self) -> "DistillationSettings":
        if self.teacher is None:
            for name, field in type(self).model_fields.items():
                if getattr(self, name) != field.default:
                    raise ValueError(f"{name} has no effect without a teacher; give its path")
        elif self.weight == 0 and self.feature_weight == 0:
            raise ValueError("weight and feature_weight are both 0; leave the teacher out instead")
        return self
