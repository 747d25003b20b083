"""Contract: what holds for every network in the catalogue, with and without DSRL."""

import copy

import pytest
import torch

import dualseg
from dualseg.core.errors import InputError
from dualseg.models.backbones.families import FAMILIES
from dualseg.models.backbones.multi_scale import MultiScaleBackbone
from dualseg.models.catalog import ENTRIES, create_model, list_models

# Small backbones that still have what a network needs; elsewhere ResNet-18.
BACKBONE_FOR = {
    "deeplabv1": "vgg16",
    "lraspp": "mobilenet_v3_large",
    "densenet_fusion": "dense30k12",
}
NETWORKS = [
    (name, BACKBONE_FOR.get(name, "resnet18"), {"head_variant": variant})
    for name in list_models()
    for variant in (ENTRIES[name].variants or (None,))
]
NETWORKS += [
    ("deeplabv3plus", "mobilenet_v2", {}),
    ("deeplabv3plus", "xception65", {}),
    ("deeplabv3plus", "drn_d_22", {"output_stride": 8}),
    ("deeplabv3plus", "densenet121", {}),
    ("deeplabv3plus", "convnext_atto", {"output_stride": 32}),
    ("deeplabv3plus", "vit_tiny_patch16_224", {"neck": "pyramid"}),
    ("fcn", "swin_tiny_patch4_window7_224", {"output_stride": 32}),
    ("fcn", "vit_tiny_patch16_224", {}),
    ("pspnet", "resnet18", {"neck": "jpu", "output_stride": 32}),
    ("deeplabv3", "resnet18", {"multi_grid": (1, 2), "first_block": "full", "stem": "s"}),
    ("ccnet", "resnet18", {"align_corners": True, "backbone_options": {"ceil_pool": True}}),
]


def network_id(network):
    name, backbone, options = network
    return "-".join([name, backbone, *(str(v) for v in options.values() if v is not None)])


@pytest.fixture(params=NETWORKS, ids=network_id)
def network(request):
    return request.param


def build(network, **options):
    name, backbone, own = network
    torch.manual_seed(0)
    return create_model(name, backbone=backbone, num_classes=4, **{**own, **options})


@pytest.mark.parametrize("dsrl", [False, True])
@pytest.mark.parametrize("size", [(64, 96), (65, 97), (33, 47)])
def test_logits_have_exactly_the_promised_size(network, dsrl, size):
    model = build(network, dsrl=dsrl, auxiliary=True).eval()
    logits = model(torch.randn(1, 3, *size)).logits
    factor = 2 if dsrl else 1
    assert logits.shape == (1, 4, factor * size[0], factor * size[1])


def test_declared_channels_and_strides_are_true(network):
    model = build(network).eval()
    images = torch.randn(1, 3, 65, 130)
    if isinstance(model.backbone, MultiScaleBackbone):  # strides of shrunk copies are rounded
        body = model.backbone.body
        assert_as_declared(body(images), body.feature_info, images)
        return
    assert_as_declared(model.backbone(images), model.backbone.feature_info, images)
    encoding = model.encode(images)
    declared = (model.neck or model.backbone).feature_info + model.head.side_info
    assert_as_declared(encoding.auxiliary_features, declared, images)
    declared = [(model.head.out_channels, model.head.out_stride)]
    assert_as_declared([encoding.features], declared, images)


@pytest.mark.parametrize("dsrl", [False, True])
def test_a_batch_of_one_trains_and_reaches_every_parameter(network, dsrl):
    model = build(network, dsrl=dsrl, auxiliary=True).train()
    output = model(torch.randn(1, 3, 64, 96))
    total = sum(t.square().mean() for t in flatten(output))
    total.backward()
    # With one image the pooled branch is normalised by running statistics; all others by their own.
    without = [
        n for n, p in model.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()
    ]
    assert without == []


def test_weights_saved_and_loaded_give_equal_logits(network):
    model = build(network, dsrl=True).eval()
    again = create_model(**model.architecture)
    again.load_state_dict(model.state_dict())
    images = torch.randn(1, 3, 33, 47)
    assert torch.equal(again.eval()(images).logits, model(images).logits)


@pytest.mark.parametrize("dsrl", [False, True])
def test_pruned_model_gives_the_same_logits(network, dsrl):
    model = build(network, dsrl=dsrl, auxiliary=True).eval()
    images = torch.randn(1, 3, 65, 97)
    pruned = model.prune()
    rebuilt = create_model(**pruned.architecture).eval()
    rebuilt.load_state_dict(pruned.state_dict())
    assert torch.equal(pruned(images).logits, model(images).logits)
    assert torch.equal(rebuilt(images).logits, model(images).logits)
    assert not any(
        word in key for key in pruned.state_dict() for word in ("sisr", "ftm", "auxiliary")
    )


