"""From image files to label PNGs and overlays."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dualseg.core.errors import InputError
from dualseg.inference.files import predict_files
from dualseg.inference.predictor import Predictor

LEFT_DARK = np.zeros((4, 6, 3), dtype=np.uint8)
LEFT_DARK[:, 3:] = 255


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    Image.fromarray(LEFT_DARK).save(folder / "a.png")
    Image.fromarray(LEFT_DARK[::2]).save(folder / "b.bmp")
    return folder


def test_label_file_holds_class_ids_and_the_palette(
    predictor: Predictor, images: Path, tmp_path: Path
) -> None:
    predict_files(predictor, [images], tmp_path / "out" / "deep")
    with Image.open(tmp_path / "out" / "deep" / "a_labels.png") as picture:
        assert picture.mode == "P"
        assert np.array_equal(np.asarray(picture), LEFT_DARK[..., 0] // 255)
        assert (picture.getpalette() or [])[:6] == [10, 20, 30, 200, 100, 50]


def test_overlay_has_the_size_and_the_colours(
    predictor: Predictor, images: Path, tmp_path: Path
) -> None:
    results = predict_files(predictor, [images], tmp_path / "out")
    assert [result.overlay.name for result in results] == ["a_overlay.png", "b_overlay.png"]
    overlay = np.asarray(Image.open(results[0].overlay))
    assert overlay.shape == (4, 6, 3)
    # Black under 55 % of (10, 20, 30).
    assert overlay[0, 0].tolist() == pytest.approx([5.5, 11, 16.5], abs=1)


def test_nothing_else_is_left_in_the_folder(
    predictor: Predictor, images: Path, tmp_path: Path
) -> None:
    predict_files(predictor, [images], tmp_path / "out")
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["a_labels.png", "a_overlay.png", "b_labels.png", "b_overlay.png"]


def test_bad_image_does_not_stop_the_others_and_is_reported(
    predictor: Predictor, images: Path, tmp_path: Path
) -> None:
    (images / "a1.png").write_bytes((images / "a.png").read_bytes()[:50])
    (images / "a2.jpg").write_text("<html>")
    seen: list[tuple[int, int]] = []
    with pytest.raises(InputError, match="2 of 4 images could not be predicted") as caught:
        predict_files(
            predictor, [images], tmp_path / "out", progress=lambda *args: seen.append(args)
        )
    first, second = caught.value.problems
    assert "a1.png" in first
    assert "a2.jpg" in second
    assert seen == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    assert len(list((tmp_path / "out").iterdir())) == 4


def test_wrong_inputs_write_nothing(predictor: Predictor, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file or folder"):
        predict_files(predictor, [tmp_path / "absent"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_output_folder_that_is_a_file(predictor: Predictor, images: Path) -> None:
    with pytest.raises(InputError, match="cannot make the folder"):
        predict_files(predictor, [images], images / "a.png")
