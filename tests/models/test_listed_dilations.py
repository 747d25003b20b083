"""Dilations given one by one."""

import pytest
import torch
from torch import nn

from dualseg.core.errors import InputError
from dualseg.models.backbones.listed_dilations import set_dilations


class Body(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 1, 3, stride=2, padding=1, bias=False)
        self.point = nn.Conv2d(1, 1, 1, bias=False)
        self.last = nn.Conv2d(1, 1, 3, padding=4, dilation=4, bias=False)

    def forward(self, image):
        return self.last(self.point(self.first(image)))


def test_what_is_named_is_dilated_and_nothing_else():
    body = Body()
    set_dilations(body, {"first": 2})
    assert body.first.dilation == (2, 2)
    assert body.first.stride == (2, 2)
    assert body.last.dilation == (1, 1)
    assert body.point.padding == (0, 0)
    assert body(torch.zeros(1, 1, 9, 8)).shape == (1, 1, 5, 4)


def test_a_convolution_that_keeps_its_dilation_keeps_its_padding():
    body = Body()
    body.first = nn.Conv2d(1, 1, 4, stride=4)  # cuts patches
    set_dilations(body, {"last": 2})
    assert body(torch.zeros(1, 1, 8, 12)).shape == (1, 1, 2, 3)


def test_a_dilated_filter_reads_at_its_distance():
    body = Body()
    set_dilations(body, {"first": 3})
    nn.init.zeros_(body.first.weight)
    body.first.weight.data[0, 0, 1, 2] = 1  # the right neighbour
    image = torch.arange(8.0).reshape(1, 1, 1, 8)
    assert body.first(image).flatten().tolist() == [3, 5, 7, 0]  # at columns 0, 2, 4 and 6, plus 3


@pytest.mark.parametrize(
    ("dilations", "message"),
    [
        ({"firts": 2}, "firts: there is no such convolution; did you mean first"),
        ({"point": 2}, "point: there is no such convolution"),
        ({"first": 0}, "first: 0 must be a whole number of at least 1"),
        ({"first": True}, "first: True must be"),
    ],
)
def test_a_wrong_name_or_number(dilations: dict, message: str):
    with pytest.raises(InputError, match=message):
        set_dilations(Body(), dilations)