@pytest.mark.parametrize("dsrl", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_pruning_leaves_every_part_in_the_mode_it_is_in(dsrl, training):
    options = {"dsrl": dsrl, "auxiliary": True}
    model = create_model("fcn", backbone="resnet18", num_classes=3, **options).train(training)
    host = model.host if dsrl else model
    host.backbone.train(not training).requires_grad_(False)
    kept = (host.backbone, host.head, host.predictor)
    modes = [module.training for part in kept for module in part.modules()]
    pruned = model.prune()
    assert [module.training for part in kept for module in part.modules()] == modes
    assert pruned.training == pruned.auxiliary_heads.training == training
    assert not any(parameter.requires_grad for parameter in pruned.backbone.parameters())
    assert all(parameter.requires_grad for parameter in pruned.head.parameters())


def test_channels_last_stays_within_tolerance(network):
    model = build(network, dsrl=True).eval()
    images = torch.randn(1, 3, 64, 96)
    expected = model(images).logits
    model = model.to(memory_format=torch.channels_last)
    torch.testing.assert_close(model(images).logits, expected, rtol=1e-3, atol=1e-3)


def test_bf16_is_off_by_no_more_than_its_own_rounding_explains(network):
    # How far rounding can carry depends on the network; so the yardstick is what rounding every
    # weight to bf16 does to the same network, computed in fp32.
    model = build(network, dsrl=True).eval()
    rounded = copy.deepcopy(model)
    for parameter in rounded.parameters():
        parameter.data = parameter.data.bfloat16().float()
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        expected = model(images).logits
        yardstick = (rounded(images).logits - expected).abs().mean()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            lowered = model(images).logits.float()
    assert (lowered - expected).abs().mean() < 4 * yardstick


def test_auxiliary_logits_come_in_training_only(network):
    model = build(network, auxiliary=True)
    images = torch.randn(2, 3, 32, 32)
    shapes = [a.shape for a in model.train()(images).auxiliary_logits]
    assert shapes == [(2, 4, 32, 32)] * max(1, len(model.head.side_info))
    assert model.eval()(images).auxiliary_logits == ()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "deeplabv3puls"}, "did you mean deeplabv3plus"),
        ({"backbone": "resnet81"}, "did you mean resnet18"),
        ({"output_stride": 12}, "use 8, 16 or 32"),
        ({"head_variant": "fancy"}, "allowed: separable, standard, single, single_separable, "),
        ({"neck": "fpn"}, "allowed: jpu, pyramid"),
        ({"neck": "jpu", "output_stride": 8}, "use 32"),
        ({"name": "fcn", "neck": "pyramid"}, "needs no pyramid"),
        ({"backbone": "vit_tiny_patch16_224"}, "neck: pyramid"),
        ({"backbone_options": {"depth": 9}}, "1 to 5 features"),
        ({"oc": "asp"}, "oc is for ocnet"),
        ({"head_options": {"chanels": 3}}, "did you mean channels"),
        ({"auxiliary": "some"}, "true, false or all"),
        ({"name": "pspnet", "atrous_rates": (6,)}, "pspnet has no atrous_rates"),
        ({"num_classes": 0}, "at least 1 class"),
        ({"atrous_rates": (0,)}, "each 1 or more"),
        ({"dsrl": {"stagee": 1}}, "did you mean stage"),
        ({"dsrl": "sanje2v"}, "true, false or a mapping"),
        ({"dsrl": {"sssr": "foo"}}, "'sssr' is 'foo': input should be 'deconvolution'"),
        ({"dsrl": {"sisr": "foo"}}, "'sisr' is 'foo': input should be 'espcn'"),
        ({"dsrl": {"stage": 5}}, "'stage' is 5: input should be 1, 2 or 3"),
        ({"dsrl": {"ftm": "none"}}, "'ftm' is 'none': input should be 'seg' or 'both'"),
        ({"dsrl": {"affinity_features": "y"}}, "should be 'before_prediction' or"),
        ({"dsrl": {"affinity_subsampling": 0}}, "should be greater than 0"),
        ({"dsrl": {"frozen": ["foo"]}}, "should be 'sisr_decoder' or 'ftm'"),
        ({"dsrl": {"frozen": "ftm"}}, "should be a valid tuple"),
        ({"auxiliary_activation": "gelu"}, "use relu, leaky_relu, none"),
        ({"auxiliary_channels": 0}, "at least 1"),
        ({"atrous_rates": []}, "atrous_rates is an empty list"),
        ({"multi_grid": []}, "multi_grid is an empty list"),
        ({"output_stride": 0}, "use 8, 16 or 32"),
        ({"backbone": ""}, "there is no backbone ''"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    settings = {"name": "deeplabv3plus", "backbone": "resnet18", "num_classes": 3, **arguments}
    with pytest.raises(InputError, match=message):
        create_model(**settings)


OWN_STRIDE = {  # output strides of backbones that have not every one
    "mobilenet_v3_large": {8: 16},
    "drn_a_50": {16: 8, 32: 8},
    "swin_tiny_patch4_window7_224": {8: 32, 16: 32},
    "vit_tiny_patch16_224": {8: 16, 32: 16},
}
SINGLE_MAP = {("bisenet", "vit_tiny_patch16_224"), ("deeplabv3plus", "vit_tiny_patch16_224")}
LEFT_OUT = [
    (name, backbone)
    for name in ("fcn", "pspnet", "deeplabv3plus", "bisenet")
    for backbone in (
        *(family.names[0] for family in FAMILIES.values()),
        "swin_tiny_patch4_window7_224",
        "vit_tiny_patch16_224",
        "convnext_atto",
    )
    if (name, backbone) not in SINGLE_MAP
]


@pytest.mark.parametrize(("name", "backbone"), LEFT_OUT)
def test_an_output_stride_left_out_is_one_the_backbone_has(name, backbone):
    with torch.device("meta"):
        model = create_model(name, backbone=backbone, num_classes=4).eval()
        assert model(torch.zeros(1, 3, 64, 96)).logits.shape == (1, 4, 64, 96)
    papers = ENTRIES[name].output_stride
    stride = OWN_STRIDE.get(backbone, {}).get(papers, papers)
    assert model.architecture["output_stride"] == stride


def test_a_neck_or_options_do_not_change_that():
    options = {"depth": 3}
    with torch.device("meta"):
        short = create_model("fcn", backbone="resnet18", backbone_options=options, num_classes=4)
        jpu = create_model("fcn", backbone="resnet18", neck="jpu", num_classes=4)
    assert short.architecture["output_stride"] == 8
    assert jpu.architecture["output_stride"] == 32


def test_looking_for_an_output_stride_draws_no_random_number():
    def weights(output_stride):
        torch.manual_seed(0)
        model = create_model(
            "fcn", backbone="vit_tiny_patch16_224", num_classes=4, output_stride=output_stride
        )
        return list(model.state_dict().values())

    assert all(map(torch.equal, weights(None), weights(16)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": ["fcn"]}, "name is"),
        ({"backbone": 5}, "backbone is 5: input should be a valid string"),
        (
            {"name": "bisenet", "backbone_options": {"spatial_channels": 64}},
            "'spatial_channels' is 64",
        ),
        (
            {"name": "bisenet", "backbone_options": {"spatial_channels": ["a", "b"]}},
            "is .'a', 'b'.",
        ),
        ({"name": "bisenet", "backbone_options": {"spatial_channels": [1.5, 2]}}, "is .1.5, 2."),
        ({"backbone_options": {"dilations": 2}}, "'dilations' is 2: input should be a valid dict"),
        ({"backbone_options": {"dilations": ["conv1"]}}, "should be a valid dictionary"),
        ({"backbone_options": {"norm_eps": float("inf")}}, "norm_eps inf must be a positive"),
        ({"backbone_options": ["a"]}, "backbone_options is"),
        ({"head_options": ["a"]}, "head_options is"),
        ({"multi_grid": 2}, "multi_grid is 2: input should be a valid tuple"),
        ({"multi_grid": [1, 2.5]}, "multi_grid is .1, 2.5.: input should be a valid integer"),
        ({"name": "deeplabv3", "atrous_rates": ["six"]}, "atrous_rates is .'six'."),
        ({"num_classes": 2.0}, "num_classes is 2.0; at least"),
        ({"num_classes": True}, "num_classes is True; at least"),
        ({"auxiliary": True, "auxiliary_channels": "8"}, "auxiliary_channels is '8'; at least"),
    ],
)
def test_arguments_of_another_kind_are_refused(arguments, message):
    settings = {"name": "fcn", "backbone": "resnet18", "num_classes": 3, "output_stride": 32}
    with pytest.raises(InputError, match=message):
        create_model(**{**settings, **arguments})


@pytest.mark.parametrize("backbone", ["drn_d_22", "swin_tiny_patch4_window7_224"])
def test_an_output_stride_that_is_given_is_not_replaced(backbone):
    with pytest.raises(InputError, match="cannot run at output_stride 16"), torch.device("meta"):
        create_model("fcn", backbone=backbone, num_classes=4, output_stride=16)


@pytest.mark.parametrize(("name", "backbone"), sorted(SINGLE_MAP))
def test_a_backbone_of_one_stride_is_refused_for_what_it_lacks(name, backbone):
    with pytest.raises(InputError, match="this backbone gives strides 16, 16, 16"):
        create_model(name, backbone=backbone, num_classes=4)


def test_the_public_names_are_there():
    assert dualseg.create_model is create_model
    assert "resnet50" in dualseg.list_backbones()
    assert "fcn" in dualseg.list_models()


def assert_as_declared(maps, info, images):
    for found, (channels, stride) in zip(maps, info, strict=True):
        size = [-(-side // stride) for side in images.shape[-2:]]
        assert found.shape == (1, channels, *size)


def flatten(output):
    fields = (
        output.logits,
        *output.auxiliary_logits,
        output.image_sr,
        output.features_seg,
        output.features_sr,
    )
    return [t for t in fields if t is not None]
