"""What dataset.yaml, a recipe and a trained network say of the images, brought together."""

from pathlib import Path

import numpy as np
import pytest
from pictures import SquareDataset, save
from tiff_files import write_tiff

from dualseg.config import DataSettings, load_recipe
from dualseg.core.errors import InputError
from dualseg.core.image_spec import FIELDS, ImageSpec
from dualseg.core.labels import LabelSpec
from dualseg.data.dataset import FileDataset, Pair, images_of, with_images
from dualseg.data.datasets.dataset_yaml import read_declaration
from dualseg.data.loading.cache import CachedDataset, cached
from dualseg.data.loading.cache_stores import DiskStore
from dualseg.data.pictures.image_settings import fill_in_mean_std, for_network

LABELS = LabelSpec(("a", "b"), ((0, 0, 0), (9, 9, 9)))


def _declared(folder: Path, text: str) -> ImageSpec:
    (folder / "dataset.yaml").write_text(text)
    return read_declaration(folder).images


def _dataset(folder: Path, images: ImageSpec) -> FileDataset:
    image = write_tiff(folder / "a.tif", np.full((4, 6, 5), [0, 1, 2, 3, 4], np.uint16))
    label = save(folder / "a.png", np.zeros((4, 6)))
    return FileDataset((Pair("a", image, label),), LABELS, "train", images=images)


def test_dataset_yaml_declares_bands_and_values(tmp_path: Path) -> None:
    text = "channels: [4, 3, 2]\nmin_value: -1\nmax_value: 10000\nmax_pixels: 400000000\n"
    assert _declared(tmp_path, text) == ImageSpec((4, 3, 2), -1, 10000, 400_000_000)
    assert _declared(tmp_path, "channels: 4\n") == ImageSpec(channels=4)
    assert _declared(tmp_path, "class_names: [a, b]\n") == ImageSpec()


def test_every_fault_of_dataset_yaml_is_listed(tmp_path: Path) -> None:
    text = "channels: [0]\nmax_value: white\nmax_pixels: many\nsnap: 3\n"
    with pytest.raises(InputError, match="has 4 faults") as caught:
        _declared(tmp_path, text)
    found = [problem.split(":")[0] for problem in caught.value.problems]
    assert found == ["snap", "channels", "max_value", "max_pixels"]


def test_snap_is_a_key_of_dataset_yaml(tmp_path: Path) -> None:
    (tmp_path / "dataset.yaml").write_text("snap: true\n")
    assert read_declaration(tmp_path).snap is True


