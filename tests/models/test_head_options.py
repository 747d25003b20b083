"""Head options as a recipe gives them: the right kind, or one message."""

from typing import get_type_hints

import pytest

from dualseg.core.errors import InputError
from dualseg.models.catalog import create_model
from dualseg.models.entries import ENTRIES
from dualseg.models.heads.create import HEAD_CLASSES


def build(name="deeplabv3plus", **options):
    return create_model(name, backbone="resnet18", num_classes=3, head_options=options)


@pytest.mark.parametrize("name", ENTRIES)
def test_every_option_of_an_entry_is_an_argument_of_its_head(name):
    assert set(ENTRIES[name].options) <= set(get_type_hints(HEAD_CLASSES[name].__init__))


def test_a_list_of_a_file_is_taken_where_numbers_are_asked_for():
    assert build("pspnet", pool_sizes=[1, 2]).architecture["head_options"] == {"pool_sizes": [1, 2]}
    assert build(decoder_channels=[16, 8]).state_dict()["predictor.conv.weight"].shape[1] == 8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": "abc"}, "'channels' of deeplabv3plus is 'abc': input should be a valid int"),
        ({"channels": 0}, "'channels' of deeplabv3plus is 0; give whole numbers from 1 up"),
        ({"decoder_channels": 64}, "'decoder_channels' of deeplabv3plus is 64: input should be"),
        ({"decoder_channels": ["a"]}, "'decoder_channels' of deeplabv3plus is"),
        ({"decoder_channels": []}, "give whole numbers from 1 up"),
        ({"decoder_channels": [8, -1]}, "is [8, -1]; give whole numbers from 1 up"),
        ({"dropout": 2}, "'dropout' of deeplabv3plus is 2; give 0 to 1"),
        ({"dropout": "2"}, "'dropout' of deeplabv3plus is '2'; give 0 to 1"),
        ({"channels": "0"}, "'channels' of deeplabv3plus is '0'; give whole numbers from 1 up"),
        ({"chanels": 8}, "no head option 'chanels'"),
    ],
)
def test_what_no_head_can_be_built_from_is_refused(options, message):
    with pytest.raises(InputError) as refused:
        build(**options)
    assert message in str(refused.value)


def test_a_head_without_options_says_so():
    with pytest.raises(InputError, match="has no head options"):
        create_model("deeplabv1", num_classes=3, head_options={"channels": 8})
