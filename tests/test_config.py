import pytest
import yaml

from dualseg.config import (
    DSRL_PRESETS,
    Recipe,
    check_recipe,
    dump_yaml,
    list_recipes,
    load_recipe,
    parse_yaml,
)
from dualseg.core.errors import InputError


def write(tmp_path, text):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", list_recipes())
def test_every_packaged_recipe_is_valid_and_survives_a_round_trip(name):
    recipe = load_recipe(name)
    assert check_recipe(parse_yaml(recipe.to_yaml(), origin="again"), origin="again") == recipe


def test_every_fault_is_listed_at_once(tmp_path):
    path = write(
        tmp_path,
        """
        seed: -1
        model: {nam: fcn, output_stride: 7}
        training: {max_epoch: 3, lr: fast}
        data: {crop_size: [4, 4]}
        """,
    )
    with pytest.raises(InputError) as error:
        load_recipe(path)
    text = str(error.value)
    assert "5 faults" in text or "6 faults" in text
    for part in (
        "seed:",
        "model.nam: unknown key; did you mean name?",
        "model.output_stride: input should be 8, 16 or 32 (got 7)",
        "training.max_epoch: unknown key; did you mean max_epochs",
        "training.lr:",
        "crop_size 4x4 is too small",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("override", "shown"),
    [
        ("training.schedule=step", r"between two falls \(got a mapping of \d+ keys\)"),
        (f"model.name={[*range(60)]}", r"valid string \(got a list of 60 entries\)"),
        (f"training.optimizer={'adam' * 30}", r"\(got '(adam){19}ada\.\.\.\)"),
        ("data.scale_range=[2, 1]", r"low <= high \(got \[2, 1\]\)"),
    ],
)
def test_a_fault_shows_what_is_short_and_the_kind_of_what_is_long(override, shown):
    with pytest.raises(InputError, match=shown) as told:
        load_recipe("quickstart", overrides=[override])
    assert all(len(problem) < 200 for problem in told.value.problems)


def test_overrides_win_and_are_typed(tmp_path):
    path = write(
        tmp_path,
        "training: {lr: 0.1, max_epochs: 3}\ndsrl: {enabled: true}\ndata: {input_scale: 0.5}",
    )
    recipe = load_recipe(path, overrides=["training.lr=1e-3", "dsrl.enabled=false"])
    assert recipe.training.lr == 0.001
    assert recipe.dsrl.enabled is False


def test_a_mapping_that_is_a_value_replaces_the_one_below(tmp_path):
    below = """
        training: {max_steps: 1, lr: 0.5, lr_multipliers: {backbone: 0.1}}
        loss: {terms: {cross_entropy: 1.0, focal: 1.0}, focal: {gamma: 3.0}}
        model: {head_options: {dropout: 0.1}}
    """
    path = write(tmp_path, below)
    (tmp_path / "above.yaml").write_text(
        "{base: recipe.yaml, model: {head_options: {channels: 8}}, "
        "training: {lr_multipliers: {head: 10.0}}}"
    )

    recipe = load_recipe(
        tmp_path / "above.yaml", overrides=["loss.terms={focal: 1.0, lovasz: 0.5}", "seed=4"]
    )

    assert recipe.loss.terms == {"focal": 1.0, "lovasz": 0.5}
    assert recipe.loss.focal.gamma == 3.0
    assert recipe.model.head_options == {"channels": 8}
    assert recipe.training.lr_multipliers == {"head": 10.0}
    assert recipe.training.lr == 0.5
    assert load_recipe(path).loss.terms == {"cross_entropy": 1.0, "focal": 1.0}


def test_sections_are_laid_key_by_key_however_they_are_given(tmp_path):
    path = write(
        tmp_path,
        "{loss: {terms: {ohem: 1.0}, ohem: {min_kept: 5}}, training: {max_steps: 1, lr: 0.5}}",
    )
    recipe = load_recipe(path, overrides=["training={momentum: 0.5}", "loss.ohem={threshold: 0.6}"])
    assert (recipe.training.lr, recipe.training.momentum) == (0.5, 0.5)
    assert (recipe.loss.ohem.threshold, recipe.loss.ohem.min_kept) == (0.6, 5)


