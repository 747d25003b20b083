import pytest
import torch
import torch.nn.functional as F

from dualseg.config import TrainingSettings, check_recipe
from dualseg.core.facts import default_labels
from dualseg.core.geometry import shrink_images
from dualseg.losses.feature_affinity import feature_affinity_loss
from dualseg.models.catalog import create_model
from dualseg.training.objective import Objective, TrainingBatch, create_objective
from dualseg.training.optimizers import create_optimizer


def batch_of(size=(32, 48), images=2):
    image_hr = torch.randn(images, 3, 2 * size[0], 2 * size[1])
    target = torch.randint(0, 3, (images, 2 * size[0], 2 * size[1]))
    return TrainingBatch(image_hr[..., ::2, ::2], image_hr, target)


def network(**options):
    return create_model("fcn", backbone="resnet18", num_classes=3, **options)


def test_the_terms_present_follow_the_stage():
    batch = batch_of()
    terms = {
        stage: set(Objective()(network(dsrl={"stage": stage})(batch.image), batch, 0))
        for stage in (1, 2, 3)
    }
    assert terms == {
        1: {"cross_entropy"},
        2: {"cross_entropy", "image"},
        3: {"cross_entropy", "image", "affinity"},
    }


def test_the_papers_weights_are_applied():
    batch = batch_of()
    output = network(dsrl=True)(batch.image)
    losses = Objective()(output, batch, 0)
    image = (output.image_sr - batch.image_hr).square().mean()
    torch.testing.assert_close(losses["image"], 0.1 * image)
    affinity = feature_affinity_loss(output.features_seg, output.features_sr)
    torch.testing.assert_close(losses["affinity"], affinity)


def test_warmup_grows_linearly_and_leaves_the_labels_alone():
    batch = batch_of()
    output = network(dsrl=True)(batch.image)
    cold, warm = (
        Objective(warmup_steps=4)(output, batch, 0),
        Objective(warmup_steps=4)(output, batch, 9),
    )
    for name in ("image", "affinity"):
        torch.testing.assert_close(4 * cold[name], warm[name])
    assert torch.equal(cold["cross_entropy"], warm["cross_entropy"])


def test_a_plain_network_is_scored_at_the_labels_size():
    batch = batch_of()
    output = network(auxiliary=True)(batch.image)
    losses = Objective(auxiliary_weight=0.4)(output, batch, 0)
    expected = [
        F.cross_entropy(
            F.interpolate(logits, size=batch.target.shape[1:], mode="bilinear"), batch.target
        )
        for logits in (output.logits, output.auxiliary_logits[0])
    ]
    torch.testing.assert_close(losses["cross_entropy"], expected[0])
    torch.testing.assert_close(losses["auxiliary"], 0.4 * expected[1])


def test_an_odd_crop_trains_in_every_stage():
    image_hr = torch.randn(2, 3, 65, 97)
    image = shrink_images(image_hr, 0.5)
    batch = TrainingBatch(image, image_hr, torch.randint(0, 3, (2, 65, 97)))
    for stage in (1, 2, 3):
        losses = Objective()(network(dsrl={"stage": stage})(image), batch, 0)
        assert all(torch.isfinite(loss) for loss in losses.values())


def test_a_unit_target_undoes_the_normalisation():
    batch = batch_of()
    output = network(dsrl={"stage": 2})(batch.image)
    objective = Objective(image_target="unit", mean=(0.5,) * 3, std=(0.25,) * 3, image_weight=1.0)
    expected = (output.image_sr - (batch.image_hr * 0.25 + 0.5)).square().mean()
    torch.testing.assert_close(objective(output, batch, 0)["image"], expected)


def test_after_one_step_every_part_of_the_network_has_changed():
    # The worst defect of a public port: its SISR decoder and FTM were in no optimiser group.
    model = network(dsrl=True)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = create_optimizer(model, TrainingSettings(max_steps=1, lr=0.1, weight_decay=0))
    batch = batch_of()
    sum(Objective()(model(batch.image), batch, 0).values()).backward()
    optimizer.step()
    unchanged = [n for n, p in model.named_parameters() if torch.equal(p, before[n])]
    assert unchanged == []


def test_a_fully_ignored_batch_has_no_nan_anywhere():
    batch = batch_of()
    ignored = TrainingBatch(batch.image, batch.image_hr, torch.full_like(batch.target, 255))
    model = network(dsrl=True, auxiliary=True)
    losses = Objective()(model(ignored.image), ignored, 0)
    sum(losses.values()).backward()
    assert losses["cross_entropy"].item() == 0.0
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("preset", ["ours", "official", "dootmaan", "sanje2v"])
def test_every_preset_trains(preset):
    settings = {
        "dsrl": {"enabled": True, "preset": preset},
        "data": {"input_scale": 0.5},
        "training": {"max_steps": 1},
    }
    recipe = check_recipe(settings, origin="test")
    batch = batch_of(size=(64, 64))
    model = network(dsrl=recipe.dsrl.architecture)
    losses = create_objective(recipe, default_labels(3))(model(batch.image), batch, 0)
    sum(losses.values()).backward()
    assert set(losses) == {"cross_entropy", "image", "affinity"}
    assert all(torch.isfinite(loss) for loss in losses.values())
    frozen = [n for n, p in model.named_parameters() if not p.requires_grad]
    assert bool(frozen) == (preset == "dootmaan")
