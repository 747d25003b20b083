import numpy as np
import pytest

from dualseg.core.errors import InputError
from dualseg.data.datasets import streets
from dualseg.data.datasets.streets import STREETS_LABELS, Streets


def test_a_scene_depends_on_split_and_index_alone():
    first = Streets("train").image(3).copy()
    streets._scene.cache_clear()
    assert np.array_equal(Streets("train").image(3), first)
    assert not np.array_equal(Streets("train").image(4), first)
    assert not np.array_equal(Streets("val").image(3), first)


def test_labels_are_classes_or_ignored_and_every_class_occurs():
    scenes = Streets("val")
    maps = np.stack([scenes.label_map(i) for i in range(12)])
    counts = np.bincount(maps.ravel(), minlength=256)
    assert maps.shape == (12, 192, 256)
    assert set(np.flatnonzero(counts)) == {*range(STREETS_LABELS.num_classes), 255}


def test_classes_are_very_unequal():
    scenes = Streets("train")
    counts = np.bincount(np.stack([scenes.label_map(i) for i in range(12)]).ravel(), minlength=256)
    names = STREETS_LABELS.class_names
    assert counts[names.index("road")] > 20 * counts[names.index("sign")] > 0


def test_half_the_resolution_loses_thin_things():
    scenes = Streets("val")
    for name, most_kept in (("wire", 0.75), ("railing", 0.75), ("pole", 0.85), ("sky", 1.0)):
        class_id = STREETS_LABELS.class_names.index(name)
        kept = total = 0
        for index in range(8):
            truth = scenes.label_map(index) == class_id
            half = truth[::2, ::2].repeat(2, axis=0).repeat(2, axis=1)
            kept += int((truth & half).sum())
            total += int((truth | half).sum())
        assert kept / total < most_kept
        assert name != "sky" or kept / total > 0.9


def test_an_unknown_split_is_refused():
    with pytest.raises(InputError, match="streets has no split 'test'"):
        Streets("test")
