"""The rules that importers are written with, on networks small enough to work out by hand."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dualseg.checkpoints.importers import class_tables, recognition
from dualseg.checkpoints.importers.translation import Translator
from dualseg.core.errors import InputError


def translator(**tensors):
    named = {name.replace("__", "."): tensor for name, tensor in tensors.items()}
    return Translator(named, origin="a library")


def ones(count):
    return torch.ones(count)


def test_a_prefix_matches_whole_parts_of_a_name():
    moves = translator(a__b__w=ones(1), a__bc__w=ones(2), a__b=ones(3))
    moves.move("a.b", "x")
    assert {name: len(tensor) for name, tensor in moves.weights.items()} == {"x.w": 1, "x": 3}
    assert list(moves.left) == ["a.bc.w"]


def test_an_empty_prefix_moves_what_is_left():
    moves = translator(head__w=ones(1), conv__w=ones(2))
    moves.move("head", "head.conv")
    moves.move("", "backbone.body")
    assert set(moves.finish()[0]) == {"head.conv.w", "backbone.body.conv.w"}


def test_patterns_move_by_their_groups():
    moves = translator(aspp2__conv__w=ones(2), aspp3__conv__w=ones(3), other=ones(1))
    assert moves.move_matching(r"aspp([0-9])\.conv\.(.+)", r"branches.\1.0.\2") == 2
    assert set(moves.weights) == {"branches.2.0.w", "branches.3.0.w"}
    assert moves.move_matching("nothing", "x") == 0


def test_every_tensor_must_be_moved_or_dropped():
    moves = translator(a=ones(1), b__c=ones(2), fc__weight=ones(3))
    moves.move("a", "x")
    moves.drop("fc", "a classifier of whole images")
    with pytest.raises(InputError, match=r"1 tensors have no place.*\n.*b\.c \(2,\)"):
        moves.finish()
    moves.move("b", "y")
    weights, dropped = moves.finish()
    assert set(weights) == {"x", "y.c"}
    assert dropped == {"fc.weight": "a classifier of whole images"}


def test_what_is_not_there_and_what_is_there_twice():
    moves = translator(a=ones(1), b=ones(1))
    with pytest.raises(InputError, match="nothing named c"):
        moves.move("c", "x")
    with pytest.raises(InputError, match="no tensor c"):
        moves.take("c")
    moves.move("a", "x")
    with pytest.raises(InputError, match="two tensors would become x"):
        moves.move("b", "x")


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.bool, torch.complex64])
def test_a_weight_that_holds_no_fractions_is_refused_by_the_sources_name(dtype):
    moves = translator(
        bn__weight=torch.ones(2, dtype=dtype), bn__num_batches_tracked=torch.tensor(3)
    )
    assert moves.take("bn.num_batches_tracked") == 3
    with pytest.raises(InputError, match=r"a library: bn\.weight is \w+, but weights are floating"):
        moves.move("bn", "norm")


def test_copies_are_dropped_only_if_they_are_copies():
    moves = translator(features__w=ones(2), low__w=ones(2))
    moves.drop_copies("low", of="features")
    assert moves.dropped == {"low.w": "a copy of features.w"}
    moves = translator(features__w=ones(2), low__w=torch.zeros(2))
    with pytest.raises(InputError, match=r"low\.w is no copy of features\.w"):
        moves.drop_copies("low", of="features")


def test_input_blocks_follow_the_order_of_the_maps():
    """Source joins [pool, a, b], we join [a, b, pool]: the same sum."""
    pool, a, b = torch.randn(3, 1, 2, 4, 4)
    conv = nn.Conv2d(6, 3, 3, bias=False)
    moves = translator(w=conv.weight.detach())
    moves.move("w", "project.weight")
    moves.reorder_inputs("project.weight", (2, 2, 2), (1, 2, 0))
    found = F.conv2d(torch.cat([a, b, pool], dim=1), moves.weights["project.weight"])
    torch.testing.assert_close(found, conv(torch.cat([pool, a, b], dim=1)))


def test_depthwise_blocks_move_with_their_norm():
    first, second = torch.randn(1, 2, 5, 5), torch.randn(1, 1, 5, 5)
    layer = nn.Sequential(nn.Conv2d(3, 3, 3, groups=3, bias=False), nn.BatchNorm2d(3)).eval()
    for name in ("weight", "bias", "running_mean", "running_var"):
        getattr(layer[1], name).data = torch.rand(3) + 0.5
    moves = Translator(layer.state_dict(), origin="")
    moves.move("", "x")
    moves.reorder_all("x", (2, 1), (1, 0))
    ours = nn.Sequential(nn.Conv2d(3, 3, 3, groups=3, bias=False), nn.BatchNorm2d(3)).eval()
    ours.load_state_dict({name[2:]: tensor for name, tensor in moves.finish()[0].items()})
    with torch.no_grad():
        expected = layer(torch.cat([first, second], dim=1))[:, [2, 0, 1]]
        torch.testing.assert_close(ours(torch.cat([second, first], dim=1)), expected)


def test_blocks_that_do_not_add_up():
    moves = translator(w=torch.ones(1, 6, 1, 1))
    moves.move("w", "x")
    with pytest.raises(InputError, match="x has 6 channels, not blocks of"):
        moves.reorder_inputs("x", (2, 2), (1, 0))


def test_a_bias_before_a_norm_moves_into_its_mean():
    layer = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3)).eval()
    layer[1].running_var.data = torch.rand(3) + 0.5
    moves = Translator(layer.state_dict(), origin="")
    moves.move("", "x")
    moves.fold_bias("x.0", "x.1")
    ours = nn.Sequential(nn.Conv2d(2, 3, 1, bias=False), nn.BatchNorm2d(3)).eval()
    ours.load_state_dict({name[2:]: tensor for name, tensor in moves.finish()[0].items()})
    image = torch.randn(1, 2, 4, 4)
    with torch.no_grad():
        torch.testing.assert_close(ours(image), layer(image))
    assert torch.equal(layer[1].running_mean, torch.zeros(3))  # the source is left as it was


def test_a_first_convolution_trained_on_bgr():
    conv = nn.Conv2d(3, 2, 3, bias=False)
    moves = Translator(conv.state_dict(), origin="")
    moves.move("weight", "conv1.weight")
    moves.flip_input_channels("conv1")
    image = torch.randn(1, 3, 5, 5)
    with torch.no_grad():
        found = F.conv2d(image, moves.weights["conv1.weight"])
        torch.testing.assert_close(found, conv(image.flip(1)))


def test_scales_of_in_place_norms():
    names = ("weight", "bias", "running_mean", "running_var")
    tensors = {f"a.bn.{name}": torch.tensor([-2.0, 1.0]) for name in names}
    moves = Translator({**tensors, "a.conv.weight": -ones(2), "b.bn.weight": -ones(2)}, origin="")
    moves.move("a", "a")
    moves.move("b", "b")
    moves.make_scales_positive("a", eps=0.5)
    assert moves.weights["a.bn.weight"].tolist() == [2.5, 1.5]
    assert moves.weights["a.bn.bias"].tolist() == [-2, 1]
    assert moves.weights["a.conv.weight"].tolist() == [-1, -1]
    assert moves.weights["b.bn.weight"].tolist() == [-1, -1]


def test_a_scale_of_another_shape():
    moves = translator(gamma=ones(1))
    moves.move("gamma", "scale")
    moves.reshape("scale", ())
    assert moves.weights["scale"].shape == ()


def test_weights_come_out_as_float32_with_their_counters():
    moves = translator(bn__weight=ones(2).half(), bn__running_mean=ones(2).double())
    moves.move("bn", "x")
    weights, _ = moves.finish()
    assert {name: tensor.dtype for name, tensor in weights.items()} == {
        "x.weight": torch.float32,
        "x.running_mean": torch.float32,
        "x.num_batches_tracked": torch.int64,
    }


def test_resnets_are_told_by_their_blocks():
    def names(counts, bottleneck):
        blocks = [(s + 1, b) for s, count in enumerate(counts) for b in range(count)]
        convs = (1, 2, 3) if bottleneck else (1, 2)
        return {f"x.layer{s}.{b}.conv{c}.weight": ones(1) for s, b in blocks for c in convs}

    for counts, bottleneck, name in [
        ((2, 2, 2, 2), False, "resnet18"),
        ((3, 4, 6, 3), False, "resnet34"),
        ((3, 4, 6, 3), True, "resnet50"),
        ((3, 4, 23, 3), True, "resnet101"),
        ((3, 8, 36, 3), True, "resnet152"),
        ((1, 1, 1, 1), True, None),
    ]:
        assert recognition.resnet_name(names(counts, bottleneck), "x.") == name
        assert recognition.resnet_name(names(counts, bottleneck), "y.") is None


def test_class_tables():
    voc, cityscapes = class_tables.labels_by_count(21), class_tables.labels_by_count(19)
    assert voc is not None
    assert voc.class_names[15] == "person"
    assert voc.palette[15] == (192, 128, 128)  # VOC2012's colour of a person
    assert cityscapes is not None
    assert cityscapes.class_names[18] == "bicycle"
    assert cityscapes.palette[0] == (128, 64, 128)
    assert class_tables.labels_by_count(7) is None


def test_a_palette_of_the_wrong_length_is_not_used():
    labels = class_tables.named_labels(["a", "b"], [[1, 2, 3]])
    assert labels.palette == ((0, 0, 0), (128, 0, 0))
    assert class_tables.named_labels(["a"], [[1, 2, 3]]).palette == ((1, 2, 3),)
