"""A data set as the protocol `crop` sees it."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dualseg.core.geometry import Size
from dualseg.core.image_spec import Pixels
from dualseg.core.labels import LabelSpec
from dualseg.data.dataset import SegmentationDataset
from dualseg.inference.center_crop import crop_center_image, crop_center_label_map


class CenterCropped:
    """The middle of every image and label map, resized so that the crop is just covered.

    Args:
        whole: The data set.
        size: (height, width) of the crop.
    """

    def __init__(self, whole: SegmentationDataset, size: Size):
        self.labels: LabelSpec = whole.labels
        self.split = whole.split
        self.whole = whole
        self.size = size

    def __len__(self) -> int:
        return len(self.whole)

    def name(self, index: int) -> str:
        return self.whole.name(index)

    def image(self, index: int) -> Pixels:
        return crop_center_image(self.whole.image(index), self.size)

    def label_map(self, index: int) -> NDArray[np.uint8]:
        return crop_center_label_map(self.whole.label_map(index), self.size)

    def image_path(self, index: int) -> Path | None:
        return self.whole.image_path(index)

    def label_path(self, index: int) -> Path | None:
        return self.whole.label_path(index)
