import numpy as np
import pytest
import torch

from dualseg.losses.boundary import boundary_loss, signed_distances


def test_a_row_of_pixels_worked_by_hand():
    # Class 1 fills pixels 2 and 3 of six: outside 2 1, inside 0 0, outside 1 2.
    target = torch.tensor([[[0, 0, 1, 1, 0, 0]]])
    distances = signed_distances(target, num_classes=3)
    assert distances[0, 1, 0].tolist() == [2, 1, 0, 0, 1, 2]
    assert distances[0, 0, 0].tolist() == [-1, 0, 1, 1, 0, -1]
    assert not distances[0, 2].any()  # an absent class
    # Uniform probabilities 1/3: sum of all distances is 6 + 0; six pixels.
    loss = boundary_loss(torch.zeros(1, 3, 1, 6), target)
    assert loss.item() == pytest.approx(6 / 3 / 6)


def test_distances_are_euclidean():
    ndimage = pytest.importorskip("scipy.ndimage")
    target = torch.randint(0, 3, (2, 3, 4)).repeat_interleave(5, 1).repeat_interleave(4, 2)
    ours = signed_distances(target, num_classes=3).numpy()
    for image, label_map in enumerate(target.numpy()):
        for k in np.unique(label_map):
            region = label_map == k
            inside = ndimage.distance_transform_edt(region)
            outside = ndimage.distance_transform_edt(~region)
            expected = np.where(region, -(inside - 1), outside)
            np.testing.assert_allclose(ours[image, k], expected, atol=1e-4)


def test_a_class_that_fills_the_image_has_no_boundary():
    target = torch.zeros(1, 4, 4, dtype=torch.long)
    assert not signed_distances(target, num_classes=2).any()


def test_a_mistake_far_from_the_region_costs_more_than_one_beside_it():
    target = torch.zeros(1, 1, 9, dtype=torch.long)
    target[..., :3] = 1

    def loss_with_a_wrong_pixel_at(column: int) -> float:
        preds = target.clone()
        preds[..., column] = 1
        logits = 30.0 * torch.nn.functional.one_hot(preds, 2).movedim(-1, 1).float()
        return boundary_loss(logits, target).item()

    assert loss_with_a_wrong_pixel_at(8) > loss_with_a_wrong_pixel_at(3)
