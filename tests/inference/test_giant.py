"""TIFFs by windows: the whole image's labels, the georeference, and memory that stays flat."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dualseg.core.errors import InputError
from dualseg.core.image_spec import ImageSpec
from dualseg.data.pictures.bands import read_pixels
from dualseg.inference import geotiff, giant, one_file
from dualseg.inference.files import predict_files
from dualseg.inference.geotiff import GeoTiff
from dualseg.inference.giant import predict_by_windows
from dualseg.inference.inputs import find_images
from dualseg.inference.predictor import Predictor
from dualseg.inference.tiles import Tiling

rasterio = pytest.importorskip("rasterio")
from rasterio.transform import from_origin  # noqa: E402

TILING = Tiling((96, 64), 32)
PLACE = from_origin(399960, 5000040, 10, 10)


def write_tiff(path: Path, bands: np.ndarray, **profile: object) -> Path:
    """(C, H, W) -> a tiled GeoTIFF in UTM zone 33."""
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=len(bands),
        height=bands.shape[1],
        width=bands.shape[2],
        dtype=bands.dtype,
        tiled=True,
        blockxsize=64,
        blockysize=64,
        crs="EPSG:32633",
        transform=PLACE,
        **profile,
    ) as file:
        file.write(bands)
    return path


def random_bands(height: int = 150, width: int = 203, count: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width), dtype=np.uint8)


def run(predictor: Predictor, image: Path, out: Path) -> None:
    predict_by_windows(predictor, image, out / "x_labels.tif", out / "x_overlay.png", TILING)


def test_labels_are_those_of_the_whole_image_at_its_place_on_earth(
    predictor: Predictor, tmp_path: Path
) -> None:
    image = write_tiff(tmp_path / "x.tif", random_bands())
    run(predictor, image, tmp_path)
    with rasterio.open(tmp_path / "x_labels.tif") as file:
        assert np.array_equal(file.read(1), predictor(image))
        assert (file.crs.to_epsg(), file.transform) == (32633, PLACE)
        assert (file.nodata, file.compression.name) == (255, "deflate")
        assert file.block_shapes == [(32, 32)]
        assert file.colormap(1)[1] == (200, 100, 50, 255)
        assert json.loads(file.tags()["DUALSEG_CLASSES"]) == ["dark", "bright"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "x.tif",
        "x_labels.tif",
        "x_overlay.png",
    ]


def test_what_gdal_alone_unpacks_goes_by_windows(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_file, "BY_WINDOWS_ABOVE", 1000)
    pixels = random_bands()
    try:
        image = write_tiff(tmp_path / "x.tif", pixels, compress="LERC", interleave="pixel")
    except rasterio.errors.RasterioError:
        pytest.skip("this GDAL has no LERC")
    (result,) = predict_files(predictor, [image], tmp_path / "out")
    with rasterio.open(result.labels) as labels:
        assert np.array_equal(labels.read(1), predictor(np.moveaxis(pixels, 0, 2)))


def test_a_giant_of_several_pages_is_refused(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_file, "BY_WINDOWS_ABOVE", 1000)
    page = Image.fromarray(np.moveaxis(random_bands(), 0, 2))
    page.save(tmp_path / "x.tif", save_all=True, append_images=[page])
    with pytest.raises(InputError, match="1 of 1") as caught:
        predict_files(predictor, [tmp_path / "x.tif"], tmp_path / "out")
    assert "has 2 pages or frames" in caught.value.problems[0]
    with pytest.raises(InputError, match="has 2 pages or frames"):
        run(predictor, tmp_path / "x.tif", tmp_path)


def test_a_label_tiff_beside_its_image_is_no_input(predictor: Predictor, tmp_path: Path) -> None:
    write_tiff(tmp_path / "x.tif", random_bands())
    run(predictor, tmp_path / "x.tif", tmp_path)
    with pytest.warns(UserWarning, match=r"left out: x_labels\.tif, x_overlay\.png$"):
        assert find_images([tmp_path]) == [tmp_path / "x.tif"]


def test_overlay_is_every_nth_pixel(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dualseg.visual.overlay import blend

    monkeypatch.setattr(giant, "OVERVIEW_SIDE", 60)
    image = write_tiff(tmp_path / "x.tif", random_bands())
    run(predictor, image, tmp_path)
    overlay = np.asarray(Image.open(tmp_path / "x_overlay.png"))
    pixels, label_map = read_pixels(image, ImageSpec()), predictor(image)
    expected = blend(pixels[::4, ::4], label_map[::4, ::4], predictor.facts.labels)  # type: ignore[arg-type]
    assert np.array_equal(overlay, expected)


def test_no_data_becomes_ignored(predictor: Predictor, tmp_path: Path) -> None:
    bands = random_bands()
    bands[:, 40:90, 50:] = 7
    image = write_tiff(tmp_path / "x.tif", bands, nodata=7)
    run(predictor, image, tmp_path)
    with rasterio.open(tmp_path / "x_labels.tif") as file:
        label_map = file.read(1)
    assert (label_map[40:90, 50:] == 255).all()
    assert np.array_equal(label_map[:40], predictor(image)[:40])


def test_transparent_pixels_are_ignored_and_alpha_is_no_band(
    predictor: Predictor, tmp_path: Path
) -> None:
    bands = random_bands(count=4)
    bands[3] = 255
    bands[3, :, 100:] = 0
    image = write_tiff(tmp_path / "x.tif", bands, photometric="rgb", alpha="yes")
    run(predictor, image, tmp_path)
    with rasterio.open(tmp_path / "x_labels.tif") as file:
        label_map = file.read(1)
    assert (label_map[:, 100:] == 255).all()
    assert np.array_equal(label_map[:, :100], predictor(image)[:, :100])


@pytest.mark.parametrize("kind", ["gray", "palette", "deep"])
def test_windows_hold_the_pixels_the_other_reader_gives(kind: str, tmp_path: Path) -> None:
    path, images = tmp_path / "x.tif", ImageSpec()
    if kind == "gray":
        write_tiff(path, random_bands(count=1))
    elif kind == "palette":
        picture = Image.fromarray(random_bands(count=1)[0])
        picture.putpalette(list(range(256)) * 3)
        picture.save(path)
    else:
        images = ImageSpec(channels=(3, 1), max_value=4095)
        write_tiff(path, 16 * random_bands(count=4).astype(np.uint16) + 15)
    source = GeoTiff(path, images)
    try:
        whole = read_pixels(path, images)
        assert source.size == whole.shape[:2]
        part = source.read(20, 33, (70, 90))
        assert part.dtype == whole.dtype
        assert np.array_equal(part, whole[20:90, 33:123])
    finally:
        source.close()


@pytest.mark.parametrize("channels", [(3, 1), (2,)])
def test_declared_bands_of_a_palette_are_those_of_its_colours(
    channels: tuple[int, ...], tmp_path: Path
) -> None:
    picture = Image.fromarray(random_bands(count=1)[0])
    picture.putpalette(random_bands(1, 768, 1).tobytes())
    picture.save(tmp_path / "x.tif")
    images = ImageSpec(channels=channels)
    source = GeoTiff(tmp_path / "x.tif", images)
    part = source.read(0, 0, source.size)
    source.close()
    assert np.array_equal(part, read_pixels(tmp_path / "x.tif", images))


def test_the_colours_of_a_palette_are_no_single_band(tmp_path: Path) -> None:
    picture = Image.fromarray(random_bands(count=1)[0])
    picture.putpalette(list(range(256)) * 3)
    picture.save(tmp_path / "x.tif")
    for read in (GeoTiff, read_pixels):
        with pytest.raises(InputError, match="has 3 bands"):
            read(tmp_path / "x.tif", ImageSpec(channels=1))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("photometric", ["MINISBLACK", "MINISWHITE"])
@pytest.mark.parametrize("channels", [1, 3])
def test_gray_of_few_bits_or_from_white_is_what_the_other_reader_gives(
    bits: int, photometric: str, channels: int, tmp_path: Path
) -> None:
    gray = random_bands(count=1) >> (8 - bits)
    extra = {"nbits": bits} if bits < 8 else {}
    path = write_tiff(tmp_path / "x.tif", gray, photometric=photometric, **extra)
    images = ImageSpec(channels=channels)
    source = GeoTiff(path, images)
    part = source.read(0, 0, source.size)
    source.close()
    assert (part.min(), part.max()) == (0, 255)
    assert np.array_equal(part, read_pixels(path, images))


def test_lab_colours_are_refused(predictor: Predictor, tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "x.tif", random_bands(), photometric="CIELAB")
    with pytest.raises(InputError, match=r"x\.tif is in CIELab; convert it to RGB first"):
        run(predictor, path, tmp_path)


def test_no_data_that_is_no_number_is_not_read_as_a_value(tmp_path: Path) -> None:
    bands = np.full((3, 64, 64), 0.5, np.float32)
    bands[:, 10] = np.nan
    path = write_tiff(tmp_path / "x.tif", bands, nodata=float("nan"))
    source = GeoTiff(path, ImageSpec(max_value=1.0))
    part, valid = source.read(8, 0, (4, 64)), source.valid(8, 0, (4, 64))
    source.close()
    assert valid is not None
    assert valid.all(axis=1).tolist() == [True, True, False, True]
    assert part[valid] == pytest.approx(127.5)


def test_turned_image_is_refused(predictor: Predictor, tmp_path: Path) -> None:
    picture = Image.fromarray(np.zeros((40, 50, 3), np.uint8))
    picture.save(tmp_path / "x.tif", tiffinfo={274: 6})
    with pytest.raises(InputError, match=r"turned by its orientation tag \(6\)"):
        run(predictor, tmp_path / "x.tif", tmp_path)


def test_damage_in_the_middle_leaves_nothing_behind(predictor: Predictor, tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "x.tif", random_bands(), compress="deflate")
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 9000] = bytes(9000)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"x\.tif cannot be read as a TIFF"):
        run(predictor, path, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["x.tif"]


def test_without_rasterio_the_command_to_install_it_is_named(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_tiff(tmp_path / "x.tif", random_bands())
    monkeypatch.setitem(sys.modules, "rasterio", None)
    with pytest.raises(InputError, match=r"pip install 'dualseg\[geo\]'"):
        run(predictor, path, tmp_path)


PEAK = """
import resource, sys
from pathlib import Path
import torch
from torch import nn
from dualseg.core.facts import ModelFacts, default_labels
from dualseg.core.outputs import SegmentationOutput
from dualseg.inference.giant import predict_by_windows
from dualseg.inference.predictor import Predictor
from dualseg.inference.tiles import Tiling

