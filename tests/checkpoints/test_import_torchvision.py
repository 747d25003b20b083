"""torchvision's own networks with random weights, against what is made of their state dicts."""

import pytest
import torch
import torchvision

from dualseg.checkpoints.foreign.checkpoint import ForeignCheckpoint
from dualseg.checkpoints.importers import torchvision as importer
from dualseg.checkpoints.importers.catalog import import_checkpoint
from dualseg.core.errors import InputError
from reference.random_weights import random_image, randomize

SIZES = [(64, 96), (65, 97)]


def build(arch, **options):
    network = getattr(torchvision.models.segmentation, arch)(
        weights=None, weights_backbone=None, **options
    )
    randomize(network)
    return network.eval()


def imported(network, folder, **options):
    torch.save(network.state_dict(), folder / "model.pth")
    model, facts, report = import_checkpoint(folder / "model.pth", **options)
    return model.eval(), facts, report


def assert_same_logits(found, expected):
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()
    # Where two classes are exactly equal, either is the expected network's answer.
    of_class_found = expected.gather(1, found.argmax(1, keepdim=True))
    assert (of_class_found == expected.amax(1, keepdim=True)).float().mean() >= 0.9999


@pytest.mark.parametrize(
    ("arch", "options"),
    [
        ("fcn_resnet50", {"aux_loss": True}),
        ("deeplabv3_resnet50", {"aux_loss": False}),
        ("deeplabv3_mobilenet_v3_large", {"aux_loss": True}),
        ("lraspp_mobilenet_v3_large", {}),
        pytest.param("fcn_resnet101", {"aux_loss": False}, marks=pytest.mark.slow),
        pytest.param("deeplabv3_resnet101", {"aux_loss": True}, marks=pytest.mark.slow),
    ],
)
def test_the_logits_are_torchvisions(tmp_path, arch, options):
    network = build(arch, **options)
    model, facts, report = imported(network, tmp_path)
    assert (report.library, report.arch) == ("torchvision", arch)
    joined = 21 if arch.startswith("lraspp") else 0  # two biases that are added become one
    assert report.parameters == sum(p.numel() for p in network.parameters()) - joined
    assert report.dropped == {}
    assert facts.labels.class_names[15] == "person"
    for size in SIZES:
        image = random_image(size)
        with torch.no_grad():
            assert_same_logits(model(image).logits, network(image)["out"])


@pytest.mark.parametrize("arch", ["fcn_resnet50", "deeplabv3_mobilenet_v3_large"])
def test_the_auxiliary_head_answers_as_torchvisions(tmp_path, arch):
    network = build(arch, aux_loss=True)
    model, _, _ = imported(network, tmp_path)
    image = random_image((64, 96))
    model.training = True  # so that it answers, with batch norm and dropout as in evaluation
    with torch.no_grad():
        (auxiliary,) = model(image).auxiliary_logits
        assert_same_logits(auxiliary, network(image)["aux"])


def test_other_classes_keep_their_rows_by_name(tmp_path):
    network = build("lraspp_mobilenet_v3_large")
    model, facts, report = imported(network, tmp_path, class_names=("Dog", "road", "person"))
    assert (report.copied, report.new) == (("Dog", "person"), ("road",))
    assert facts.labels.class_names == ("Dog", "road", "person")
    image = random_image((64, 96))
    with torch.no_grad():
        found, expected = model(image).logits, network(image)["out"]
    assert_same_logits(found[:, [0, 2]], expected[:, [12, 15]])  # VOC's dog and person
    assert not torch.allclose(found[:, 1], expected[:, 1])


def test_another_number_of_classes_starts_all_rows_anew(tmp_path):
    network = build("deeplabv3_mobilenet_v3_large", aux_loss=True)
    model, facts, report = imported(network, tmp_path, num_classes=3)
    assert report.copied == ()
    assert facts.architecture["num_classes"] == 3
    assert model.predictor.conv.weight.shape[0] == 3
    assert model.auxiliary_heads[0].classifier.conv.weight.shape[0] == 3
    assert torch.equal(model.backbone.body[0][0].weight, network.backbone["0"][0].weight)
    again, _, _ = imported(network, tmp_path, num_classes=3)
    assert torch.equal(model.predictor.conv.weight, again.predictor.conv.weight)


def test_a_network_of_other_classes_has_no_names(tmp_path):
    network = build("lraspp_mobilenet_v3_large", num_classes=2)
    _, facts, _ = imported(network, tmp_path)
    assert facts.labels.class_names == ("class_0", "class_1")
    model, facts, report = imported(network, tmp_path, class_names=("road", "sky"))
    assert facts.labels.class_names == ("road", "sky")
    assert report.new == ()  # naming is no change: the rows stay
    image = random_image((64, 96))
    with torch.no_grad():
        assert_same_logits(model(image).logits, network(image)["out"])


