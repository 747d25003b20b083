import yaml

from dualseg.config import list_recipes, load_recipe


def test_recipes_lists_every_packaged_recipe_with_what_was_published(dualseg):
    rows = {row["name"]: row for row in dualseg("recipes", "--json").json["recipes"]}

    assert list(rows) == list_recipes()
    assert ".769" in rows["voc_deeplabv3_resnet50"]["Published"]
    assert rows["voc_deeplabv3_resnet50"]["Here"] == "not reproduced here"
    assert "voc_deeplabv3_resnet50" in dualseg("recipes").stdout


def test_a_printed_recipe_is_one_that_can_be_trained(dualseg, tmp_path):
    printed = dualseg("recipes", "voc_devils_phase2").stdout
    (tmp_path / "mine.yaml").write_text(printed)

    assert load_recipe(tmp_path / "mine.yaml") == load_recipe("voc_devils_phase2")
    assert yaml.safe_load(printed)["training"]["freeze_batchnorm"] == "all"


def test_an_unknown_recipe_is_refused_with_the_nearest(dualseg):
    finished = dualseg("recipes", "voc_deeplabv3_resnet5")

    assert finished.code == 2
    assert "voc_deeplabv3_resnet50" in finished.stderr
