"""Label maps of arrays, Pillow images and files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dualseg.checkpoints.model_files import save_model
from dualseg.core.errors import InputError
from dualseg.core.facts import ModelFacts, default_labels
from dualseg.inference.label_maps import label_map_of
from dualseg.inference.predictor import Predictor
from dualseg.models.catalog import create_model

CHESS = np.array([[0, 255, 0], [255, 0, 255]], dtype=np.uint8)
IMAGE = CHESS[..., None].repeat(3, axis=2)
EXPECTED = (CHESS > 0).astype(np.uint8)


def test_array_gives_a_label_map_of_its_size(predictor: Predictor) -> None:
    label_map = predictor(IMAGE)
    assert label_map.dtype == np.uint8
    assert np.array_equal(label_map, EXPECTED)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1"])
def test_pillow_images_of_every_mode(predictor: Predictor, mode: str) -> None:
    assert np.array_equal(predictor(Image.fromarray(CHESS).convert(mode)), EXPECTED)


def test_pillow_image_of_16_bits_is_refused_as_a_file_is(predictor: Predictor) -> None:
    image = Image.fromarray(np.array([[0, 40000]], np.uint16))
    with pytest.raises(InputError, match="the image has pixel mode I;16"):
        predictor(image)


def test_orientation_of_a_pillow_image_is_applied(predictor: Predictor) -> None:
    image = Image.fromarray(IMAGE)
    image.getexif()[0x0112] = 6  # a quarter turn clockwise
    assert np.array_equal(predictor(image), np.rot90(EXPECTED, -1))


def test_damaged_pillow_image_is_an_input_error(predictor: Predictor, tmp_path: Path) -> None:
    path = tmp_path / "cut.jpg"
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:-20])
    with Image.open(path) as image, pytest.raises(InputError, match="cannot be read as image"):
        predictor(image)


def test_files_by_path_and_by_text(predictor: Predictor, tmp_path: Path) -> None:
    path = tmp_path / "chess.png"
    Image.fromarray(IMAGE).save(path)
    assert np.array_equal(predictor(path), EXPECTED)
    assert np.array_equal(predictor(str(path)), EXPECTED)


def test_views_and_read_only_arrays(predictor: Predictor) -> None:
    flipped = IMAGE[:, ::-1]
    flipped.flags.writeable = False
    assert np.array_equal(predictor(flipped), EXPECTED[:, ::-1])


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_other_arrays_are_refused(predictor: Predictor, wrong: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"uint8 RGB of shape \(H, W, 3\)"):
        predictor(wrong)


def test_missing_file_is_an_input_error(predictor: Predictor, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file"):
        predictor(tmp_path / "absent.png")


def test_network_is_put_in_evaluation_mode(predictor: Predictor) -> None:
    predictor.model.train()
    assert not Predictor(predictor.model).model.training


def test_nan_logits_are_not_taken_for_class_0() -> None:
    logits = torch.zeros(1, 2, 2, 2)
    logits[0, 1, 1, 1] = float("nan")
    with pytest.raises(FloatingPointError, match="NaN"):
        label_map_of(logits)


def test_id_254_is_predicted() -> None:
    logits = torch.zeros(1, 255, 1, 1)
    logits[0, 254] = 1
    assert label_map_of(logits).tolist() == [[254]]


def test_dsrl_network_from_a_folder_answers_at_full_size(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = create_model("fcn", backbone="resnet18", num_classes=3, dsrl=True)
    facts = ModelFacts(model.architecture, default_labels(3), input_scale=0.5)
    save_model(tmp_path, model, facts)
    label_map = Predictor(tmp_path)(np.zeros((65, 97, 3), np.uint8))
    assert label_map.shape == (65, 97)
    assert label_map.max() < 3