def test_a_dotted_key_into_a_mapping_leaves_its_other_keys(tmp_path):
    path = write(tmp_path, "{loss: {terms: {cross_entropy: 1.0}}, training: {max_steps: 1}}")
    recipe = load_recipe(path, overrides=["loss.terms.lovasz=0.5"])
    assert recipe.loss.terms == {"cross_entropy": 1.0, "lovasz": 0.5}


def test_a_key_that_leads_into_a_mapping_leaves_its_default_where_the_file_names_none(tmp_path):
    for text in ("{training: {max_steps: 1}}", "{loss: {ramp: cosine}}"):
        path = write(tmp_path, text)
        recipe = load_recipe(path, overrides=["loss.terms.lovasz=0.5", "loss.terms.focal=2"])
        assert recipe.loss.terms == {"cross_entropy": 1.0, "lovasz": 0.5, "focal": 2.0}
        recipe = load_recipe(path, overrides=["training.lr_multipliers.head=2"])
        assert recipe.training.lr_multipliers == {"head": 2.0}
        recipe = load_recipe(path, overrides=["loss.terms={lovasz: 0.5}"])
        assert recipe.loss.terms == {"lovasz": 0.5}


def test_a_length_in_steps_replaces_one_in_epochs(tmp_path):
    recipe = load_recipe(
        write(tmp_path, "training: {max_epochs: 3}"), overrides=["training.max_steps=7"]
    )
    assert (recipe.training.max_steps, recipe.training.max_epochs) == (7, None)


@pytest.mark.parametrize("both", [("max_steps=2", "max_epochs=1"), ("max_epochs=1", "max_steps=2")])
def test_two_lengths_in_one_command_are_refused(both):
    with pytest.raises(InputError, match="give exactly one of max_steps and max_epochs"):
        load_recipe("default", overrides=[f"training.{length}" for length in both])


def test_the_last_of_a_length_given_twice_counts():
    lengths = ["training.max_steps=2", "training.max_epochs=null", "training.max_steps=3"]
    assert load_recipe("default", overrides=lengths).training.max_steps == 3


@pytest.mark.parametrize(
    "override",
    [
        "training.max_steps=true",
        "training.lr=yes",
        "seed=false",
        "data.crop_size=[true, 64]",
        "data.channels=[1, true]",
        "training.lr_multipliers={backbone: true}",
        "loss.terms.focal=true",
        "loss.ohem.threshold=true",
        "dsrl.stage=true",
        "model.output_stride=true",
        "data.min_value=true",
    ],
)
def test_true_and_false_are_no_numbers(override):
    with pytest.raises(InputError, match=r"(?s)has 1 fault.*\(got .*(True|False)") as told:
        load_recipe("default", overrides=[override])
    assert override.partition("=")[0].split(".")[0] in told.value.problems[0]


def test_switches_stay_switches():
    overrides = ["model.pretrained=true", "training.sync_batchnorm=false", "data.flip=no"]
    overrides += ["model.head_options={lateral: true}", "model.backbone_options={ceil_pool: true}"]
    recipe = load_recipe("default", overrides=overrides)
    assert recipe.model.pretrained is True
    assert recipe.training.sync_batchnorm is False
    assert recipe.model.head_options == {"lateral": True}


def test_two_lengths_at_once_are_refused(tmp_path):
    with pytest.raises(InputError, match="exactly one of max_steps and max_epochs"):
        load_recipe(write(tmp_path, "training: {max_epochs: 3, max_steps: 5}"))


def test_num_classes_belongs_to_the_data(tmp_path):
    with pytest.raises(InputError, match=r"model\.num_classes: unknown key"):
        load_recipe(write(tmp_path, "model: {num_classes: 3}"))


