import huggingface_hub
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from dualseg.core.errors import InputError
from dualseg.models.backbones import drn
from dualseg.models.backbones.create import (
    FAMILIES,
    create_backbone,
    list_backbones,
    summary_of_backbones,
)

EVERY = [
    (name, output_stride)
    for family in FAMILIES.values()
    for name in family.names
    for output_stride in family.output_strides
]


def on_meta(name, **options):
    with torch.device("meta"):
        return create_backbone(name, **options)


@pytest.mark.parametrize(("name", "output_stride"), EVERY)
def test_every_backbone_runs_at_every_stride_it_lists(name, output_stride):
    backbone = on_meta(name, output_stride=output_stride).eval()
    features = backbone(torch.zeros(1, 3, 65, 97, device="meta"))
    assert backbone.feature_info[-1].stride == output_stride
    assert isinstance(features, list)
    for feature, (channels, stride) in zip(features, backbone.feature_info, strict=True):
        assert feature.shape == (1, channels, -(-65 // stride), -(-97 // stride))
    strides = [info.stride for info in backbone.feature_info]
    assert strides == sorted(strides)
    assert strides[backbone.auxiliary_index] <= output_stride


def test_our_names_come_first():
    names = list_backbones()
    assert names[:2] == ["resnet18", "resnet34"]
    assert len(names) == len(set(names))
    assert {"mobilenet_v3_large", "xception65", "drn_d_54", "vgg16", "convnext_tiny"} <= set(names)


def test_the_summary_has_a_row_for_each_family_and_one_for_timm():
    rows = summary_of_backbones()
    assert [row["family"] for row in rows] == [*FAMILIES, "timm"]
    assert rows[0]["names"].startswith("resnet18, resnet34")
    assert (rows[0]["output_strides"], rows[0]["stems"]) == ("8, 16, 32", "b, c, d, s, e")
    assert all(row["source"] for row in rows)


def test_options_reach_the_network():
    backbone = on_meta(
        "resnet50",
        output_stride=8,
        options={"ceil_pool": True, "stride_on": "1x1", "norm_eps": 1e-3},
    )
    assert backbone.body.maxpool.ceil_mode
    assert backbone.body.layer2[0].conv1.stride == (2, 2)
    norms = [m for m in backbone.modules() if isinstance(m, nn.BatchNorm2d)]
    assert {norm.eps for norm in norms} == {1e-3}


def test_padding_options_reach_mobilenet_v2():
    backbone = on_meta(
        "mobilenet_v2", output_stride=16, options={"pad_before_expand": True, "pad_stem": False}
    )
    assert backbone.body.blocks[2][1].conv_pw.padding == (1, 1)
    assert backbone.body.conv_stem.padding == (0, 0)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet50", {"cell_pool": True}, "has no backbone option 'cell_pool'; did you mean ceil_"),
        ("mobilenet_v3_large", {"ceil_pool": True}, "'ceil_pool'; allowed: norm_eps"),
        ("resnet50", {"pad_stem": False}, "'pad_stem'; allowed: ceil_pool, .*stride_on"),
        ("resnet50", {"ceil_pool": "yes"}, "ceil_pool 'yes' must be true or false"),
        ("resnet50", {"norm_eps": 0}, "norm_eps 0 must be a positive number"),
        ("resnet50", {"norm_eps": True}, "norm_eps True must be a positive number"),
        ("vgg11", {"norm_eps": 1e-3}, "this backbone has none; leave it out"),
        ("vgg16", {"norm_eps": 1e-3}, "vgg16 has no backbone option 'norm_eps'; allowed: pools"),
        ("drn_d_22", {"ceil_pool": True}, "'ceil_pool'; allowed: norm_eps"),
        ("densenet121", {"squeeze_excite": 0.5}, "squeeze_excite 0.5 must be a whole number"),
        ("dense30k48", {"compresion": True}, "did you mean compression"),
        ("resnet50", {"depth": "3"}, "depth '3' must be a whole number"),
        ("resnet50", {"depth": True}, "depth True must be a whole number"),
        ("resnet50", {"depth": 6}, "depth 6: resnet50 gives 1 to 5 features"),
        ("resnet50", {"drop_path_rate": 1}, "drop_path_rate 1 must be a number from 0 to below 1"),
        ("resnet50", {"drop_path_rate": "0.1"}, "drop_path_rate '0.1' must be a number"),
        ("vgg11", {"drop_path_rate": 0.1}, "vgg11 has no residual blocks .*leave drop_path_rate"),
        ("hrnet_w18_small", {"drop_path_rate": 0.1}, "has no residual blocks"),
        ("vgg16", {"drop_path_rate": 0.1}, "vgg16 has no backbone option 'drop_path_rate'"),
        ("test_vit", {"depth": 1}, "test_vit cannot be cut short; set depth to null"),
    ],
)
def test_options_that_do_not_apply_are_refused(name, options, message):
    with pytest.raises(InputError, match=message):
        on_meta(name, output_stride=32, options=options)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "xception65", "efficientnet_b0"])
