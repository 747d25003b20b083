"""Recipe section `data`: images, labels and training crops."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from dualseg.config.section import Section
from dualseg.core.image_spec import FIELDS, IMAGENET_MEAN, IMAGENET_STD, image_faults


class DataSettings(Section):
    """Where images and labels are, and how a training crop is cut.

    Images and labels are first resized by `base_scale`. Sizes are (height, width) after that; the
    network's input is the crop times `input_scale`. With `label_size: input` the label is shrunk
    as much; `label_shrink: majority` takes the most frequent class of what a pixel covers, where
    `nearest` lies half a pixel off at half the size. `channels`, `min_value`, `max_value` and
    `max_pixels` say how images are read and overrule a folder's dataset.yaml; see
    `dualseg.core.image_spec.ImageSpec`. `allow_missing` leaves out a folder's images and masks
    without a partner, as it does in dataset.yaml. `resident` keeps the training images on the
    device and cuts the crops there.
    """

    name: str = "folder"
    root: str | None = None
    train_split: str = "train"
    val_split: str = "val"
    crop_size: tuple[int, int] | None = None
    base_scale: float = Field(default=1.0, gt=0, le=1)
    input_scale: float = Field(default=1.0, gt=0, le=1)
    label_size: Literal["full", "input"] = "full"
    label_shrink: Literal["nearest", "majority"] = "nearest"
    scale_range: tuple[float, float] = (0.5, 2.0)
    flip: bool = True
    photometric: float = Field(default=0.0, ge=0, le=1)
    class_balance: float = Field(default=0.0, ge=0, le=1)
    sampling: Literal["uniform", "rare_classes"] = "uniform"
    sampling_temperature: float = Field(default=0.1, gt=0)
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    channels: int | tuple[int, ...] | None = None
    min_value: float | None = None
    max_value: float | None = None
    max_pixels: int | None = None
    allow_missing: bool = False
    cache: Literal["auto", "ram", "disk", "none"] = "auto"
    cache_dir: str | None = None
    resident: bool = False

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
    def _std_is_positive(cls, std: tuple[float, ...]) -> tuple[float, ...]:
        if not std or min(std) <= 0:
            raise ValueError("std must be above 0 in every channel (values are for pixels in 0..1)")
        return std

    @model_validator(mode="after")
    def _labels_are_shrunk(self) -> "DataSettings":
        if self.label_shrink != "nearest" and self.label_size != "input":
            raise ValueError("label_shrink: majority is for label_size: input; leave one out")
        return self

    @model_validator(mode="after")
    def _sampling_has_a_temperature(self) -> "DataSettings":
        default = type(self).model_fields["sampling_temperature"].default
        if self.sampling == "uniform" and self.sampling_temperature != default:
            raise ValueError(
                f"sampling_temperature {self.sampling_temperature} has no effect with sampling: "
                "uniform; leave it out, or use sampling: rare_classes"
            )
        return self

    @model_validator(mode="after")
    def _images_can_be_read(self) -> "DataSettings":
        faults = image_faults(self.model_dump(include=set(FIELDS)))
        if len(self.mean) != len(self.std):
            faults.append(f"mean has {len(self.mean)} numbers and std {len(self.std)}; one a band")
        if faults:
            raise ValueError("; ".join(faults))
        return self
