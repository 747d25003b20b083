"""Every rewrite gives the network's own logits, in fp32, at even and odd sizes and in batches."""

import pytest
import torch
from torch import nn

from dualseg.export.rewrites.attention_in_parts import (
    SelfAttentionInParts,
    attend_in_parts,
    split_attention,
)
from dualseg.export.rewrites.batch_norms import fold_batch_norms
from dualseg.export.rewrites.copying import shared_copy
from dualseg.export.rewrites.dead_branches import drop_dead_branches
from dualseg.export.rewrites.dilated import FORMS, is_dilated, rewrite_dilated
from dualseg.export.rewrites.grids import GridPool
from dualseg.export.rewrites.pooled_context import fuse_before_enlarging
from dualseg.export.rewrites.pooling import make_pooling_exportable
from dualseg.export.rewrites.shared_aspp import SharedASPP, share_aspp_inputs
from dualseg.models.backbones.create import create_backbone
from dualseg.models.catalog import create_model
from dualseg.models.heads.ocnet import SelfAttention
from dualseg.models.heads.psp import PSPHead
from dualseg.models.layers import ASPP

INPUTS = [(1, 64, 96), (1, 61, 83), (2, 49, 66)]


def alive(model):
    """Norms that scale and shift; attention that takes part, and is no arg-max of noise."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            nn.init.uniform_(module.running_mean, -0.3, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.3, 0.3)
    for name, parameter in model.named_parameters():
        if name.endswith("gamma"):
            nn.init.constant_(parameter, 0.7)
        if ".query." in name or ".key." in name:
            parameter.data.mul_(0.1)
    return model.eval()


def network(name, **options):
    options = {"backbone": "resnet18", "num_classes": 5} | options
    return alive(create_model(name, **options))


@torch.no_grad()
def assert_same(rewritten, model, inputs=INPUTS):
    """Logits agree to 1e-5 of the largest."""
    in_channels = next(iter(model.parameters())).shape[1]
    for batch, height, width in inputs:
        images = torch.randn(batch, in_channels, height, width)
        wanted, got = model(images), rewritten(images)
        wanted, got = getattr(wanted, "logits", wanted), getattr(got, "logits", got)
        assert got.shape == wanted.shape
        assert (got - wanted).abs().max() <= 1e-5 * wanted.abs().max()


def count(model, kind):
    return sum(isinstance(module, kind) for module in model.modules())


class TestBatchNorms:
    @pytest.mark.parametrize(
        "options",
        [
            {"name": "deeplabv3plus", "output_stride": 16},
            {"name": "deeplabv3plus", "backbone": "mobilenet_v2"},
            {"name": "deeplabv3plus", "backbone": "mobilenet_v2", "dsrl": True},
            {"name": "bisenet"},
            {"name": "ccnet", "backbone": "resnet18"},
        ],
    )
    def test_folded_networks_answer_the_same_without_any_norm(self, options):
        model = network(**options)
        folded = fold_batch_norms(drop_dead_branches(model))
        assert_same(folded, model)
        assert count(folded, nn.BatchNorm2d) == 0

    def test_norms_before_a_convolution_stay(self):
        model = network("densenet_fusion", backbone="densenet121")
        folded = fold_batch_norms(model)
        assert_same(folded, model, INPUTS[:1])
        assert 0 < count(folded, nn.BatchNorm2d) < count(model, nn.BatchNorm2d)

    @pytest.mark.parametrize("groups", [1, 2, 6])
    def test_grouped_transposed_convolutions_fold(self, groups):
        transposed = nn.ConvTranspose2d(6, 12, 4, stride=2, padding=1, groups=groups)
        model = alive(nn.Sequential(nn.Conv2d(3, 6, 1), transposed, nn.BatchNorm2d(12)))
        assert_same(fold_batch_norms(model), model)
        assert count(fold_batch_norms(model), nn.BatchNorm2d) == 0

    def test_a_convolution_read_twice_keeps_its_norm(self):
        class Twice(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

            def forward(self, images):
                maps = self.conv(images)
                return maps + self.norm(maps)

        model = alive(Twice())
        folded = fold_batch_norms(model)
        assert_same(folded, model)
        assert count(folded, nn.BatchNorm2d) == 1

    def test_a_norm_after_two_convolutions_stays(self):
        class Shared(nn.Module):
            def __init__(self):
                super().__init__()
                self.one, self.two = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)
                self.norm = nn.BatchNorm2d(4)

            def forward(self, images):
                return self.norm(self.one(images)) + self.norm(self.two(images))

        model = alive(Shared())
        folded = fold_batch_norms(model)
        assert_same(folded, model)
        assert count(folded, nn.BatchNorm2d) == 1

    def test_the_network_given_is_left_as_it_was(self):
        model = network("deeplabv3").train()
        before = {name: value.clone() for name, value in model.state_dict().items()}
        fold_batch_norms(model)
        assert model.training
        assert count(model, nn.BatchNorm2d) > 0
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


class TestDeadBranches:
    def test_stages_nobody_reads_are_gone(self):
        class FirstFeature(nn.Module):
            def __init__(self):
                super().__init__()
                self.backbone = create_backbone("resnet18", output_stride=32)
                self.classifier = nn.Conv2d(64, 5, 1)

            def forward(self, images):
                return self.classifier(self.backbone(images)[1])

        model = alive(FirstFeature())
        live = drop_dead_branches(model)
        assert_same(live, model)
        names = [name for name, module in live.backbone.body.named_children()]
        gone = [n for n in names if isinstance(live.backbone.body.get_submodule(n), nn.Identity)]
        assert gone == ["layer2", "layer3", "layer4"]

    def test_training_branches_are_gone(self):
        model = network("deeplabv3plus", dsrl=True, auxiliary="all")
        live = drop_dead_branches(model)
        assert_same(live, model)
        pruned = sum(p.numel() for p in model.prune().parameters())
        assert sum(p.numel() for p in live.parameters()) <= pruned

    def test_every_weight_left_is_needed(self):
        model = network("danet")
        live = drop_dead_branches(model)
        live(torch.randn(1, 3, 64, 96)).logits.square().sum().backward()
        assert [n for n, p in live.named_parameters() if p.grad is None] == []


class TestDilated:
    @pytest.mark.parametrize("form", FORMS)
    @pytest.mark.parametrize("dilation", [2, 5, 12, 36])
    @pytest.mark.parametrize("bias", [False, True])
    def test_every_form_equals_the_convolution(self, form, dilation, bias):
        model = nn.Sequential(nn.Conv2d(4, 7, 3, padding=dilation, dilation=dilation, bias=bias))
        rewritten = rewrite_dilated(model, form)
        assert not is_dilated(rewritten[0])
        assert_same(rewritten, model, [(1, 16, 32), (2, 13, 7), (1, 1, 5), (2, 37, 40)])

    @pytest.mark.parametrize("form", FORMS)
    def test_a_whole_network_in_every_form(self, form):
        model = network("deeplabv3", backbone="resnet18", output_stride=8)
        rewritten = rewrite_dilated(model, form)
        assert not any(is_dilated(module) for module in rewritten.modules())
        assert_same(rewritten, model)

    @pytest.mark.parametrize(
        "convolution",
        [
            nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=4),
            nn.Conv2d(4, 4, 3, padding=2, dilation=2, stride=2),
            nn.Conv2d(4, 4, 3, padding=1, dilation=2),
            nn.Conv2d(4, 4, 3, padding=2, dilation=2, padding_mode="reflect"),
            nn.Conv2d(4, 4, (3, 5), padding=(2, 4), dilation=2),
            nn.Conv2d(4, 4, 3, padding=1),
        ],
    )
    def test_others_are_left_alone(self, convolution):
        assert not is_dilated(convolution)


class TestSharedASPP:
    @pytest.mark.parametrize("variant", ["projected", "bottleneck"])
    @pytest.mark.parametrize("is_folded", [False, True])
    def test_equals_the_branches(self, variant, is_folded):
        model = network("deeplabv3", head_variant=variant, output_stride=8)
        before = fold_batch_norms(model) if is_folded else model
        rewritten = share_aspp_inputs(before)
        assert count(rewritten, SharedASPP) == 1
        assert_same(rewritten, model)

    def test_separable_branches_are_left_alone(self):
        model = network("deeplabv3plus")
        assert count(share_aspp_inputs(model), ASPP) == 1


class TestPooling:
    @pytest.mark.parametrize("size", [(6, 6), (7, 11), (64, 33), (2, 3)])
    @pytest.mark.parametrize("cells", [(1, 1), (2, 3), (6, 6)])
    def test_equals_adaptive_pooling(self, size, cells):
        maps = torch.randn(2, 3, *size)
        wanted = nn.AdaptiveAvgPool2d(cells)(maps)
        torch.testing.assert_close(GridPool(cells)(maps), wanted, rtol=1e-5, atol=1e-6)

    def test_bf16_counts_exactly(self):
        maps = torch.ones(1, 1, 23, 37, dtype=torch.bfloat16)
        assert GridPool((3, 5))(maps).eq(1).all()

    @pytest.mark.parametrize("align_corners", [False, True])
    @pytest.mark.parametrize("rewrite", [make_pooling_exportable, fuse_before_enlarging])
    @pytest.mark.parametrize("variant", ["standard", "smp"])
    def test_psp_answers_the_same(self, rewrite, variant, align_corners):
        model = network("pspnet", head_variant=variant, align_corners=align_corners)
        rewritten = rewrite(model)
        assert count(rewritten, PSPHead) == 0
        assert_same(rewritten, model)
        assert_same(rewrite(fold_batch_norms(model)), model)

    def test_modules_are_replaced_but_for_sides_left_open(self):
        model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d((None, 3))).eval()
        pooled = nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(3)).eval()
        assert count(make_pooling_exportable(model), GridPool) == 0
        assert count(make_pooling_exportable(pooled), GridPool) == 1
        assert_same(make_pooling_exportable(pooled), pooled)


class TestAttention:
    @pytest.mark.parametrize("parts", [1, 3, 16])
    def test_danet_answers_the_same(self, parts):
        model = network("danet", output_stride=8)
        assert_same(split_attention(model, parts), model)

    @pytest.mark.parametrize("variant", ["base", "asp"])
    def test_ocnet_answers_the_same(self, variant):
        model = network("ocnet", head_variant=variant, output_stride=8)
        for module in model.modules():
            if isinstance(module, SelfAttention):  # starts at 0
                nn.init.normal_(module.output.weight, std=0.1)
                nn.init.normal_(module.output.bias, std=0.1)
        split = split_attention(model, 4)
        assert count(split, SelfAttentionInParts) == 1
        assert_same(split, model)

    def test_attention_inside_the_regions_of_a_grid_stays(self):
        model = network("ocnet", head_variant="pyramid", output_stride=8)
        assert count(split_attention(model, 4), SelfAttentionInParts) == 1
        assert count(split_attention(model, 4), SelfAttention) == 4

    def test_parts_need_not_come_out_even(self):
        query, key, value = torch.randn(2, 7, 3), torch.randn(2, 5, 3), torch.randn(2, 5, 4)
        wanted = torch.softmax(query @ key.mT, dim=2) @ value
        for parts in (1, 2, 3, 7, 9):
            got = attend_in_parts(query, key, value, parts)
            torch.testing.assert_close(got, wanted)


def test_a_shared_copy_has_the_same_tensors_and_other_modules():
    model = network("deeplabv3plus").train()
    copied = shared_copy(model)
    assert all(a is b for a, b in zip(copied.parameters(), model.parameters(), strict=True))
    assert all(a is b for a, b in zip(copied.buffers(), model.buffers(), strict=True))
    assert copied.backbone is not model.backbone
    assert model.training
    assert not copied.training
