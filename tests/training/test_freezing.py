import pytest
import torch
from tiny import TinyDataset, TinyNetwork, tiny_recipe
from torch import nn

from dualseg.core.errors import InputError
from dualseg.data.loading.loaders import RawBatch
from dualseg.evaluation.evaluate import evaluation_mode
from dualseg.models.catalog import create_model
from dualseg.training.objectives.objective import create_objective
from dualseg.training.optimization.ema import WeightAverage
from dualseg.training.optimization.freezing import freeze
from dualseg.training.optimization.optimizers import create_optimizer
from dualseg.training.step import TrainingStep


def frozen(model: nn.Module, **training) -> nn.Module:
    freeze(model, tiny_recipe({"training": training}).training)
    return model


def train_two_steps(model: nn.Module, **training) -> None:
    recipe = tiny_recipe({"training": training})
    step = TrainingStep(
        model.train(),
        create_objective(recipe, TinyDataset.labels),
        create_optimizer(model, recipe.training),
        lr_factor=lambda step: 1.0,
        data=recipe.data,
        training=recipe.training,
        device=torch.device("cpu"),
        seed=0,
    )
    image = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    label_map = torch.randint(0, 2, (4, 16, 16), dtype=torch.uint8)
    for number in range(2):
        step(RawBatch(image, label_map, ("a", "b", "c", "d")), number)


def changed(model: nn.Module, before: dict) -> set[str]:
    after = model.state_dict()
    return {name for name in after if not torch.equal(after[name], before[name])}


def snapshot(model: nn.Module) -> dict:
    return {name: value.clone() for name, value in model.state_dict().items()}


STATISTICS = {f"backbone.1.{name}" for name in ("running_mean", "running_var")}
COUNTER = {"backbone.1.num_batches_tracked"}
AFFINE = {"backbone.1.weight", "backbone.1.bias"}
CLASSIFIER = {"classifier.weight", "classifier.bias"}
CONVOLUTION = {"backbone.0.weight"}


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        ({}, CONVOLUTION | AFFINE | STATISTICS | COUNTER | CLASSIFIER),
        ({"freeze": ["backbone"]}, CLASSIFIER),
        ({"freeze": ["backbone.0"]}, AFFINE | STATISTICS | COUNTER | CLASSIFIER),
        ({"freeze_batchnorm": "statistics"}, CONVOLUTION | AFFINE | CLASSIFIER),
        ({"freeze_batchnorm": "all"}, CONVOLUTION | CLASSIFIER),
    ],
)
def test_only_what_is_not_frozen_changes(training, expected):
    model = frozen(TinyNetwork(), **training)
    before = snapshot(model)
    train_two_steps(model, **training)
    assert changed(model, before) == expected


def test_frozen_statistics_survive_train_evaluation_and_copies():
    model = frozen(TinyNetwork(), freeze_batchnorm="statistics")
    model.train()
    with evaluation_mode(model):
        pass
    model.eval()
    model.train()
    copy = WeightAverage(model, 0.9).model.train()
    assert model.training
    assert not model.backbone[1].training
    assert not copy.backbone[1].training
    assert copy.backbone[1].train.__self__ is copy.backbone[1]


def test_a_stage_of_a_wrapped_backbone_is_named_without_its_wrappers():
    model = create_model("deeplabv3plus", backbone="resnet18", num_classes=3, dsrl=True)
    frozen(model, freeze=["backbone.layer1"])
    still = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert still == {name for name, _ in model.named_parameters() if ".layer1." in name}
    assert still


def test_a_beginning_of_a_word_is_no_part():
    with pytest.raises(InputError, match=r"freeze.*\n.*back: "):
        frozen(TinyNetwork(), freeze=["back"])
