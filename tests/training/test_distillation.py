"""A frozen teacher: what it is fed, what it may not do, and what the student learns from it."""

import json
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from runs import StopAt, assert_same_outcome, train_until

from dualseg.checkpoints.model_files import save_model_file
from dualseg.config import check_recipe, load_recipe
from dualseg.core.errors import InputError
from dualseg.core.facts import ModelFacts, default_labels
from dualseg.core.geometry import shrink_images
from dualseg.core.image_spec import ImageSpec
from dualseg.losses.distillation import distillation_loss
from dualseg.losses.feature_affinity import feature_affinity_loss
from dualseg.models.catalog import create_model
from dualseg.training.objectives.batch import TrainingBatch
from dualseg.training.objectives.distillation import (
    Teacher,
    feature_distillation_loss,
    load_teacher,
    teacher_fingerprint,
    with_fingerprint,
)
from dualseg.training.objectives.objective import create_objective
from dualseg.training.trainer import resume, train

CPU = torch.device("cpu")
LABELS = default_labels(3)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def network(**options):
    return create_model("fcn", backbone="resnet18", num_classes=3, **options)


def save_teacher(path, *, model=None, **facts):
    """A random network, whose running statistics are not those it started with."""
    model = model or network()
    with torch.no_grad():
        model.train()(torch.randn(2, 3, 64, 64))
    known = {"labels": LABELS, **facts}
    save_model_file(path, model, ModelFacts(architecture=model.architecture, **known))
    return path


def recipe_with(teacher, **settings):
    return check_recipe(
        {
            "data": {"input_scale": 0.5},
            "distillation": {"teacher": str(teacher), **settings},
            "training": {"max_steps": 1},
        },
        origin="test",
    )


def batch_of(images=2):
    image_hr = torch.randn(images, 3, 48, 64)
    target = torch.randint(0, 3, (images, 48, 64))
    target[0, :20] = 255
    return TrainingBatch(shrink_images(image_hr, 0.5), image_hr, target)


def test_it_is_fed_the_full_image_and_answers_as_in_prediction(tmp_path):
    teacher = load_teacher(recipe_with(save_teacher(tmp_path / "t.safetensors")), LABELS, CPU)
    batch = batch_of()
    known = teacher(batch)
    expected = teacher.network.eval()(batch.image_hr).logits
    torch.testing.assert_close(known.logits, expected)
    assert known.logits.shape == (2, 3, 48, 64)
    assert not known.logits.requires_grad
    assert not known.features.requires_grad


def test_it_can_be_fed_what_the_student_is_fed(tmp_path):
    path = save_teacher(tmp_path / "t.safetensors")
    teacher = load_teacher(recipe_with(path, input="same"), LABELS, CPU)
    batch = batch_of()
    torch.testing.assert_close(teacher(batch).logits, teacher.network(batch.image).logits)


def test_a_teacher_that_shrinks_its_input_is_fed_that(tmp_path):
    model = network(dsrl=True)
    path = save_teacher(tmp_path / "t.safetensors", model=model, input_scale=0.5)
    teacher = load_teacher(recipe_with(path), LABELS, CPU)
    batch = batch_of()
    known = teacher(batch)
    assert known.logits.shape == (2, 3, 48, 64)
    torch.testing.assert_close(known.logits, teacher.network(batch.image).logits)


def test_it_has_its_own_normalisation(tmp_path):
    path = save_teacher(tmp_path / "t.safetensors", mean=(0.5, 0.5, 0.5), std=(0.5, 0.25, 0.5))
    teacher = load_teacher(recipe_with(path), LABELS, CPU)
    plain = torch.rand(2, 3, 64, 64)

    def normalized(mean, std):
        return (plain - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)

    image_hr = normalized(MEAN, STD)
    batch = TrainingBatch(image_hr, image_hr, torch.zeros(2, 64, 64))
    expected = teacher.network(normalized((0.5, 0.5, 0.5), (0.5, 0.25, 0.5))).logits
    torch.testing.assert_close(teacher(batch).logits, expected, rtol=1e-4, atol=1e-4)


def test_it_never_changes_and_draws_no_random_number(tmp_path):
    path = save_teacher(
        tmp_path / "t.safetensors", model=create_model("pspnet", backbone="resnet18", num_classes=3)
    )
    teacher = load_teacher(recipe_with(path), LABELS, CPU)
    before = {name: value.clone() for name, value in teacher.network.state_dict().items()}
    objective = create_objective(recipe_with(path), LABELS, teacher=teacher)
    student, batch = network(), batch_of()
    output = student(batch.image)
    state = torch.get_rng_state()
    sum(objective(output, batch, 0).values()).backward()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(p.grad is None and not p.requires_grad for p in teacher.network.parameters())
    after = teacher.network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("dsrl", [False, True])
