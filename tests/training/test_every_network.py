"""Every network of the catalogue learns, alone and under DSRL."""

import pytest
import torch

from dualseg.config import check_recipe
from dualseg.core.facts import default_labels
from dualseg.models.catalog import create_model, list_models
from dualseg.training.objectives.objective import TrainingBatch, create_objective

BACKBONES = {
    "deeplabv1": "vgg16",
    "lraspp": "mobilenet_v3_large",
    "densenet_fusion": "dense30k12",
}
STEPS = 6


@pytest.mark.parametrize("dsrl", [False, True])
@pytest.mark.parametrize("name", list_models())
def test_a_few_steps_lower_the_loss(name, dsrl):
    torch.manual_seed(0)
    settings = {
        "dsrl": {"enabled": dsrl},
        "data": {"input_scale": 0.5},
        "training": {"max_steps": STEPS},
    }
    recipe = check_recipe(settings, origin="a test")
    objective = create_objective(recipe, default_labels(3))
    model = create_model(
        name,
        backbone=BACKBONES.get(name, "resnet18"),
        num_classes=3,
        auxiliary=True,
        dsrl=dsrl,
    ).train()
    image_hr = torch.randn(2, 3, 128, 128)
    target = torch.zeros(2, 128, 128, dtype=torch.long)
    target[:, 40:90, 30:100] = 1
    target[:, :20] = 2
    image_hr[:, 0] += target - 1.0
    batch = TrainingBatch(image_hr[..., ::2, ::2], image_hr, target)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    losses = []
    for step in range(STEPS):
        total = sum(objective(model(batch.image), batch, step).values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        losses.append(total.item())
    assert min(losses[-2:]) < 0.9 * losses[0], losses
    names = {"cross_entropy", "auxiliary"} | ({"image", "affinity"} if dsrl else set())
    assert set(objective(model(batch.image), batch, STEPS)) == names
