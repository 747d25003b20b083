import pytest
import torch

from dualseg.losses import feature_affinity
from dualseg.losses.feature_affinity import feature_affinity_loss

DISTANCES = ("l1", "l2")


def dense(seg, sr, distance, *, normalize=True):
    """Second implementation: both matrices in full."""

    def affinity(features):
        vectors = features.flatten(2)
        if normalize:
            vectors = vectors / (vectors.square().sum(1, keepdim=True) + 1e-6).sqrt()
        return vectors.mT @ vectors

    difference = affinity(seg) - affinity(sr)
    return (difference.abs() if distance == "l1" else difference.square()).mean()


def test_two_positions_worked_by_hand():
    # Label side: (1, 0) and (0, 1), affinity 0. Image side: (3) and (5), affinity 1. Diagonals
    # agree. # Of four pairs two differ, by 1 each: mean 1/2, for the absolute and the squared
    # difference.
    seg = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).view(1, 2, 1, 2)
    sr = torch.tensor([3.0, 5.0]).view(1, 1, 1, 2)
    for distance in DISTANCES:
        loss = feature_affinity_loss(seg, sr, distance=distance)
        assert loss.item() == pytest.approx(0.5, abs=1e-5)


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("normalization", ["l2", "none"])
@pytest.mark.parametrize("tile", [7, 20, 512])
def test_tiles_give_what_the_dense_matrices_give(monkeypatch, distance, normalization, tile):
    monkeypatch.setattr(feature_affinity, "TILE", tile)
    seg = torch.randn(2, 3, 4, 5, requires_grad=True)
    sr = torch.randn(2, 6, 4, 5, requires_grad=True)
    loss = feature_affinity_loss(seg, sr, distance=distance, normalization=normalization)
    expected = dense(seg, sr, distance, normalize=normalization == "l2")
    torch.testing.assert_close(loss, expected)
    wanted = torch.autograd.grad(expected, (seg, sr))
    torch.testing.assert_close(torch.autograd.grad(loss, (seg, sr)), wanted)


@pytest.mark.parametrize("distance", DISTANCES)
def test_a_map_is_like_itself(distance):
    features = torch.randn(2, 4, 3, 3)
    assert feature_affinity_loss(features, features.clone(), distance=distance).item() == 0.0


@pytest.mark.parametrize("distance", DISTANCES)
def test_the_scale_of_either_map_does_not_matter(distance):
    seg, sr = torch.randn(1, 4, 3, 3), torch.randn(1, 5, 3, 3)
    loss = feature_affinity_loss(seg, sr, distance=distance)
    for scaled in ((seg * 100, sr), (seg, sr * 100)):
        torch.testing.assert_close(
            feature_affinity_loss(*scaled, distance=distance), loss, rtol=1e-4, atol=1e-6
        )


@pytest.mark.parametrize("distance", DISTANCES)
def test_duplicating_the_batch_does_not_matter(distance):
    seg, sr = torch.randn(2, 4, 3, 3), torch.randn(2, 5, 3, 3)
    twice = feature_affinity_loss(torch.cat([seg, seg]), torch.cat([sr, sr]), distance=distance)
    torch.testing.assert_close(twice, feature_affinity_loss(seg, sr, distance=distance))


@pytest.mark.parametrize("distance", DISTANCES)
def test_an_all_zero_position_has_a_finite_gradient(distance):
    seg = torch.randn(1, 4, 3, 3)
    seg[..., 0, 0] = 0
    seg.requires_grad_()
    feature_affinity_loss(seg, torch.randn(1, 4, 3, 3), distance=distance).backward()
    assert seg.grad is not None
    assert torch.isfinite(seg.grad).all()


def test_autocast_does_not_lower_the_precision():
    seg, sr = torch.randn(1, 4, 6, 6), torch.randn(1, 4, 6, 6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = feature_affinity_loss(seg, sr)
    assert torch.equal(inside, feature_affinity_loss(seg, sr))


@pytest.mark.parametrize("distance", DISTANCES)
def test_all_pairs_give_what_comparing_every_entry_gives(distance):
    seg = torch.randn(2, 1, 3, 4, requires_grad=True)
    sr = torch.randn(2, 1, 3, 4, requires_grad=True)

    def entries(maps):
        scaled = maps / (torch.linalg.svdvals(maps)[..., :1, None] + 1e-6)
        columns = scaled[:, 0]
        return (columns.mT @ columns).flatten(1)

    difference = entries(seg)[:, :, None] - entries(sr)[:, None]
    expected = (difference.abs() if distance == "l1" else difference.square()).mean()
    loss = feature_affinity_loss(
        seg, sr, distance=distance, normalization="spectral", pairing="all"
    )
    torch.testing.assert_close(loss, expected)
    wanted = torch.autograd.grad(expected, (seg, sr))
    torch.testing.assert_close(torch.autograd.grad(loss, (seg, sr)), wanted)


def test_maps_of_different_size_are_refused():
    with pytest.raises(ValueError, match="must agree in batch, height and width"):
        feature_affinity_loss(torch.randn(1, 2, 3, 3), torch.randn(1, 2, 3, 4))
