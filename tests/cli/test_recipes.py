"""What stands on the command line beside a recipe."""

import os

import pytest

from dualseg.cli.recipes import read_recipe


def read(*overrides, recipe="default"):
    """The recipe, and what was said."""
    told = []
    return read_recipe(recipe, "streets", list(overrides), report=told.append), told


@pytest.mark.parametrize("name", [b"bytes \xff", b"two\nlines", b"it's: # \xf0\x9f\x98\x80"])
def test_a_folder_may_have_any_name_that_the_disk_takes(tmp_path, name):
    folder = tmp_path / os.fsdecode(name)
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system has no such names")
    assert read_recipe(None, str(folder), []).data.root == str(folder)


def test_another_backbone_takes_the_recipes_output_stride_where_it_can():
    recipe, told = read("model.backbone=resnet50")
    assert (recipe.model.output_stride, told) == (16, [])


@pytest.mark.parametrize("override", ["model.backbone=drn_d_22", "model={backbone: drn_d_22}"])
def test_another_backbone_takes_the_closest_output_stride_it_has(override):
    recipe, told = read(override)
    assert recipe.model.output_stride == 8
    assert told == ["output stride 8: drn_d_22 cannot run at 16, the recipe's"]


def test_an_output_stride_that_is_given_stays():
    recipe, told = read("model.backbone=drn_d_22", "model.output_stride=32")
    assert (recipe.model.output_stride, told) == (32, [])


def test_an_unknown_backbone_is_left_to_the_network():
    recipe, told = read("model.backbone=resnet19")
    assert (recipe.model.output_stride, told) == (16, [])
