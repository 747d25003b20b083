"""Where segmentation_models_pytorch means the same by a name, it must give the same number."""

import pytest
import torch

from dualseg.losses.lovasz import lovasz_softmax
from dualseg.losses.tversky import dice_loss, tversky_loss

pytestmark = pytest.mark.oracle


@pytest.fixture
def theirs():
    return pytest.importorskip("segmentation_models_pytorch").losses


def a_batch(*, ignored: bool):
    logits = torch.randn(2, 4, 16, 12, requires_grad=True)
    target = torch.randint(0, 4, (2, 16, 12))
    if ignored:
        target[0, :5] = 255
    return logits, target


def assert_equal_with_gradient(ours, theirs, logits):
    torch.testing.assert_close(ours, theirs)
    wanted = torch.autograd.grad(theirs, logits)
    torch.testing.assert_close(torch.autograd.grad(ours, logits), wanted)


def test_dice(theirs):
    # Every class is present: they average absent ones in as zeros.
    logits, target = a_batch(ignored=True)
    loss = theirs.DiceLoss("multiclass", ignore_index=255)
    assert_equal_with_gradient(dice_loss(logits, target), loss(logits, target), logits)


def test_tversky(theirs):
    logits, target = a_batch(ignored=True)
    loss = theirs.TverskyLoss("multiclass", ignore_index=255, alpha=0.3, beta=0.7)
    ours = tversky_loss(logits, target, alpha=0.3, beta=0.7)
    assert_equal_with_gradient(ours, loss(logits, target), logits)


@pytest.mark.parametrize("per_image", [False, True])
def test_lovasz(theirs, per_image):
    logits, target = a_batch(ignored=True)
    loss = theirs.LovaszLoss("multiclass", per_image=per_image, ignore_index=255)
    ours = lovasz_softmax(logits, target, per_image=per_image)
    assert_equal_with_gradient(ours, loss(logits, target), logits)