def test_blocks_are_skipped_in_training_alone(name):
    torch.manual_seed(0)
    backbone = create_backbone(name, output_stride=16, options={"drop_path_rate": 0.5})
    plain = create_backbone(name, output_stride=16)
    plain.load_state_dict(backbone.state_dict())
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        trained = [backbone(images)[-1] for _ in range(2)]
        backbone.load_state_dict(plain.state_dict())  # their batch norms have moved
        assert not torch.equal(*trained)
        torch.testing.assert_close(backbone.eval()(images)[-1], plain.eval()(images)[-1])


@pytest.mark.parametrize(
    ("option", "value"), [("stem", "b"), ("first_block", "full"), ("multi_grid", (1, 2, 4))]
)
def test_dilation_rules_are_refused_where_there_is_one_form(option, value):
    with pytest.raises(InputError, match=f"mobilenet_v3_large has one form; leave {option} out"):
        create_backbone("mobilenet_v3_large", output_stride=16, **{option: value})


def test_an_unknown_name_lists_the_nearest_of_all_names():
    with pytest.raises(InputError, match="did you mean mobilenet_v3_large"):
        create_backbone("mobilenet_v3_larg", output_stride=16)


def test_a_tagged_timm_name_is_taken():
    backbone = on_meta("resnet18.a1_in1k", output_stride=16)
    assert backbone.feature_info[-1] == (512, 16)


def test_options_reach_the_densenets():
    backbone = on_meta(
        "dense30k48",
        output_stride=16,
        options={"stem": "deep", "compression": False, "squeeze_excite": 4},
    )
    assert backbone.feature_info[0] == (128, 2)
    # 128 + 6 * 48 = 416 channels, kept by the transition, and 8 * 48 more.
    assert [info.channels for info in backbone.feature_info[1:3]] == [416, 800]


def test_depth_leaves_the_last_stages_out():
    backbone = on_meta("resnet18", output_stride=8, options={"depth": 3})
    assert [tuple(info) for info in backbone.feature_info] == [(64, 2), (64, 4), (128, 8)]
    assert not any(key.startswith("body.layer3") for key in backbone.state_dict())
    with pytest.raises(InputError, match="depth 3 cuts off the stage that multi_grid is for"):
        on_meta("resnet50", output_stride=8, options={"depth": 3}, multi_grid=(1, 2, 4))


def test_pools_reach_vgg():
    backbone = on_meta("vgg16", output_stride=8, options={"pools": "large_fov"})
    assert isinstance(backbone.pools[-1][-1], nn.AvgPool2d)


def test_drn_a_dilates_no_first_block():
    body = on_meta("drn_a_50", output_stride=8).body
    assert [block.conv2.dilation[0] for block in body.layer3] == [1, 2, 2, 2, 2, 2]
    assert [block.conv2.dilation[0] for block in body.layer4] == [1, 4, 4]
    with pytest.raises(InputError, match="drn_a_50 cannot run at output_stride 16; use 8"):
        on_meta("drn_a_50", output_stride=16)


def test_timms_download_fills_our_own_networks(monkeypatch, tmp_path):
    published = timm.create_model("densenet121", num_classes=3)
    for parameter in published.parameters():
        nn.init.normal_(parameter)
    save_file(published.state_dict(), tmp_path / "model.safetensors")
    monkeypatch.setattr(
        huggingface_hub, "try_to_load_from_cache", lambda *_: str(tmp_path / "model.safetensors")
    )
    backbone = create_backbone("densenet121", output_stride=16, pretrained=True)
    values = {tuple(v.flatten()[:4].tolist()) for v in published.state_dict().values()}
    for key, parameter in backbone.named_parameters():
        assert tuple(parameter.flatten()[:4].tolist()) in values, key


def test_a_drn_takes_its_authors_file(tmp_path):
    first = drn.DRN("drn_d_22")
    authors = {**first.state_dict(), "fc.weight": torch.zeros(10, 512, 1, 1)}
    save_file(authors, tmp_path / "w.safetensors")
    second = create_backbone(
        "drn_d_22", output_stride=8, pretrained=str(tmp_path / "w.safetensors")
    )
    for key, value in second.state_dict().items():
        assert torch.equal(value, first.state_dict()[key]), key


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("drn_d_22", "are on no hub; take its authors' file .https://github.com/fyu/drn"),
        ("densenet264", "nobody publishes weights of densenet264; use pretrained: false"),
        ("dense30k48", "nobody publishes weights of dense30k48; use pretrained: false"),
    ],
)
def test_downloads_that_do_not_exist_are_refused(name, message):
    with pytest.raises(InputError, match=message):
        create_backbone(name, output_stride=8, pretrained=True)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_large", "drn_d_22"])
def test_weights_are_read_from_a_path_as_from_its_text(name, tmp_path):
    torch.manual_seed(0)
    stride = 16 if name == "mobilenet_v3_large" else 8
    tensors = create_backbone(name, output_stride=stride).state_dict()
    path = tmp_path / "w.safetensors"
    inner = {key.removeprefix("body."): value.contiguous() for key, value in tensors.items()}
    save_file(inner, path)
    read = create_backbone(name, output_stride=stride, pretrained=path).state_dict()
    assert all(torch.equal(read[key], value) for key, value in tensors.items())


@pytest.mark.parametrize("pretrained", [None, 1, ["w.pth"]])
def test_pretrained_that_is_no_path_is_refused(pretrained):
    with pytest.raises(InputError, match="give true, false or the path of a weights file"):
        create_backbone("resnet18", output_stride=32, pretrained=pretrained)
