"""The copy at half size, counts of single images, and the ceiling of a low label."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from camvid_study import shrunk
from camvid_study.ceiling import at_its_place, write_ceiling
from camvid_study.intervals import iou
from camvid_study.scoring import score
from camvid_study.shrunk import half_image, half_labels, make_shrunk
from dualseg.core.errors import InputError
from dualseg.core.facts import ModelFacts
from dualseg.data.dataset import FileDataset
from dualseg.data.datasets.camvid import CAMVID_LABELS, open_camvid
from dualseg.evaluation.evaluate import evaluate
from dualseg.models.catalog import create_model


def test_an_image_is_the_mean_of_two_by_two_pixels():
    image = np.array([[[0], [4], [10], [10]], [[8], [8], [10], [14]]], np.uint8).repeat(3, axis=2)

    assert half_image(image)[..., 0].tolist() == [[5, 11]]


def test_a_label_is_every_second_row_and_column():
    values = np.array([[0, 1, 2, 3], [4, 5, 6, 7]], np.uint8)

    assert half_labels(values).tolist() == [[5, 7]]


def test_the_copy_is_camvid_with_void(tiny_camvid: Path, tmp_path: Path):
    folder = make_shrunk(tiny_camvid, tmp_path / "half")

    train, before = open_camvid(folder, "train"), open_camvid(tiny_camvid, "train")
    assert len(train) == len(before) == 8
    assert train.image(0).shape == (48, 64, 3)
    assert (train.label_map(0) == before.label_map(0)[1::2, 1::2]).all()
    assert (train.label_map(0)[:, 0] == 255).all()


def test_a_copy_that_is_there_is_left_alone(tiny_camvid: Path, tmp_path: Path):
    folder = make_shrunk(tiny_camvid, tmp_path / "half")
    marked = folder / "train" / "train_000.png"
    cv2.imwrite(str(marked), np.zeros((48, 64, 3), np.uint8))

    make_shrunk(tiny_camvid, folder)

    assert open_camvid(folder, "train").image(0).max() == 0


def test_of_two_copies_made_at_once_the_first_one_stays(
    tiny_camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write, target = shrunk._write_split, tmp_path / "half"

    def overtaken(split: FileDataset, folder: Path) -> None:
        monkeypatch.setattr(shrunk, "_write_split", write)
        make_shrunk(tiny_camvid, target)
        (target / "first").touch()
        write(split, folder)

    monkeypatch.setattr(shrunk, "_write_split", overtaken)

    assert make_shrunk(tiny_camvid, target) == target
    assert (target / "first").is_file()
    assert [path.name for path in tmp_path.iterdir() if "half" in path.name] == ["half"]


def test_a_picture_that_cannot_be_read_leaves_no_copy(tiny_camvid: Path, tmp_path: Path):
    (tiny_camvid / "train" / "train_000.png").write_bytes(b"no picture")

    with pytest.raises(InputError, match=r"train_000\.png"):
        make_shrunk(tiny_camvid, tmp_path / "half")

    assert [path.name for path in tmp_path.iterdir() if "half" in path.name] == []


def test_a_copy_of_another_split_is_refused(tiny_camvid: Path, tmp_path: Path):
    folder = make_shrunk(tiny_camvid, tmp_path / "half")
    lines = (tiny_camvid / "val.txt").read_text().splitlines(keepends=True)
    (tiny_camvid / "val.txt").write_text("".join(lines[:2]))

    with pytest.raises(InputError, match="is a copy of data with other pictures in train or val"):
        make_shrunk(tiny_camvid, folder)


def test_counts_of_single_images_add_up_to_the_scores(tiny_camvid: Path):
    torch.manual_seed(1)
    model = create_model("lraspp", num_classes=11, backbone="mobilenet_v2").eval()
    model.facts = ModelFacts(model.architecture, CAMVID_LABELS, input_scale=0.5)
    dataset = open_camvid(tiny_camvid, "val")

    found = score(model, dataset)

    whole = evaluate(model, dataset, scores=("boundary_iou",))
    assert found["miou"] == whole.scores.miou
    counts = np.array(
        [[image[key] for key in ("right", "truth", "predicted")] for image in found["images"]]
    )
    assert np.nanmean(iou(counts.sum(axis=0))) == pytest.approx(whole.scores.miou)
    rims = np.array([[image["rim_both"], image["rim_either"]] for image in found["images"]])
    expected = whole.extra["boundary_iou"]["mean"]
    assert np.nanmean(iou(rims.sum(axis=0))) == pytest.approx(expected)
    assert [image["name"] for image in found["images"]] == ["val_000", "val_001", "val_002"]
    assert found["input_size"] == [48, 64]


def test_a_perfect_low_answer_loses_thin_things_first(tiny_camvid: Path, tmp_path: Path):
    found = write_ceiling(open_camvid(tiny_camvid, "val"), tmp_path)

    iou_of = found["as sampled"]["iou"]
    assert iou_of["pole"] < 0.9 < iou_of["road"] < 1
    assert iou_of["car"] is None


def test_an_answer_is_put_back_by_half_a_pixel():
    low = torch.tensor([[[[0.0, 8.0], [0.0, 8.0]]]])

    placed = at_its_place(low, (2, 2))

    # Row by row: the first column is its own neighbour, the second the mean of 0 and 8.
    assert placed.tolist() == [[[[0.0, 4.0], [0.0, 4.0]]]]
