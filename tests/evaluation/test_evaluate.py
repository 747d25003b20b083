"""The score of a data set, worked out by hand."""

import json

import numpy as np
import pytest
import torch
from evaluation_fakes import LABELS, Threshold, TinyDataset

from dualseg.core.errors import InputError
from dualseg.core.labels import LabelSpec
from dualseg.evaluation.evaluate import evaluate
from dualseg.models.catalog import create_model

FIRST = np.array([[0, 0], [1, 255]])
SECOND = np.array([[1, 1, 1]])


def two_images() -> TinyDataset:
    # First: 0 0 1 against 0 1 1; second, of another size: 1 1 1 against 1 1 0.
    return TinyDataset([FIRST, SECOND], [np.array([[0, 1], [1, 1]]), np.array([[1, 1, 0]])])


def test_one_matrix_over_images_of_different_sizes() -> None:
    evaluation = evaluate(Threshold(), two_images())
    assert evaluation.confusion.tolist() == [[1, 1], [1, 3]]
    # Class 0: 1 of 3; class 1: 3 of 5. Not the mean of the images' scores.
    assert evaluation.scores.miou == pytest.approx((1 / 3 + 3 / 5) / 2)
    assert evaluation.num_ignored == 1
    assert evaluation.scores.ignored_share == pytest.approx(1 / 7)


def test_score_of_each_image_counts_its_own_classes_only() -> None:
    first, second = evaluate(Threshold(), two_images()).per_image
    assert (first.name, first.miou) == ("image_0", pytest.approx((1 / 2 + 1 / 2) / 2))
    assert (second.name, second.miou) == ("image_1", pytest.approx(2 / 3))


def test_mean_over_images_is_another_number_under_its_own_name() -> None:
    plain = evaluate(Threshold(), two_images()).to_dict()
    assert plain["miou_per_image"] == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_images_without_labels_do_not_count_in_the_mean_over_images() -> None:
    ignored, drawn = np.full((2, 2), 255), np.zeros((2, 2))
    evaluation = evaluate(Threshold(), TinyDataset([SECOND, ignored], [SECOND, drawn]))
    assert evaluation.per_image[1].miou is None
    assert evaluation.miou_per_image == 1.0


def test_json_object_is_the_promised_one() -> None:
    plain = evaluate(Threshold(input_scale=0.5, factor=2), two_images()).to_dict()
    assert list(plain) == [
        "miou",
        "pixel_accuracy",
        "class_accuracy",
        "fwiou",
        "iou_per_class",
        "num_images",
        "ignored_share",
        "protocol",
        "miou_per_image",
        "classes_without_pixels",
    ]
    assert list(plain["iou_per_class"]) == ["dark", "bright"]
    assert plain["num_images"] == 2
    assert plain["protocol"] == {
        "name": "whole",
        "resolution": "native",
        "input_scale": 0.5,
        "flip": False,
        "scales": [1.0],
        "precision": "fp32",
    }
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


def test_class_that_nobody_has_is_null() -> None:
    target = np.zeros((2, 2))
    plain = evaluate(Threshold(), TinyDataset([target], [target])).to_dict()
    assert plain["iou_per_class"] == {"dark": 1.0, "bright": None}
    assert plain["miou"] == 1.0


def test_classes_without_pixels_are_named_also_where_they_are_predicted() -> None:
    target = np.zeros((2, 2))
    drawn = np.array([[0, 1], [0, 0]])
    evaluation = evaluate(Threshold(), TinyDataset([target], [drawn]))
    assert evaluation.scores.iou_per_class[1] == 0.0
    assert evaluation.classes_without_pixels == ("bright",)


def test_protocol_names_the_precision() -> None:
    assert evaluate(Threshold(), two_images(), precision="bf16").protocol["precision"] == "bf16"


def test_network_that_answers_at_twice_its_shrunk_input() -> None:
    target = np.zeros((8, 12))
    target[:, 6:] = 1
    evaluation = evaluate(Threshold(factor=2, input_scale=0.5), TinyDataset([target], [target]))
    assert evaluation.scores.miou == 1.0


def test_every_module_is_left_in_its_mode() -> None:
    model = Threshold().train()
    model.frozen.eval()
    evaluate(model, two_images())
    assert model.training
    assert not model.frozen.training


def test_modes_are_restored_when_the_evaluation_is_stopped() -> None:
    model = Threshold().train()

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(model, two_images(), progress=stop)
    assert model.training


def test_evaluation_leaves_weights_and_random_numbers_alone() -> None:
    model = create_model("fcn", backbone="resnet18", num_classes=2, dsrl=True).train()
    dataset = TinyDataset([np.zeros((64, 64))], [np.zeros((64, 64))])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random_state = torch.get_rng_state()
    evaluation = evaluate(model, dataset, facts=Threshold(input_scale=0.5).facts)
    assert evaluation.confusion.sum() == 64 * 64
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(module.training for module in model.modules())


def test_progress_is_told_every_image() -> None:
    seen: list[tuple[int, int]] = []
    evaluate(Threshold(), two_images(), progress=lambda *args: seen.append(args))
    assert seen == [(0, 2), (1, 2), (2, 2)]


def test_other_number_of_classes_is_refused() -> None:
    labels = LabelSpec(("a", "b", "c"), ((0, 0, 0),) * 3)
    with pytest.raises(
        InputError, match=r"predicts 2 classes \(dark, bright\).* has 3 \(a, b, c\)"
    ):
        evaluate(Threshold(), TinyDataset([FIRST], [FIRST], labels))


def test_other_class_names_are_warned_of() -> None:
    labels = LabelSpec(("night", "day"), LABELS.palette)
    with pytest.warns(UserWarning, match="compared by their ids"):
        plain = evaluate(Threshold(), TinyDataset([SECOND], [SECOND], labels)).to_dict()
    assert plain["iou_per_class"]["day"] == 1.0


def test_empty_data_set_is_refused() -> None:
    with pytest.raises(InputError, match="'val' holds no image"):
        evaluate(Threshold(), TinyDataset([], []))


def test_data_set_without_labels_is_refused() -> None:
    ignored = np.full((2, 2), 255)
    with pytest.raises(InputError, match="all 4 pixels are ignored"):
        evaluate(Threshold(), TinyDataset([ignored], [np.zeros((2, 2))]))
