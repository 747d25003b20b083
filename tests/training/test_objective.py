import pytest
import torch
import torch.nn.functional as F

from dualseg.config import TrainingSettings, check_recipe
from dualseg.core.errors import InputError
from dualseg.core.facts import default_labels
from dualseg.core.geometry import shrink_images
from dualseg.core.outputs import SegmentationOutput
from dualseg.losses.cross_entropy import cross_entropy
from dualseg.losses.feature_affinity import feature_affinity_loss
from dualseg.losses.lovasz import lovasz_softmax
from dualseg.losses.ohem import ohem_cross_entropy
from dualseg.losses.reconstruction import reconstruction_loss
from dualseg.models.catalog import create_model
from dualseg.training.objectives.batch import TrainingBatch
from dualseg.training.objectives.objective import Objective, create_objective, num_auxiliary_heads
from dualseg.training.optimization.optimizers import create_optimizer


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


def objective_of(loss, *, num_classes=3, num_auxiliary=None):
    recipe = check_recipe({"loss": loss, "training": {"max_steps": 1}}, origin="test")
    labels = default_labels(num_classes)
    return create_objective(recipe, labels, num_auxiliary=num_auxiliary)


def an_output(batch, *, num_auxiliary=0):
    size = batch.target.shape[-2:]
    maps = [torch.randn(len(batch.target), 3, *size) for _ in range(1 + num_auxiliary)]
    return SegmentationOutput(maps[0], tuple(maps[1:]))


def test_terms_are_named_and_weighted_in_the_recipes_order():
    batch = batch_of()
    output = an_output(batch)
    losses = objective_of({"terms": {"cross_entropy": 1.0, "lovasz": 0.5}})(output, batch, 0)
    assert list(losses) == ["cross_entropy", "lovasz"]
    torch.testing.assert_close(losses["cross_entropy"], cross_entropy(output.logits, batch.target))
    torch.testing.assert_close(losses["lovasz"], 0.5 * lovasz_softmax(output.logits, batch.target))


def test_the_default_recipe_is_the_plain_cross_entropy_to_the_bit():
    batch = batch_of()
    output = an_output(batch)
    (loss,) = objective_of({})(output, batch, 0).values()
    assert torch.equal(loss, cross_entropy(output.logits, batch.target))


@pytest.mark.parametrize(
    "loss",
    [
        {"terms": {"ohem": 1.0}, "ohem": {"threshold": 0.3, "min_kept": 10}},
        {"terms": {"bootstrapped": 1.0}, "bootstrapped": {"kept_share": 0.5}},
        {"terms": {"focal": 1.0}, "focal": {"gamma": 1.0}},
        {"terms": {"lovasz": 1.0}, "lovasz": {"classes": "all", "per_image": True}},
        {"terms": {"dice": 1.0, "boundary": 0.01}},
        {"terms": {"tversky": 1.0}, "tversky": {"alpha": 0.1, "beta": 0.9}},
        {"terms": {"cross_entropy": 1.0}, "class_weights": [1, 2, 3], "label_smoothing": 0.1},
    ],
    ids=lambda loss: "+".join(loss["terms"]),
)
def test_every_option_of_a_recipe_changes_the_loss(loss):
    batch = batch_of()
    output = an_output(batch)
    ours = objective_of(loss)(output, batch, 0)
    plain = objective_of({"terms": loss["terms"]})(output, batch, 0)
    assert list(ours) == list(loss["terms"])
    assert all(torch.isfinite(value) for value in ours.values())
    has_options = len(loss) > 1
    assert has_options == any(not torch.equal(ours[name], plain[name]) for name in ours)


def test_ohem_keeps_its_share_of_the_whole_batchs_pixels():
    batch = batch_of(images=4)
    output = an_output(batch)
    half = TrainingBatch(
        batch.image[:2], batch.image_hr[:2], batch.target[:2], num_valid=10**4, share=0.5
    )
    objective = objective_of({"terms": {"ohem": 1.0}, "ohem": {"threshold": 1e-6, "min_kept": 100}})
    loss = objective(SegmentationOutput(output.logits[:2]), half, 0)["ohem"]
    expected = ohem_cross_entropy(
        output.logits[:2], half.target, threshold=1e-6, min_kept=50, num_valid=10**4
    )
    assert torch.equal(loss, expected)


def test_each_auxiliary_head_has_its_weight_and_the_main_losses():
    batch = batch_of()
    output = an_output(batch, num_auxiliary=2)
    loss = {"terms": {"cross_entropy": 1.0, "lovasz": 0.5}, "auxiliary_weights": [0.4, 0.1]}
    auxiliary = objective_of(loss)(output, batch, 0)["auxiliary"]
    expected = sum(
        weight * (cross_entropy(a, batch.target) + 0.5 * lovasz_softmax(a, batch.target))
        for weight, a in zip([0.4, 0.1], output.auxiliary_logits, strict=True)
    )
    torch.testing.assert_close(auxiliary, expected)


def test_auxiliary_heads_may_have_other_losses():
    batch = batch_of()
    output = an_output(batch, num_auxiliary=1)
    loss = {"terms": {"lovasz": 1.0}, "auxiliary_terms": {"cross_entropy": 2.0}}
    auxiliary = objective_of(loss)(output, batch, 0)["auxiliary"]
    expected = 0.4 * 2.0 * cross_entropy(output.auxiliary_logits[0], batch.target)
    torch.testing.assert_close(auxiliary, expected)


def test_losses_of_auxiliary_heads_that_are_not_there_are_refused():
    loss = {"auxiliary_terms": {"dice": 1.0}}
    with pytest.raises(InputError, match=r"auxiliary_terms dice has no effect.*auxiliary=true"):
        objective_of(loss, num_auxiliary=0)
    assert objective_of(loss, num_auxiliary=1).auxiliary_terms is not None


@pytest.mark.parametrize("dsrl", [False, True])
def test_weights_for_other_heads_are_found_before_the_training(dsrl):
    model = network(auxiliary="all", dsrl=dsrl)
    count = num_auxiliary_heads(model)
    assert count == len(model(batch_of().image).auxiliary_logits)
    with pytest.raises(InputError, match=rf"is \[0.4, 0.2, 0.1\], but the network has {count} aux"):
        objective_of({"auxiliary_weights": [0.4, 0.2, 0.1]}, num_auxiliary=count)


def test_class_weights_of_another_number_of_classes_are_refused():
    with pytest.raises(InputError, match="2 numbers for 3 classes: class_0, class_1, class_2"):
        objective_of({"class_weights": [1.0, 2.0]})


@pytest.mark.parametrize("kind", ["l1", "charbonnier"])
def test_the_image_loss_can_be_another_one(kind):
    batch = batch_of()
    output = network(dsrl={"stage": 2})(batch.image)
    loss = objective_of({"reconstruction": kind})(output, batch, 0)["image"]
    expected = 0.1 * reconstruction_loss(output.image_sr, batch.image_hr, kind=kind)
    torch.testing.assert_close(loss, expected)


def test_the_weights_of_dsrl_can_grow_otherwise():
    batch = batch_of()
    output = network(dsrl={"stage": 2})(batch.image)
    off = Objective(warmup_steps=4, ramp_kind="step")(output, batch, 3)["image"]
    on = Objective(warmup_steps=4, ramp_kind="step")(output, batch, 4)["image"]
    assert off.item() == 0.0
    torch.testing.assert_close(on, Objective()(output, batch, 0)["image"])