def test_a_recipe_overrules_the_data_set_key_by_key() -> None:
    declared = ImageSpec(channels=5, max_value=10000)

    def images(**keys: object) -> ImageSpec:
        settings = DataSettings.model_validate(keys)
        return declared.changed(settings.model_dump(include=set(FIELDS)))

    assert images() == declared
    assert images(max_value=4095) == ImageSpec(5, max_value=4095)
    assert images(channels=[3, 1]).channels == (3, 1)
    with pytest.raises(InputError, match="must lie above min_value"):
        images(min_value=20000)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.channels=0", "channels: expected the number of bands"),
        ("data.max_value=-1", "must lie above min_value 0"),
        ("data.max_pixels=-1", "max_pixels: expected"),
        ("data.mean=[0.5]", "mean has 1 numbers and std 3"),
    ],
)
def test_a_recipe_with_impossible_images_is_refused(override: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_recipe(None, overrides=[override])


def test_bands_nobody_measured_get_plain_numbers_and_a_note() -> None:
    notes: list[str] = []
    settings = fill_in_mean_std(DataSettings(), ImageSpec(channels=5), notes.append)
    assert (settings.mean, settings.std) == ((0.5,) * 5, (0.25,) * 5)
    assert "images of 5 bands; data.mean is 0.5 and data.std 0.25" in notes[0]
    assert fill_in_mean_std(settings, ImageSpec(channels=5), notes.append) is settings
    assert len(notes) == 1


def test_three_bands_keep_their_mean() -> None:
    settings = DataSettings()
    assert fill_in_mean_std(settings, ImageSpec(max_value=65535), print) is settings


def test_a_mean_of_other_bands_is_refused() -> None:
    settings = DataSettings(mean=(0.1, 0.2), std=(0.1, 0.2))
    with pytest.raises(InputError, match=r"data\.mean has 2 .*the images have 5 bands"):
        fill_in_mean_std(settings, ImageSpec(channels=5), print)


def test_a_data_set_hands_out_what_is_declared(tmp_path: Path) -> None:
    dataset = _dataset(tmp_path, ImageSpec(channels=(5, 2), max_value=255))
    assert dataset.image(0)[0, 0].tolist() == [4, 1]
    assert images_of(CachedDataset(dataset, DiskStore(dataset, tmp_path))).num_channels == 2
    other = with_images(dataset, ImageSpec(channels=5, max_value=4))
    assert other.image(0)[0, 0].tolist() == [0, 63.75, 127.5, 191.25, 255]


def test_drawn_data_is_in_rgb(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="drawn on the fly, in RGB; leave channels"):
        with_images(SquareDataset(1), ImageSpec(channels=5))
    assert with_images(SquareDataset(1), ImageSpec()).labels.num_classes == 2


def test_a_folder_that_says_nothing_is_read_as_the_network_was_trained(tmp_path: Path) -> None:
    images = ImageSpec(channels=5, max_value=4)
    assert images_of(for_network(_dataset(tmp_path, ImageSpec()), images)) == images


def test_what_a_folder_does_not_say_is_as_the_network_was_trained(tmp_path: Path) -> None:
    trained = ImageSpec((5, 2, 1), min_value=-1, max_value=4)
    own = ImageSpec(max_pixels=400_000_000)
    found = for_network(_dataset(tmp_path, own), trained)
    assert images_of(found) == ImageSpec((5, 2, 1), -1, 4, 400_000_000)
    assert found.image(0)[0, 0].tolist() == [255, 102, 51]
    wider = for_network(_dataset(tmp_path, ImageSpec(max_value=10)), trained)
    assert images_of(wider) == ImageSpec((5, 2, 1), max_value=10)  # a range is said as a whole


def test_a_folder_that_says_other_values_is_read_as_it_says(tmp_path: Path) -> None:
    own = ImageSpec(channels=5, max_value=10)
    found = for_network(_dataset(tmp_path, own), ImageSpec(channels=5, max_value=4))
    assert images_of(found) == own


def test_a_folder_of_other_bands_is_refused(tmp_path: Path) -> None:
    dataset = _dataset(tmp_path, ImageSpec(channels=5, max_value=4))
    with pytest.raises(InputError, match="has images of 5 bands, but the network was trained on 4"):
        for_network(dataset, ImageSpec(channels=4))
    with pytest.raises(InputError, match="has images of 3 bands, but the network was trained on 4"):
        for_network(SquareDataset(1), ImageSpec(channels=4))


def test_other_bands_are_other_files_of_the_cache(tmp_path: Path) -> None:
    images = ImageSpec(channels=5, max_value=4)
    dataset = _dataset(tmp_path, images)
    (first,) = cached([dataset], "disk", tmp_path / "cache")
    kept = first.image(0).copy()
    (again,) = cached([dataset], "disk", tmp_path / "cache")
    assert isinstance(again.image(0), np.memmap)
    assert again.image(0).dtype == np.float32
    assert np.array_equal(again.image(0), kept)
    for other in (ImageSpec(channels=5, max_value=8), ImageSpec(channels=(1,), max_value=4)):
        changed = with_images(dataset, other)
        (fresh,) = cached([changed], "disk", tmp_path / "cache")
        assert np.array_equal(fresh.image(0), changed.image(0))