def test_dsrl_needs_the_half_size_input(tmp_path):
    with pytest.raises(InputError, match=r"use input_scale: 0\.5"):
        load_recipe(write(tmp_path, "dsrl: {enabled: true}"))


def test_a_preset_fills_what_is_not_given():
    settings = {"preset": "dootmaan", "image_weight": 0.2}
    dsrl = check_recipe({"dsrl": settings, "training": {"max_steps": 1}}, origin="x").dsrl
    assert (dsrl.sssr, dsrl.sisr, dsrl.affinity_weight) == ("dootmaan", "residual", 0.5)
    assert dsrl.image_weight == 0.2
    assert dsrl.frozen == ("sisr_decoder", "ftm")


def test_another_preset_takes_the_place_of_the_one_written_out(tmp_path):
    written_out = load_recipe("cityscapes_dootmaan", overrides=["dsrl.image_weight=0.2"]).to_yaml()
    path = write(tmp_path, written_out)

    recipe = load_recipe(path, overrides=["dsrl.preset=sanje2v"])

    wanted = load_recipe("cityscapes_dootmaan").dsrl.model_dump() | DSRL_PRESETS["sanje2v"]
    wanted |= {"preset": "sanje2v", "image_weight": 0.2, "affinity_weight": 1.0}
    wanted |= {"affinity_reduction": "mean", "frozen": ()}
    assert recipe.dsrl.model_dump() == wanted
    assert load_recipe(path).to_yaml() == written_out
    assert load_recipe(path, overrides=["dsrl.preset=dootmaan"]).to_yaml() == written_out


@pytest.mark.parametrize("order", [1, -1])
def test_what_the_command_line_gives_beside_a_preset_stays(order):
    overrides = ["dsrl.preset=dootmaan", "dsrl.image_weight=0.1", "dsrl.sssr=deconvolution"]
    dsrl = load_recipe(None, overrides=overrides[::order]).dsrl
    assert (dsrl.image_weight, dsrl.sssr, dsrl.sisr) == (0.1, "deconvolution", "residual")


def test_a_preset_above_a_base_takes_the_place_of_the_base_s(tmp_path):
    write(tmp_path, load_recipe(None, overrides=["dsrl.warmup_steps=7"]).to_yaml())
    (tmp_path / "above.yaml").write_text("{base: recipe.yaml, dsrl: {preset: official}}")
    dsrl = load_recipe(tmp_path / "above.yaml").dsrl
    assert (dsrl.preset, dsrl.sssr, dsrl.warmup_steps) == ("official", "official", 7)


@pytest.mark.parametrize("preset", ["offical", "[official]"])
def test_an_unknown_preset_is_refused(preset):
    with pytest.raises(InputError, match=r"dsrl\.preset: input should be 'ours'"):
        load_recipe("cityscapes_dootmaan", overrides=[f"dsrl.preset={preset}"])


@pytest.mark.parametrize(
    ("text", "number"),
    [("1e-3", 1e-3), ("-1E5", -1e5), ("+2.5e3", 2500.0), (".5e1", 5.0), ("1.e-3", 1e-3)],
)
def test_a_number_with_an_exponent_is_a_number(text, number):
    assert parse_yaml(text, origin="recipe") == number
    assert type(parse_yaml(f"{{a: [{text}]}}", origin="recipe")["a"][0]) is float


@pytest.mark.parametrize(
    "text",
    [
        "'1e5'",
        "1e",
        "e5",
        "1e5x",
        "1.2.3e4",
        "1e-3m",
        "1234567890e12345",
        "12345678901234e5",
    ],
)
def test_a_name_or_a_fingerprint_stays_text(text):
    assert parse_yaml(text, origin="recipe") == text.strip("'")


@pytest.mark.parametrize("name", ["1e5", "12e03", "-1e-3"])
def test_a_text_like_a_number_is_read_back_as_it_was_written(name):
    recipe = Recipe.model_validate({"tracking": {"name": name}, "training": {"max_steps": 1}})
    assert check_recipe(parse_yaml(recipe.to_yaml(), origin="again"), origin="again") == recipe


