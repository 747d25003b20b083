import pytest
import torch
from tiny import tiny_recipe

from dualseg.core.errors import InputError
from dualseg.models.catalog import create_model
from dualseg.training.smallest_map import require_two_values


def recipe(batch_size: int, accumulate_steps: int = 1, **dsrl):
    return tiny_recipe(
        {
            "training": {"batch_size": batch_size, "accumulate_steps": accumulate_steps},
            "data": {"input_scale": 0.5},
            "model": {"output_stride": 16},
            "dsrl": {"enabled": True, **dsrl},
        }
    )


def forward(crop_size: tuple[int, int], **dsrl) -> None:
    """One image through the real network in training mode."""
    torch.manual_seed(0)
    model = create_model("fcn", backbone="resnet18", num_classes=2, dsrl={"stage": 3, **dsrl})
    model(torch.randn(1, 3, crop_size[0] // 2, crop_size[1] // 2))


CASES = [
    ((32, 32), {}, "deepest feature"),  # 16x16 at stride 16
    ((64, 64), {"affinity_subsampling": 64}, "map of the feature affinity"),  # 64x64 pooled by 64
]


@pytest.mark.parametrize(("crop_size", "dsrl", "said"), CASES)
def test_one_image_on_one_position_is_refused_where_torch_would_fail(crop_size, dsrl, said):
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        forward(crop_size, **dsrl)
    with pytest.raises(InputError, match=f"single position in the {said}, and"):
        require_two_values(recipe(1, **dsrl), crop_size)
    require_two_values(recipe(2, **dsrl), crop_size)


@pytest.mark.parametrize(
    ("crop_size", "dsrl"),
    [((64, 64), {}), ((32, 34), {}), ((66, 64), {"affinity_subsampling": 64})],
)
def test_two_positions_are_enough(crop_size, dsrl):
    forward(crop_size, **dsrl)
    require_two_values(recipe(1, **dsrl), crop_size)


def test_the_message_says_what_would_do():
    with pytest.raises(InputError) as caught:
        require_two_values(recipe(4, accumulate_steps=4), (32, 32))
    for remedy in ("crop_size=[64,64]", "batch_size=8", "accumulate_steps=1"):
        assert remedy in str(caught.value)
    require_two_values(recipe(4, accumulate_steps=4), (64, 64))
    require_two_values(recipe(8, accumulate_steps=4), (32, 32))
    require_two_values(recipe(4, accumulate_steps=1), (32, 32))
