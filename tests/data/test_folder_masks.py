"""Masks that are no plain picture of ids: told apart by what they hold, or refused with the fix."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import gray, save
from PIL import Image

from dualseg.core.errors import InputError
from dualseg.core.labels import LabelSpec
from dualseg.data.dataset import FileDataset, Pair
from dualseg.data.datasets.dataset_yaml import read_declaration
from dualseg.data.datasets.folder_masks import describe_masks
from dualseg.data.datasets.voc import VOC_LABELS

HEIGHT, WIDTH = 48, 64
RED, GREEN = (200, 0, 0), (0, 200, 0)


def _halves(*values: object) -> NDArray[np.uint8]:
    """A picture of upright stripes, one a value."""
    stripe = np.asarray(values, np.uint8)
    return np.repeat(stripe[None], HEIGHT, axis=0).repeat(WIDTH // len(stripe), axis=1)


def _jpeg(path: Path, pixels: NDArray[np.uint8], quality: int = 50) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=quality)
    return path


def _described(root: Path, *masks: Path) -> tuple[FileDataset, tuple[str, ...]]:
    labels, notes, read = describe_masks(masks, read_declaration(root))
    pairs = tuple(Pair(path.stem, path, path) for path in masks)
    return FileDataset(pairs, labels, "train", read_values=read), notes


def test_gray_levels_in_three_channels_are_ids(tmp_path: Path) -> None:
    mask = save(tmp_path / "a.png", np.repeat([[[0], [1], [2], [255]]], 3, axis=2))
    dataset, notes = _described(tmp_path, mask)
    assert dataset.labels.num_classes == 3
    assert dataset.label_map(0).tolist() == [[0, 1, 2, 255]]
    assert "label values: 0 to 2" in notes


def test_black_and_white_in_three_channels_are_background_and_foreground(tmp_path: Path) -> None:
    mask = save(tmp_path / "a.png", [[[0] * 3, [255] * 3]])
    dataset, _ = _described(tmp_path, mask)
    assert dataset.labels.class_names == ("background", "foreground")
    assert dataset.label_map(0).tolist() == [[0, 1]]


def test_gray_pictures_of_one_and_of_three_channels_are_read_alike(tmp_path: Path) -> None:
    one = save(tmp_path / "a.png", [[0, 1]])
    three = save(tmp_path / "b.png", [[[1] * 3, [0] * 3]])
    dataset, _ = _described(tmp_path, one, three)
    assert [dataset.label_map(i).tolist() for i in (0, 1)] == [[[0, 1]], [[1, 0]]]


def test_a_black_mask_among_coloured_ones_is_black(tmp_path: Path) -> None:
    colored = save(tmp_path / "a.png", [[[0, 0, 0], RED]])
    black = save(tmp_path / "b.png", [[[0, 0, 0], [0, 0, 0]]])
    dataset, _ = _described(tmp_path, colored, black)
    assert dataset.label_map(1).tolist() == [[0, 0]]


def test_a_constant_alpha_over_gray_is_left_out_with_a_note(tmp_path: Path) -> None:
    mask = save(tmp_path / "a.png", [[[0, 0, 0, 255], [1, 1, 1, 255]]])
    dataset, notes = _described(tmp_path, mask)
    assert dataset.label_map(0).tolist() == [[0, 1]]
    assert notes[-1] == "alpha: the same in every pixel of a mask, so it is left out"


def test_an_alpha_that_tells_something_is_refused_over_gray_too(tmp_path: Path) -> None:
    mask = save(tmp_path / "a.png", [[[0, 0, 0, 0], [1, 1, 1, 255]]])
    with pytest.raises(InputError, match=r"a\.png has an alpha channel from 0 to 255"):
        _described(tmp_path, mask)


def test_coloured_masks_among_plain_ones_are_named(tmp_path: Path) -> None:
    plain = save(tmp_path / "a.png", [[0, 1]])
    colored = save(tmp_path / "b.png", [[[0, 0, 0], RED]])
    with pytest.raises(InputError) as caught:
        _described(tmp_path, plain, colored)
    assert "b.png is a colour picture, but others hold one class id" in caught.value.problems[0]


def test_a_smeared_black_and_white_jpeg_is_refused_with_counts_and_the_fix(tmp_path: Path) -> None:
    mask = _jpeg(tmp_path / "a.jpg", cv2.GaussianBlur(_halves(0, 255), (0, 0), 1))
    with pytest.raises(InputError) as caught:
        _described(tmp_path, mask)
    message = str(caught.value)
    assert f"1 masks are JPEG ({mask} for example), which smears every edge" in message
    assert "of 3072 pixels are near 0 or 255, the most frequent are" in message
    assert "write into dataset.yaml: values: {0: 0, 255: 1} and snap: true" in message


def test_a_jpeg_under_the_name_of_a_png_is_refused_and_not_taken_for_ids(tmp_path: Path) -> None:
    mask = _jpeg(tmp_path / "a.jpg", _halves(0, 1, 2, 3)).rename(tmp_path / "a.png")
    with pytest.raises(InputError) as caught:
        _described(tmp_path, mask)
    assert f"1 masks are JPEG ({mask} for example)" in str(caught.value)
    assert "snap" not in str(caught.value), "nobody can tell ids apart that are so near"


def test_a_png_under_the_name_of_a_jpeg_holds_exact_ids(tmp_path: Path) -> None:
    mask = save(tmp_path / "a.png", [[0, 1, 2]]).rename(tmp_path / "a.jpg")
    dataset, _ = _described(tmp_path, mask)
    assert dataset.label_map(0).tolist() == [[0, 1, 2]]


@pytest.mark.parametrize("exif", [b"", Image.Exif().tobytes()], ids=["plain", "with other chunks"])
def test_webp_is_refused_where_it_is_lossy_alone(tmp_path: Path, exif: bytes) -> None:
    picture = Image.fromarray(_halves((0,) * 3, (1,) * 3, (2,) * 3, (9,) * 3))
    picture.save(tmp_path / "a.webp", lossless=True, exif=exif)
    dataset, _ = _described(tmp_path, save(tmp_path / "b.png", [[*range(10)]]), tmp_path / "a.webp")
    assert np.unique(dataset.label_map(1)).tolist() == [0, 1, 2, 9]
    picture.save(tmp_path / "a.webp", quality=75, exif=exif)
    with pytest.raises(InputError, match=r"1 masks are lossy WebP .*Save them as PNG"):
        _described(tmp_path, tmp_path / "a.webp")


def test_smeared_black_and_white_is_read_where_that_was_declared(tmp_path: Path) -> None:
    mask = _jpeg(tmp_path / "a.jpg", cv2.GaussianBlur(_halves(0, 255), (0, 0), 1))
    (tmp_path / "dataset.yaml").write_text("values: {0: 0, 255: 1}\nsnap: true\n")
    dataset, notes = _described(tmp_path, mask)
    assert (dataset.label_map(0) == _halves(0, 1)).all()
    assert any("% of all pixels are taken for the nearest one" in note for note in notes)


def test_snap_alone_means_0_and_255(tmp_path: Path) -> None:
    mask = _jpeg(tmp_path / "a.jpg", _halves(0, 255))
    (tmp_path / "dataset.yaml").write_text("snap: true\n")
    dataset, _ = _described(tmp_path, mask)
    assert dataset.labels.class_names == ("background", "foreground")
    assert (dataset.label_map(0) == _halves(0, 1)).all()
    other = _jpeg(tmp_path / "b.jpg", _halves(0, 120))
    with pytest.raises(InputError, match=r"says snap but not which values are meant.*120"):
        _described(tmp_path, other)


def test_what_lies_between_three_values_is_ignored_and_not_the_middle_one(tmp_path: Path) -> None:
    mask = save(tmp_path / "a.png", np.array([[0] * 9, [100] * 9, [200] * 8 + [150]], np.uint8))
    (tmp_path / "dataset.yaml").write_text("values: {0: 0, 100: 1, 200: 2}\nsnap: true\n")
    dataset, _ = _described(tmp_path, mask)
    assert dataset.label_map(0)[2].tolist() == [2] * 8 + [255]


def test_too_many_pixels_far_from_all_values_are_refused(tmp_path: Path) -> None:
    mask = save(tmp_path / "a.png", _halves(0, 50, 100, 200))
    (tmp_path / "dataset.yaml").write_text("values: {0: 0, 100: 1, 200: 2}\nsnap: true\n")
    with pytest.raises(InputError, match=r"25 % of all pixels are near to none of the values 0, 1"):
        _described(tmp_path, mask)


def test_a_jpeg_of_exact_values_is_no_fault(tmp_path: Path) -> None:
    mask = _jpeg(tmp_path / "a.jpg", np.full((16, 16), 255, np.uint8), quality=95)
    other = save(tmp_path / "b.png", [[0, 255]])
    dataset, _ = _described(tmp_path, mask, other)
    assert dataset.label_map(0).min() == 1


def test_smeared_colours_of_a_known_palette_are_refused_and_then_read(tmp_path: Path) -> None:
    colors = [VOC_LABELS.palette[i] for i in (0, 1, 8, 15)]
    mask = _jpeg(tmp_path / "a.jpg", _halves(*colors), quality=90)
    with pytest.raises(InputError) as caught:
        _described(tmp_path, mask)
    assert "1 coloured masks are JPEG" in str(caught.value)
    assert "snap: true into dataset.yaml if the colours are PASCAL VOC's (9" in str(caught.value)
    (tmp_path / "dataset.yaml").write_text("snap: true\n")
    dataset, notes = _described(tmp_path, mask)
    assert dataset.labels.class_names == VOC_LABELS.class_names
    found = dataset.label_map(0)
    assert ((found == _halves(0, 1, 8, 15)) | (found == 255)).all()
    assert 0 < (found == 255).mean() < 0.1  # between two colours
    assert any("PASCAL VOC's palette; 9" in note for note in notes)


def test_smeared_colours_that_were_declared_are_read(tmp_path: Path) -> None:
    mask = _jpeg(tmp_path / "a.jpg", _halves((0, 0, 0), RED), quality=90)
    declared = "colors: [{color: [0, 0, 0], class: ground}, {color: [200, 0, 0], class: car}]\n"
    (tmp_path / "dataset.yaml").write_text(declared)
    with pytest.raises(InputError, match=r"or write snap: true into dataset.yaml \("):
        _described(tmp_path, mask)
    (tmp_path / "dataset.yaml").write_text(declared + "snap: true\n")
    dataset, _ = _described(tmp_path, mask)
    assert (dataset.label_map(0) == _halves(0, 1)).all()


def test_colours_far_from_all_declared_ones_are_refused(tmp_path: Path) -> None:
    mask = save(tmp_path / "a.png", _halves((0, 0, 0), RED, GREEN))
    (tmp_path / "dataset.yaml").write_text(
        "colors: [{color: [0, 0, 0], class: ground}, {color: [200, 0, 0], class: car}]\n"
        "snap: true\n"
    )
    with pytest.raises(InputError, match=r"66\.7 % of the pixels are near one of the 2 colours"):
        _described(tmp_path, mask)


def test_a_photograph_among_the_masks_is_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)
    with pytest.raises(InputError, match=r"a\.png: more than 256 colours in the masks"):
        _described(tmp_path, save(tmp_path / "a.png", noise))


def test_the_networks_classes_hold_for_gray_levels_too(tmp_path: Path) -> None:
    mask = save(tmp_path / "a.png", [[[0] * 3, [1] * 3]])
    labels = LabelSpec(("a", "b", "c"), ((0, 0, 0), (1, 1, 1), (2, 2, 2)))
    found, _, read = describe_masks([mask], read_declaration(tmp_path), labels)
    assert found is labels
    assert read(Pair("a", mask, mask)).tolist() == [[0, 1]]


def test_progress_is_told_for_every_mask(tmp_path: Path) -> None:
    masks = [save(tmp_path / f"{name}.png", [[0, 1]]) for name in "abc"]
    told: list[tuple[int, int]] = []
    describe_masks(
        masks, read_declaration(tmp_path), progress=lambda done, total: told.append((done, total))
    )
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_every_gray_mask_is_a_picture_of_its_size(tmp_path: Path) -> None:
    mask = save(tmp_path / "a.png", gray(2, 3, 1))
    zero = save(tmp_path / "b.png", gray(2, 3, 0))
    dataset, _ = _described(tmp_path, mask, zero)
    assert dataset.label_map(0).shape == (2, 3)