TEXTS = ["1e-05", "0x1F", "017", "12:30", "yes", "", "-x...", "a: b", " a ", "\n", "\x85", "\u2028"]
VALUES = [1e-05, 1e16, 5e-324, -0.5, 3, True, None, {"lr": 1e-05}, [[1e-05, "1e-05"], {}, []]]


@pytest.mark.parametrize("value", [*TEXTS, *VALUES], ids=repr)
def test_what_is_dumped_is_read_back_by_any_reader(value):
    for content in (value, [value], {"key": value}):
        text = dump_yaml(content)
        for back in (parse_yaml(text, origin="dump"), yaml.safe_load(text)):
            assert repr(back) == repr(content)


def test_what_stands_twice_is_written_out_twice():
    mean = [0.5, 0.5]
    assert parse_yaml(dump_yaml({"mean": mean, "std": mean}), origin="dump")["std"] == mean


def test_an_option_takes_a_number_with_an_exponent():
    recipe = load_recipe(None, overrides=["model.backbone_options={norm_eps: 1e-3}"])
    assert recipe.model.backbone_options == {"norm_eps": 0.001}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: &x 1\nb: *x", "aliases are not allowed"),
        ("!!python/object/apply:os.system ['echo']", "not plain YAML"),
        ("a: 1\na: 2", "stands twice"),
        ("a: [1", "not plain YAML"),
    ],
)
def test_only_plain_yaml_is_read(text, reason):
    with pytest.raises(InputError, match=reason):
        parse_yaml(text, origin="recipe")


def test_an_alias_bomb_is_refused_before_it_grows():
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 60)]
    with pytest.raises(InputError, match="line 2: aliases"):
        parse_yaml("\n".join(lines), origin="recipe")


def test_a_huge_file_is_refused(tmp_path):
    path = write(tmp_path, "a: " + "x" * 1_000_001)
    with pytest.raises(InputError, match="this is no recipe"):
        load_recipe(path)


def test_an_unknown_recipe_lists_the_nearest():
    with pytest.raises(InputError, match="did you mean quickstart"):
        load_recipe("quikstart")


@pytest.mark.parametrize("name", ["default", "camvid_dsrl"])
def test_a_packaged_name_wins_over_a_folder_or_file_of_that_name(tmp_path, monkeypatch, name):
    packaged = load_recipe(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()
    assert load_recipe(name) == packaged
    (tmp_path / name).rmdir()
    (tmp_path / name).write_text("seed: 8")
    assert load_recipe(name) == packaged
    assert load_recipe(tmp_path / name).seed == 8


def test_a_file_without_an_ending_is_read_and_a_missing_path_is_called_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").write_text("seed: 8")
    assert load_recipe("mine").seed == 8
    with pytest.raises(InputError, match="no recipe file recipes/default"):
        load_recipe("recipes/default")


def test_an_override_without_a_value_is_explained():
    with pytest.raises(InputError, match="is not key=value"):
        load_recipe(None, overrides=["training.lr"])


def test_a_recipe_cannot_be_changed():
    recipe = load_recipe(None)
    assert isinstance(recipe, Recipe)
    with pytest.raises(ValueError, match="frozen"):
        recipe.seed = 3


def test_a_temperature_is_for_rare_class_sampling_only():
    rare = ["data.sampling=rare_classes"]
    with pytest.raises(InputError, match=r"sampling_temperature 0.5 has no effect.*rare_classes"):
        load_recipe(None, overrides=["data.sampling_temperature=0.5"])
    chosen = load_recipe(None, overrides=["data.sampling_temperature=0.5", *rare])
    assert chosen.data.sampling_temperature == 0.5
    assert load_recipe(None, overrides=["data.sampling_temperature=0.1"]) == load_recipe(None)