def test_as_many_names_as_are_assumed_only_name_the_rows(tmp_path):
    network = build("lraspp_mobilenet_v3_large")
    names = ("background", *(f"kind {i}" for i in range(20)))
    model, facts, report = imported(network, tmp_path, class_names=names)
    assert (facts.labels.class_names, report.copied, report.notes) == (names, None, ())
    image = random_image((64, 96))
    with torch.no_grad():
        assert_same_logits(model(image).logits, network(image)["out"])


def test_assumed_names_in_another_order_move_their_rows_and_are_noted(tmp_path):
    network = build("lraspp_mobilenet_v3_large")
    _, facts, report = imported(network, tmp_path)
    (note,) = report.notes
    assert "because it has 21, they are assumed to be background, aeroplane, bicycle" in note
    turned = facts.labels.class_names[::-1]
    model, _, report = imported(network, tmp_path, class_names=turned)
    assert (report.copied, report.notes) == (turned, (note,))
    image = random_image((64, 96))
    with torch.no_grad():
        assert_same_logits(model(image).logits, network(image)["out"].flip(1))


def test_one_logit_is_refused(tmp_path):
    with pytest.raises(InputError, match="one class from the rest by a single logit: not covered"):
        imported(build("lraspp_mobilenet_v3_large", num_classes=1), tmp_path)


def test_names_and_number_that_contradict_each_other(tmp_path):
    with pytest.raises(InputError, match="2 class names for 3 classes"):
        imported(
            build("lraspp_mobilenet_v3_large"), tmp_path, class_names=("a", "b"), num_classes=3
        )


def test_a_missing_and_a_foreign_tensor_are_named(tmp_path):
    state = build("lraspp_mobilenet_v3_large").state_dict()
    del state["backbone.1.block.0.0.weight"]
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(InputError, match=r"missing: backbone\.body\.1\.block\.0\.0\.weight"):
        import_checkpoint(tmp_path / "a.pth")
    state = build("lraspp_mobilenet_v3_large").state_dict() | {"neck.weight": torch.ones(2)}
    torch.save(state, tmp_path / "b.pth")
    with pytest.raises(InputError, match=r"no place in the network.*\n.*neck\.weight \(2,\)"):
        import_checkpoint(tmp_path / "b.pth")


def test_all_six_are_recognised():
    for arch in importer.ARCHITECTURES:
        with torch.device("meta"):
            network = getattr(torchvision.models.segmentation, arch)(
                weights=None, weights_backbone=None
            )
        assert importer.recognise(network.state_dict()) == arch


def test_the_number_of_parameters_is_checked(monkeypatch, tmp_path):
    monkeypatch.setitem(importer.PARAMETERS, "lraspp_mobilenet_v3_large", (1, 1))
    with pytest.raises(InputError, match="has 1 parameters, but the network its"):
        imported(build("lraspp_mobilenet_v3_large"), tmp_path)


def test_a_backbone_alone_is_sent_to_where_it_belongs(tmp_path):
    torch.save(torchvision.models.resnet18(weights=None).state_dict(), tmp_path / "resnet18.pth")
    for library in (None, "torchvision", "timm"):
        with pytest.raises(InputError, match=r"a backbone alone.*pretrained=.*resnet18\.pth"):
            import_checkpoint(tmp_path / "resnet18.pth", library=library)


def test_the_facts_say_where_the_weights_come_from(tmp_path):
    _, facts, report = imported(build("lraspp_mobilenet_v3_large"), tmp_path)
    assert facts.source == (
        f"torchvision lraspp_mobilenet_v3_large; file model.pth, SHA-256 "
        f"{report.checkpoint.sha256}; mapping 1; licence BSD-3-Clause"
    )


def test_translation_leaves_the_checkpoint_alone(tmp_path):
    state = build("lraspp_mobilenet_v3_large").state_dict()
    before = dict(state)
    checkpoint = ForeignCheckpoint(tmp_path, "", "torch zip", state, {})
    importer.translate(checkpoint, "lraspp_mobilenet_v3_large")
    assert list(state) == list(before)


def test_a_classifier_of_another_shape_is_named_before_its_rows_are_copied(tmp_path):
    state = build("lraspp_mobilenet_v3_large").state_dict()
    state["classifier.low_classifier.weight"] = torch.ones(21, 41, 1, 1)
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(InputError, match=r"wrong shape: predictor\.conv\.weight is 21x169x1x1"):
        import_checkpoint(tmp_path / "a.pth", class_names=("dog", "road"))
