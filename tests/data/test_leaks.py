import shutil

import numpy as np
from pictures import SquareDataset, save

from dualseg.core.labels import LabelSpec
from dualseg.data.checking.leaks import shared_images
from dualseg.data.dataset import FileDataset, Pair

LABELS = LabelSpec(("a", "b"), ((0, 0, 0), (9, 9, 9)))


def split_of(folder, split, names, seed):
    random = np.random.default_rng(seed)
    pairs = []
    for name in names:
        (folder / split).mkdir(exist_ok=True)
        image = random.integers(0, 255, (8, 9, 3), np.uint8)
        path = save(folder / split / f"{name}.png", image)
        pairs.append(Pair(name, path, path))
    return FileDataset(tuple(pairs), LABELS, split)


def test_a_copy_under_another_name_is_found(tmp_path):
    train = split_of(tmp_path, "train", ["a", "b"], seed=0)
    val = split_of(tmp_path, "val", ["c", "d"], seed=1)
    assert shared_images(train, val) == []
    shutil.copy(train.pairs[1].image, val.pairs[0].image)
    assert shared_images(train, val) == [(train.pairs[1].image, val.pairs[0].image)]


def test_files_of_one_length_but_other_content_are_no_copies(tmp_path):
    train = split_of(tmp_path, "train", ["a"], seed=0)
    val = split_of(tmp_path, "val", ["a"], seed=1)
    content = bytearray(train.pairs[0].image.read_bytes())
    content[-20] ^= 1
    val.pairs[0].image.write_bytes(content)
    assert shared_images(train, val) == []


def test_drawn_images_are_left_out():
    assert shared_images(SquareDataset(2), SquareDataset(2)) == []


def test_a_file_that_may_not_be_read_is_left_to_the_check(tmp_path, monkeypatch):
    train = split_of(tmp_path, "train", ["a", "b"], seed=0)
    val = split_of(tmp_path, "val", ["c", "d"], seed=1)
    shutil.copy(train.pairs[1].image, val.pairs[0].image)
    shutil.copy(train.pairs[1].image, val.pairs[1].image)

    def refuse(path, mode):
        if path == val.pairs[1].image:
            raise PermissionError(13, "Permission denied", str(path))
        return path.open(mode)

    monkeypatch.setattr("dualseg.data.checking.leaks.open", refuse, raising=False)
    assert shared_images(train, val) == [(train.pairs[1].image, val.pairs[0].image)]