def test_the_terms_are_those_of_the_formulas(tmp_path, dsrl):
    path = save_teacher(tmp_path / "t.safetensors")
    recipe = recipe_with(path, weight=2.0, temperature=3.0, feature_weight=0.5)
    teacher = load_teacher(recipe, LABELS, CPU)
    batch = batch_of()
    output = network(dsrl=dsrl)(batch.image)
    losses = create_objective(recipe, LABELS, teacher=teacher)(output, batch, 0)
    known = teacher(batch)
    logits = output.logits
    if not dsrl:
        logits = F.interpolate(logits, size=(48, 64), mode="bilinear")
    divergence = distillation_loss(logits, known.logits, batch.target, temperature=3.0)
    torch.testing.assert_close(losses["distillation"], 2 * divergence)
    features = feature_distillation_loss(
        output.features, known.features, size=(48, 64), subsampling=16
    )
    torch.testing.assert_close(losses["distillation_features"], 0.5 * features)


def test_the_parts_of_a_batch_add_up(tmp_path):
    recipe = recipe_with(save_teacher(tmp_path / "t.safetensors"), feature_weight=1.0)
    objective = create_objective(recipe, LABELS, teacher=load_teacher(recipe, LABELS, CPU))
    batch, student = batch_of(images=4), network().eval()
    count = int((batch.target != 255).sum())

    def terms(rows, **share):
        part = TrainingBatch(batch.image[rows], batch.image_hr[rows], batch.target[rows], **share)
        output = student(part.image)
        features = student.encode(part.image).features
        return objective(output._replace(features=features), part, 0)

    whole = terms(slice(None))
    halves = [terms(rows, num_valid=count, share=0.5) for rows in (slice(2), slice(2, 4))]
    for name, value in whole.items():
        torch.testing.assert_close(sum(half[name] for half in halves), value)


def test_a_student_that_follows_its_teacher_comes_nearer(tmp_path):
    path = save_teacher(tmp_path / "t.safetensors")
    recipe = recipe_with(path, feature_weight=1.0)
    objective = create_objective(recipe, LABELS, teacher=load_teacher(recipe, LABELS, CPU))
    student, batch = network(), batch_of()
    optimizer = torch.optim.SGD(student.parameters(), lr=0.02)
    history = []
    for step in range(8):
        losses = objective(student(batch.image), batch, step)
        taught = losses["distillation"] + losses["distillation_features"]
        optimizer.zero_grad()
        taught.backward()
        optimizer.step()
        history.append(taught.item())
    assert history[-1] < 0.7 * history[0]


def test_features_of_any_size_are_compared_at_the_coarser_one():
    ours, theirs = torch.randn(2, 5, 6, 8), torch.randn(2, 7, 12, 16)
    loss = feature_distillation_loss(ours, theirs, size=(48, 64), subsampling=16)
    expected = feature_affinity_loss(F.avg_pool2d(ours, 2), F.avg_pool2d(theirs, 4))
    torch.testing.assert_close(loss, expected)
    small = feature_distillation_loss(ours, theirs, size=(48, 64), subsampling=4)
    torch.testing.assert_close(small, feature_affinity_loss(ours, F.avg_pool2d(theirs, 2)))


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (("road", "car"), "2 classes, not 3"),
        (("class_0", "class_2", "class_1"), "its class 1 is 'class_2', not 'class_1'"),
    ],
)
def test_a_teacher_of_other_classes_is_refused(tmp_path, names, reason):
    labels = replace(LABELS, class_names=names, palette=LABELS.palette[: len(names)], values={})
    model = create_model("fcn", backbone="resnet18", num_classes=len(names))
    path = save_teacher(tmp_path / "t.safetensors", model=model, labels=labels)
    with pytest.raises(InputError, match=reason):
        load_teacher(recipe_with(path), LABELS, CPU)


ELEVATION = ImageSpec(channels=(3, 2, 1), min_value=100, max_value=4000)


