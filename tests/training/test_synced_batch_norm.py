"""Against plain batch norm on the whole batch."""

from copy import deepcopy

import pytest
import torch
from many import in_processes
from timm.layers import BatchNormAct2d
from tiny import tiny_recipe
from torch import nn

from dualseg.core.processes import joined_processes
from dualseg.training.optimization.freezing import freeze
from dualseg.training.optimization.synced_batch_norm import SyncedBatchNorm, synchronize_batch_norm


def layer(kind: str) -> nn.Module:
    if kind == "with activation":
        return BatchNormAct2d(3, inplace=False)
    return nn.BatchNorm2d(3, affine=kind != "plain", momentum=None if kind == "mean" else 0.1)


def one_step(model: nn.Module, images: torch.Tensor, upstream: torch.Tensor) -> dict:
    images = images.clone().requires_grad_()
    output = model.train()(images)
    output.backward(upstream)
    gradients = {f"gradient of {name}": p.grad for name, p in model.named_parameters()}
    return {"output": output.detach(), "image": images.grad, **gradients, **model.state_dict()}


@pytest.mark.parametrize("sizes", [(4, 2), (1, 1), (3, 1, 2)])
@pytest.mark.parametrize("kind", ["affine", "plain", "mean", "with activation"])
def test_shares_of_a_batch_give_what_the_whole_gives(kind, sizes):
    torch.manual_seed(0)
    whole = nn.Sequential(layer(kind))
    images = 5 + 3 * torch.randn(sum(sizes), 3, 4, 5)
    upstream = torch.randn_like(images)
    expected = one_step(deepcopy(whole), images, upstream)
    starts = [sum(sizes[:rank]) for rank in range(len(sizes))]

    def work() -> dict:
        with joined_processes() as us:
            mine = slice(starts[us.rank], starts[us.rank] + sizes[us.rank])
            model = deepcopy(whole)
            assert synchronize_batch_norm(model) == 1
            return one_step(model, images[mine], upstream[mine])

    shares = [ended.result for ended in in_processes(len(sizes), work)]
    for name in ("output", "image"):
        ours = torch.cat([share[name] for share in shares])
        assert torch.allclose(ours, expected[name], atol=1e-5), name
    for name in expected.keys() - {"output", "image"}:
        parts = [share[name] for share in shares]
        if name.startswith("gradient"):
            ours = torch.stack(parts).sum(dim=0)  # each process has that of its images
        else:
            ours = parts[0]
            assert all(torch.equal(part, ours) for part in parts), name
        assert torch.allclose(ours.float(), expected[name].float(), atol=2e-5), name


def test_names_parameters_and_the_answer_in_evaluation_stay():
    model = nn.Sequential(nn.Conv2d(3, 3, 1), layer("affine"), layer("with activation")).eval()
    images = torch.randn(2, 3, 4, 4)
    names, before = list(model.state_dict()), model(images)
    parameters = list(model.parameters())
    assert synchronize_batch_norm(model) == 2
    assert list(model.state_dict()) == names
    assert all(ours is theirs for ours, theirs in zip(model.parameters(), parameters, strict=True))
    assert torch.equal(model.eval()(images), before)


def test_frozen_statistics_are_left_alone():
    model = nn.Sequential(layer("affine"))
    freeze(model, tiny_recipe({"training": {"freeze_batchnorm": "statistics"}}).training)
    assert synchronize_batch_norm(model) == 0
    assert not isinstance(model[0], SyncedBatchNorm)