class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3, stride=8, padding=1)
        self.facts = ModelFacts({}, default_labels(5))
    def forward(self, images):
        return SegmentationOutput(self.conv(images))

torch.set_num_threads(1)
folder = Path(sys.argv[1])
names = ("x.tif", "labels.tif", "overlay.png")
predict_by_windows(Predictor(Small()), *(folder / name for name in names), Tiling((512, 512), 64))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def peak_mib(folder: Path, side: int) -> float:
    """Predicts a side x side image of zeros in a process of its own."""
    folder.mkdir()
    with rasterio.open(
        folder / "x.tif",
        "w",
        driver="GTiff",
        count=3,
        height=side,
        width=side,
        dtype="uint8",
        tiled=True,
        blockxsize=256,
        blockysize=256,
        compress="deflate",
        sparse_ok=True,
    ):
        pass
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(folder)], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def test_memory_does_not_grow_with_the_image(tmp_path: Path) -> None:
    small, large = peak_mib(tmp_path / "small", 2000), peak_mib(tmp_path / "large", 4000)
    assert large < small + 25  # the image is 34 MiB larger, its probabilities 229


@pytest.mark.slow
def test_memory_stays_flat_for_larger_images(tmp_path: Path) -> None:
    small, large = peak_mib(tmp_path / "small", 4000), peak_mib(tmp_path / "large", 8000)
    assert large < small + 50  # the image is 137 MiB larger, its probabilities 915
    with rasterio.open(tmp_path / "large" / "labels.tif") as file:
        assert file.shape == (8000, 8000)


def test_cache_of_gdal_is_small_inside() -> None:
    with geotiff.small_cache():
        assert rasterio.env.getenv()["GDAL_CACHEMAX"] == geotiff.CACHE_MIB