@pytest.mark.parametrize(
    ("theirs", "ours", "reason"),
    [
        (ImageSpec(channels=4), ImageSpec(), "of 4 bands, the data has 3;"),
        (
            ImageSpec(channels=(3, 2, 1)),
            ImageSpec(),
            r"the bands \[3, 2, 1\], the data has \[1, 2,",
        ),
        (
            ImageSpec(max_value=4000),
            ImageSpec(),
            r"from 0 \(black\) to 4000 .*the data has eight bi",
        ),
        (ImageSpec(), ImageSpec(max_value=4000), r"of eight bits, the data has values from 0 \(b"),
        (ELEVATION, ImageSpec(channels=4), r"of 3 bands, the data has 4; and of values from 100"),
    ],
)
def test_a_teacher_of_other_bands_or_values_is_refused(tmp_path, theirs, ours, reason):
    model = network(in_channels=theirs.num_channels)
    plain = {"mean": (0.5,) * theirs.num_channels, "std": (0.25,) * theirs.num_channels}
    path = tmp_path / "t.safetensors"
    facts = ModelFacts(architecture=model.architecture, labels=LABELS, images=theirs, **plain)
    save_model_file(path, model, facts)
    with pytest.raises(InputError, match=reason):
        load_teacher(recipe_with(path), LABELS, CPU, images=ours)


def test_bands_are_compared_and_not_how_they_are_written(tmp_path):
    images = ImageSpec(channels=(1, 2, 3), max_value=4000, max_pixels=99)
    path = save_teacher(tmp_path / "t.safetensors", images=images)
    assert load_teacher(recipe_with(path), LABELS, CPU, images=ImageSpec(max_value=4000))


def test_no_teacher_where_the_recipe_names_none():
    recipe = check_recipe({"training": {"max_steps": 1}}, origin="test")
    assert load_teacher(recipe, LABELS, CPU) is None
    assert with_fingerprint(recipe) == recipe


def test_a_missing_teacher_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="there is no model at"):
        with_fingerprint(recipe_with(tmp_path / "nowhere"))


def test_other_weights_or_facts_are_another_teacher(tmp_path):
    path = save_teacher(tmp_path / "t.safetensors")
    recipe = with_fingerprint(recipe_with(path))
    assert isinstance(load_teacher(recipe, LABELS, CPU), Teacher)
    assert with_fingerprint(recipe) == recipe
    facts = json.loads(path.with_suffix(".json").read_text())
    changed = {**facts, "score": 0.9}
    path.with_suffix(".json").write_text(json.dumps(changed))
    assert teacher_fingerprint(path) == recipe.distillation.teacher_fingerprint
    path.with_suffix(".json").write_text(json.dumps({**facts, "mean": [0.5, 0.5, 0.5]}))
    with pytest.raises(InputError, match="is not the teacher this run began with"):
        load_teacher(recipe, LABELS, CPU)
    save_teacher(path)
    with pytest.raises(InputError, match="is not the teacher this run began with"):
        load_teacher(recipe, LABELS, CPU)


STREETS = {
    "model": {"name": "fcn", "backbone": "resnet18"},
    "data": {"name": "streets", "crop_size": [64, 64], "input_scale": 0.5},
    "training": {
        "max_steps": 4,
        "batch_size": 4,
        "accumulate_steps": 2,
        "eval_every": 4,
        "checkpoint_every": 2,
        "log_every": 1,
    },
    "runtime": {"device": "cpu", "threads": 1},
}


@pytest.mark.slow
def test_a_distilled_run_goes_on_bit_for_bit_and_only_with_its_teacher(tmp_path):
    teacher = tmp_path / "teacher"
    train(
        check_recipe({**STREETS, "data": {**STREETS["data"], "input_scale": 1.0}}, origin="t"),
        teacher,
    )
    settings = {"teacher": str(teacher), "feature_weight": 0.5}
    recipe = check_recipe({**STREETS, "distillation": settings}, origin="s")
    train(recipe, tmp_path / "whole")
    train_until(recipe, tmp_path / "halves", StopAt(2))
    written = load_recipe(tmp_path / "halves/config.yaml").distillation
    assert written.teacher_fingerprint == teacher_fingerprint(teacher)
    resume(tmp_path / "halves")
    assert_same_outcome(tmp_path / "halves", tmp_path / "whole")
    entry = json.loads((tmp_path / "whole/metrics.jsonl").read_text().splitlines()[0])
    assert {"distillation", "distillation_features"} <= set(entry)
    train_until(recipe, tmp_path / "third", StopAt(2))
    moved = tmp_path / "moved"
    teacher.rename(moved)
    with pytest.raises(InputError, match="there is no model at"):
        resume(tmp_path / "third")
    resume(tmp_path / "third", overrides=[f"distillation.teacher={moved}"])
    assert_same_outcome(tmp_path / "third", tmp_path / "whole")
