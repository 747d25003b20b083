import numpy as np
import pytest
from PIL import Image

from dualseg.config import parse_override
from dualseg.data.datasets import streets


@pytest.fixture(autouse=True)
def few_scenes(monkeypatch):
    monkeypatch.setattr(streets, "NUM_IMAGES", {"train": 3, "val": 2})


def test_stats_count_what_is_in_the_labels(dualseg, tmp_path):
    page = tmp_path / "page.html"
    done = dualseg("data", "stats", "streets", "--out", page, "--json")
    assert done.code == 0, done.stderr
    counted = sum((streets.Streets("val").label_map(i) == 0).sum() for i in range(2))
    first = streets.Streets("val").labels.class_names[0]
    assert done.json["val"]["pixels_per_class"][first] == counted
    assert done.json["train"]["sizes"] == {"192x256": 3}
    text = page.read_text()
    assert "3 images: 3 of 192x256" in text
    assert first in text
    assert "http" not in text.replace("http-equiv", "")


def test_show_draws_the_crops_of_a_recipe(dualseg, tmp_path):
    out = tmp_path / "crops.png"
    done = dualseg("data", "show", "streets", "--recipe", "quickstart", "--out", out, "--number", 4)
    assert done.code == 0, done.stderr
    sheet = np.asarray(Image.open(out))
    # Two rows of three samples, each a crop beside its overlay, with gaps of six pixels.
    assert sheet.shape == (2 * (192 + 6) + 6, 3 * (512 + 6) + 6, 3)
    first = sheet[6:198, 6:262].astype(int), sheet[6:198, 262:518].astype(int)
    assert (first[0] != first[1]).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["stats", "streets", "--out", "page.txt"], "name it page.html"),
        (["show", "streets", "--out", "crops.jpg"], "name it crops.png"),
        (["show", "streets", "--out", "v1.5"], "name it v1.5.png"),
        (["stats", "streets", "--out", "no/page.html"], "there is no folder no; make it first"),
        (["show", "streets", "--out", "no/crops.png"], "there is no folder no; make it first"),
        (["check", "streets", "--out", "no/report.json"], "there is no folder no; make it first"),
        (["show", "streets", "--out", "crops.png", "--number", 0], "draw 1 to 64 samples"),
        (["show", "nowhere", "--out", "crops.png"], "there is no such folder"),
    ],
)
def test_wrong_arguments_are_said(dualseg, arguments, message):
    done = dualseg("data", *arguments)
    assert done.code == 2
    assert message in done.stderr


def test_the_help_says_how_many_samples_may_be_drawn(dualseg):
    told = " ".join(dualseg("data", "show", "--help").stdout.split())
    assert "How many samples, 1 to 64." in told
    assert "Samples in a row, 1 or more." in told


def test_weights_are_printed_as_a_setting_for_training(dualseg, street):
    # Background and foreground: the rarer one weighs more.
    done = dualseg("data", "stats", street, "--weights", "median_frequency")
    assert done.code == 0
    line = done.stdout.strip().splitlines()[-1]
    name, _, given = line.partition("=")
    low, high = (float(part) for part in given.strip("[]").split(", "))
    assert name == "loss.class_weights"
    assert low < 1 < high
    assert dualseg("data", "stats", street, "--weights", "median_frequency", "--json").json[
        "weights"
    ] == pytest.approx([low, high], abs=1e-4)


def test_a_small_weight_is_printed_as_a_number_that_is_not_0(dualseg, tmp_path):
    ids = np.zeros((300, 300), np.uint8)
    ids[0, :2] = 1, 2  # the median frequency is one pixel's, so the first class weighs 1 / 89 998
    for part, pixels in (("images", np.stack([ids] * 3, axis=2)), ("masks", ids)):
        (tmp_path / part).mkdir()
        for number in range(3):
            Image.fromarray(pixels).save(tmp_path / part / f"{number}.png")
    done = dualseg("data", "stats", tmp_path, "--weights", "median_frequency")
    assert done.code == 0, done.stderr
    setting = parse_override(done.stdout.strip().splitlines()[-1])
    assert setting["loss"]["class_weights"] == pytest.approx([1 / 89998, 1, 1], rel=1e-5)
    assert f"{1 / 89998:.4g}" in dualseg("data", "stats", tmp_path).stdout


def test_an_unknown_rule_for_weights_is_told(dualseg, street):
    done = dualseg("data", "stats", street, "--weights", "inverse_lg")
    assert done.code == 2
    assert "--weights inverse_lg: did you mean inverse_log?" in done.stderr


def test_images_of_one_band_are_drawn_in_gray(dualseg, street, tmp_path):
    for image in (street / "images").iterdir():
        Image.open(image).convert("L").save(image)
    (street / "dataset.yaml").write_text("channels: 1\n")
    chosen = ("--number", "2", "--set", "data.photometric=0")
    done = dualseg("data", "show", street, "--out", tmp_path / "a.png", *chosen)
    assert done.code == 0, done.stderr
    pixels = np.asarray(Image.open(tmp_path / "a.png"))
    crop = pixels[6:26, 6:26].astype(int)
    assert (crop[..., 0] == crop[..., 2]).all()


def crops_shown(dualseg, source, out, *settings):
    one = ("--number", 1, "--columns", 1)
    changes = [argument for setting in settings for argument in ("--set", setting)]
    done = dualseg("data", "show", source, "--out", out, *one, *changes)
    assert done.code == 0, done.stderr
    return np.asarray(Image.open(out))


def test_show_scales_images_as_training_does(dualseg, street, tmp_path):
    plain = ("data.photometric=0", "data.flip=false", "data.crop_size=[20,28]")
    by_range, by_base = (
        crops_shown(dualseg, street, tmp_path / "crops.png", *plain, *settings)
        for settings in (
            ["data.scale_range=[0.5,0.5]"],
            ["data.scale_range=[1,1]", "data.base_scale=0.5"],
        )
    )
    assert np.array_equal(by_range, by_base)


def test_show_draws_crops_of_the_size_that_training_would_choose(dualseg, street, tmp_path):
    # 40x56 pixels become 36x50; the network sees half of it, so 32 is its stride.
    settings = ("model.output_stride=16", "data.base_scale=0.9")
    sheet = crops_shown(dualseg, street, tmp_path / "crops.png", *settings)
    assert sheet.shape == (32 + 12, 2 * 32 + 12, 3)


def test_show_says_that_no_pixel_has_a_class(dualseg, street, tmp_path):
    for mask in (street / "masks").iterdir():
        Image.fromarray(np.full((40, 56), 255, np.uint8)).save(mask)
    (street / "dataset.yaml").write_text("class_names: [a, b]\nvalues: {0: 0, 1: 1, 255: 255}\n")
    rare = ("--set", "data.sampling=rare_classes")
    done = dualseg("data", "show", street, "--out", tmp_path / "crops.png", *rare)
    assert done.code == 2
    assert "data.sampling=rare_classes draws images by their classes, but no pixel" in done.stderr


def test_the_page_of_the_current_folder_has_its_name(dualseg, street, tmp_path, monkeypatch):
    monkeypatch.chdir(street)
    assert dualseg("data", "stats", ".", "--out", tmp_path / "page.html").code == 0
    assert "<h1>street</h1>" in (tmp_path / "page.html").read_text(encoding="utf-8")
