import numpy as np
import pytest

from dualseg.core.errors import InputError
from dualseg.core.labels import LabelSpec
from dualseg.data.loading.sampling import rare_class_weights

LABELS = LabelSpec(("road", "car", "train"), ((0, 0, 0), (9, 9, 9), (5, 5, 5)))


class ThreeImages:
    """Road alone; road and one pixel of car; nothing that is labelled."""

    labels = LABELS
    split = "train"
    label_maps = (
        np.zeros((1, 5), np.uint8),
        np.array([[0, 0, 0, 0, 1]], np.uint8),
        np.full((1, 5), 255, np.uint8),
    )

    def __len__(self):
        return 3

    def label_map(self, index):
        return self.label_maps[index]


def test_each_class_is_equally_likely_at_a_high_temperature():
    # Road: one half, shared by two images. Car: one half for the second. Train has no pixel.
    weights = rare_class_weights(ThreeImages(), temperature=1e6)
    assert weights == pytest.approx([0.25, 0.75, 0.0], abs=1e-5)


def test_rare_classes_win_at_a_low_temperature():
    # Frequencies 0.9 and 0.1: exp(0.1 / 0.5) and exp(0.9 / 0.5).
    road = np.exp(0.2) / (np.exp(0.2) + np.exp(1.8))
    weights = rare_class_weights(ThreeImages(), temperature=0.5)
    assert weights == pytest.approx([road / 2, road / 2 + 1 - road, 0.0])
    assert weights.sum() == pytest.approx(1)


def test_images_that_are_ignored_altogether_cannot_be_drawn_by_class():
    ignored = ThreeImages()
    ignored.label_maps = (ThreeImages.label_maps[2],) * 3
    with pytest.raises(InputError, match=r"no pixel of the 3 images of train has one.*uniform"):
        rare_class_weights(ignored, temperature=0.5)


def test_a_tiny_temperature_does_not_overflow():
    assert rare_class_weights(ThreeImages(), temperature=1e-4).tolist() == [0.0, 1.0, 0.0]
