"""From image files to label PNGs and overlays."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from dualseg.core.errors import InputError
from dualseg.core.facts import ModelFacts
from dualseg.core.files import DiskFullError
from dualseg.core.geometry import Size
from dualseg.inference import files, giant, one_file
from dualseg.inference import written as written_module
from dualseg.inference.crf.settings import CrfSettings
from dualseg.inference.files import PredictOptions, predict_files, predict_share
from dualseg.inference.predictor import Predictor
from dualseg.inference.shares import Share
from dualseg.inference.written import DEFAULT_KINDS, KINDS, Kind, Prediction
from dualseg.visual.overlay import blend

LEFT_DARK = np.zeros((4, 6, 3), dtype=np.uint8)
LEFT_DARK[:, 3:] = 255


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    Image.fromarray(LEFT_DARK).save(folder / "a.png")
    Image.fromarray(LEFT_DARK[::2]).save(folder / "b.bmp")
    return folder


def test_label_file_holds_class_ids_and_the_palette(
    predictor: Predictor, images: Path, tmp_path: Path
) -> None:
    predict_files(predictor, [images], tmp_path / "out" / "deep")
    with Image.open(tmp_path / "out" / "deep" / "a_labels.png") as picture:
        assert picture.mode == "P"
        assert np.array_equal(np.asarray(picture), LEFT_DARK[..., 0] // 255)
        assert (picture.getpalette() or [])[:6] == [10, 20, 30, 200, 100, 50]


def test_overlay_has_the_size_and_the_colours(
    predictor: Predictor, images: Path, tmp_path: Path
) -> None:
    results = predict_files(predictor, [images], tmp_path / "out")
    assert [result.overlay.name for result in results] == ["a_overlay.png", "b_overlay.png"]
    overlay = np.asarray(Image.open(results[0].overlay))
    assert overlay.shape == (4, 6, 3)
    # Black under 55 % of (10, 20, 30).
    assert overlay[0, 0].tolist() == pytest.approx([5.5, 11, 16.5], abs=1)


def test_nothing_else_is_left_in_the_folder(
    predictor: Predictor, images: Path, tmp_path: Path
) -> None:
    predict_files(predictor, [images], tmp_path / "out")
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["a_labels.png", "a_overlay.png", "b_labels.png", "b_overlay.png"]


def test_bad_image_does_not_stop_the_others_and_is_reported(
    predictor: Predictor, images: Path, tmp_path: Path
) -> None:
    (images / "a1.png").write_bytes((images / "a.png").read_bytes()[:50])
    (images / "a2.jpg").write_text("<html>")
    seen: list[tuple[int, int]] = []
    with pytest.raises(InputError, match="2 of 4 images could not be predicted") as caught:
        predict_files(
            predictor, [images], tmp_path / "out", progress=lambda *args: seen.append(args)
        )
    first, second = caught.value.problems
    assert "a1.png" in first
    assert "a2.jpg" in second
    assert seen == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    assert len(list((tmp_path / "out").iterdir())) == 4


def test_wrong_inputs_write_nothing(predictor: Predictor, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file or folder"):
        predict_files(predictor, [tmp_path / "absent"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_output_folder_that_is_a_file(predictor: Predictor, images: Path) -> None:
    with pytest.raises(InputError, match="cannot make the folder"):
        predict_files(predictor, [images], images / "a.png")


def written(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_every_kind_of_file(predictor: Predictor, images: Path, tmp_path: Path) -> None:
    pytest.importorskip("rasterio")
    kinds = ("labels", "overlay", "color", "contour", "confidence", "side_by_side", "geojson")
    options = PredictOptions(write=kinds)
    (result,) = predict_files(predictor, [images / "a.png"], tmp_path / "out", options=options)
    assert tuple(result.files) == kinds
    shown = {
        kind: np.asarray(Image.open(path))
        for kind, path in result.files.items()
        if path.suffix == ".png"
    }
    assert shown["color"][0, 0].tolist() == [10, 20, 30]
    assert shown["color"][0, 5].tolist() == [200, 100, 50]
    assert shown["contour"][0, 2].tolist() == [255, 235, 59]
    assert shown["contour"][0, 0].tolist() == [0, 0, 0]
    # The logits are -b and b with b = (0 - 0.5) and (1 - 0.5): sigmoid(1) = 0.731.
    assert (shown["confidence"] == round(255 * 0.7311)).all()
    assert shown["side_by_side"].shape == (4, 6 + 8 + 6, 3)
    assert np.array_equal(shown["side_by_side"][:, :6], LEFT_DARK)
    assert np.array_equal(shown["side_by_side"][:, 14:], shown["overlay"])


def test_only_what_is_asked_for(predictor: Predictor, images: Path, tmp_path: Path) -> None:
    options = PredictOptions(write=["color"])
    predict_files(predictor, [images], tmp_path / "out", options=options)
    assert written(tmp_path / "out") == ["a_color.png", "b_color.png"]


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(InputError, match=r"'contours' is nothing .* did you mean contour"):
        PredictOptions(write=["labels", "contours"])
    with pytest.raises(InputError, match="nothing is asked"):
        PredictOptions(write=[""])


def test_resume_passes_over_what_stands_whole(
    predictor: Predictor, images: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    predict_files(predictor, [images], out)
    (out / "a_labels.png").write_bytes(b"mark")
    (out / "b_overlay.png").unlink()
    (out / f".tmp-{(1 << 22) + 1}-b_overlay.png").write_bytes(b"half")  # a killed process left it
    results = predict_files(predictor, [images], out, options=PredictOptions(resume=True))
    assert [result.was_there for result in results] == [True, False]
    assert (out / "a_labels.png").read_bytes() == b"mark"
    assert written(out) == ["a_labels.png", "a_overlay.png", "b_labels.png", "b_overlay.png"]
    predict_files(predictor, [images], out)  # without resume everything is made anew
    assert (out / "a_labels.png").read_bytes() != b"mark"


def test_resume_leaves_what_another_process_is_writing(
    predictor: Predictor, images: Path, tmp_path: Path
) -> None:
    half = tmp_path / "out" / f".tmp-{os.getppid()}-z_labels.png"
    half.parent.mkdir()
    half.touch()
    predict_files(predictor, [images], half.parent, options=PredictOptions(resume=True))
    assert half.exists()


def test_resume_tries_again_what_failed(predictor: Predictor, images: Path, tmp_path: Path) -> None:
    out, options = tmp_path / "out", PredictOptions(resume=True)
    whole = (images / "a.png").read_bytes()
    (images / "a.png").write_bytes(whole[:50])
    with pytest.raises(InputError, match="1 of 2"):
        predict_files(predictor, [images], out, options=options)
    (images / "a.png").write_bytes(whole)
    results = predict_files(predictor, [images], out, options=options)
    assert [result.was_there for result in results] == [False, True]


def test_processes_share_the_images_out(predictor: Predictor, images: Path, tmp_path: Path) -> None:
    for number in range(3):
        Image.fromarray(LEFT_DARK).save(images / f"c{number}.png")
    seen = []
    for rank in range(2):
        options = PredictOptions(share=Share(rank, 2))
        seen += predict_files(predictor, [images], tmp_path / "out", options=options)
    names = [result.image.name for result in seen]
    assert names == ["a.png", "c0.png", "c2.png", "b.bmp", "c1.png"]
    assert len(written(tmp_path / "out")) == 10


def test_what_a_network_says_of_an_image_comes_with_the_name_of_the_file(
    predictor: Predictor, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise InputError("the image is too small")

    monkeypatch.setattr(files, "predict_one", refuse)
    with pytest.raises(InputError) as caught:
        predict_files(predictor, [images], tmp_path / "out")
    assert caught.value.problems[0] == f"{images / 'a.png'}: the image is too small"


def test_of_a_share_the_problems_are_in_the_list(
    predictor: Predictor, images: Path, tmp_path: Path
) -> None:
    (images / "a.png").write_bytes(b"x")
    options = PredictOptions(share=Share(0, 2))
    (result,) = predict_share(predictor, [images], tmp_path / "out", options=options)
    assert "a.png" in result.problem
    assert result.files == {}


def test_tiles_give_the_same_labels(predictor: Predictor, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (70, 100, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    options = PredictOptions(tile=(64, 32), overlap=0)
    (result,) = predict_files(predictor, [tmp_path / "x.png"], tmp_path / "o", options=options)
    assert np.array_equal(np.asarray(Image.open(result.labels)), predictor(pixels))
    assert Image.open(result.overlay).size == (100, 70)


def test_large_image_is_tiled_by_itself_and_its_overlay_as_large(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_file, "TILED_ABOVE", 1000)
    monkeypatch.setattr(written_module, "STRIPE", 32)
    pixels = np.random.default_rng(0).integers(0, 256, (70, 100, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    (result,) = predict_files(predictor, [tmp_path / "x.png"], tmp_path / "o")
    assert np.array_equal(np.asarray(Image.open(result.labels)), predictor(pixels))
    shown = blend(pixels, predictor(pixels), predictor.facts.labels)
    assert np.array_equal(np.asarray(Image.open(result.overlay)), shown)


def test_very_large_tiff_goes_by_windows(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rasterio = pytest.importorskip("rasterio")
    monkeypatch.setattr(one_file, "BY_WINDOWS_ABOVE", 1000)
    monkeypatch.setattr(giant, "OVERVIEW_SIDE", 50)
    pixels = np.random.default_rng(0).integers(0, 256, (70, 100, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.tif")
    told: list[tuple[int, int]] = []
    options = PredictOptions(tile=(64, 64), overlap=32, resume=True)
    for _ in range(2):
        (result,) = predict_files(
            predictor,
            [tmp_path / "x.tif"],
            tmp_path / "o",
            options=options,
            progress=lambda *numbers: told.append(numbers),
        )
    assert result.was_there
    assert result.labels.name == "x_labels.tif"
    assert Image.open(result.overlay).size == (50, 35)
    assert (6, 6) in told  # tiles: 2 rows, 3 columns
    with rasterio.open(result.labels) as file:
        assert np.array_equal(file.read(1), predictor(pixels))


def test_what_tiles_cannot_give_is_refused(
    predictor: Predictor, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def message(**options: object) -> str:
        with pytest.raises(InputError) as caught:
            predict_files(
                predictor,
                [images / "a.png"],
                tmp_path / "out",
                options=PredictOptions(tile=(32, 32), **options),  # type: ignore[arg-type]
            )
        return caught.value.problems[0]

    assert "CRF connects all pixels" in message(crf=CrfSettings())
    assert "no confidence is kept" in message(write=["labels", "confidence"])


def test_crf_sees_the_image(predictor: Predictor, tmp_path: Path) -> None:
    """Salt on a dark ground is labelled bright by colour alone; the CRF's position kernel, which
    does not see the colour, removes it; the bilateral one keeps what differs in colour."""
    pixels = np.full((24, 24, 3), 100, np.uint8)
    pixels[:, 12:] = 160
    pixels[6, 6] = 160
    Image.fromarray(pixels).save(tmp_path / "x.png")

    def labels(crf: CrfSettings | None) -> np.ndarray:
        options = PredictOptions(write=["labels"], crf=crf)
        out = tmp_path / "out"
        (result,) = predict_files(predictor, [tmp_path / "x.png"], out, options=options)
        return np.asarray(Image.open(result.labels))

    assert labels(None)[6, 6] == 1
    assert labels(CrfSettings(bi_w=0, pos_w=10, pos_xy_std=2))[6, 6] == 0
    seen = labels(CrfSettings(bi_w=20, pos_w=0))
    assert seen[6, 6] == 1
    assert (seen[:, :12].sum(), seen[:, 12:].min()) == (1, 1)


def test_full_disk_stops_at_once(
    predictor: Predictor, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise DiskFullError("no space left")

    monkeypatch.setattr(files, "predict_one", full)
    with pytest.raises(DiskFullError):
        predict_files(predictor, [images], tmp_path / "out")


def test_image_beyond_the_memory_does_not_stop_the_others(
    predictor: Predictor, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = predictor.logits

    def small_only(batch):  # type: ignore[no-untyped-def]
        if batch.shape[2] > 2:
            raise RuntimeError("not enough memory: you tried to allocate 99 bytes.")
        return real(batch)

    predictor.logits = small_only
    with pytest.raises(InputError, match="1 of 2 images") as caught:
        predict_files(predictor, [images], tmp_path / "out")
    assert "a.png needs more memory than there is" in caught.value.problems[0]
    assert "--tile 512x512" in caught.value.problems[0]
    assert written(tmp_path / "out") == ["b_labels.png", "b_overlay.png"]


def test_fault_of_ours_is_not_taken_for_a_bad_image(
    predictor: Predictor, images: Path, tmp_path: Path
) -> None:
    def broken(batch):  # type: ignore[no-untyped-def]
        raise RuntimeError("shapes do not match")

    predictor.logits = broken
    with pytest.raises(RuntimeError, match="shapes"):
        predict_files(predictor, [images], tmp_path / "out")


@pytest.mark.parametrize("kinds", [["labels"], ["contour", "labels"]])
def test_inputs_are_never_replaced_by_results(
    predictor: Predictor, images: Path, tmp_path: Path, kinds: list[str]
) -> None:
    Image.fromarray(LEFT_DARK[..., 0]).save(images / "a_labels.png")
    (tmp_path / "link").symlink_to(images)
    before = {path.name: path.read_bytes() for path in images.iterdir()}
    options = PredictOptions(write=kinds)
    with pytest.raises(InputError, match=r"results would replace inputs .*\(--out\)") as caught:
        predict_files(predictor, [images], tmp_path / "link", options=options)
    (problem,) = caught.value.problems
    assert f"replaced by the labels of {images / 'a.png'}" in problem
    assert {path.name: path.read_bytes() for path in images.iterdir()} == before
    predict_files(predictor, [images], tmp_path / "out", options=options)


def test_an_input_that_is_a_link_to_a_results_place_is_kept(
    predictor: Predictor, images: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    predict_files(predictor, [images / "a.png"], out)
    (images / "c.png").symlink_to(out / "a_overlay.png")
    with pytest.raises(InputError, match="replaced by the overlay of"):
        predict_files(predictor, [images], out)


def test_results_may_stand_beside_their_inputs(predictor: Predictor, images: Path) -> None:
    for _ in range(2):
        predict_files(predictor, [images / "a.png"], images)
    assert written(images) == ["a.png", "a_labels.png", "a_overlay.png", "b.bmp"]


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("write", [DEFAULT_KINDS, ["overlay"]])
def test_masks_beside_images_are_not_replaced_nor_overlaid(
    predictor: Predictor, images: Path, tmp_path: Path, write: Sequence[str], resume: bool
) -> None:
    Image.fromarray(LEFT_DARK[..., 0]).save(images / "a_labels.png")
    before = (images / "a_labels.png").read_bytes()
    options = PredictOptions(write=write, resume=resume)
    (tmp_path / "link").symlink_to(images)
    for out in (images, tmp_path / "link"):
        with pytest.raises(InputError, match=r"may be masks of yours.*\(--out\)") as caught:
            predict_files(predictor, [images / "b.bmp", images / "a.png"], out, options=options)
        (problem,) = caught.value.problems
        assert problem == f"{out / 'a_labels.png'} stands there without a_overlay.png"
    assert written(images) == ["a.png", "a_labels.png", "b.bmp"]
    assert (images / "a_labels.png").read_bytes() == before


def test_masks_are_not_replaced_where_labels_alone_are_written(
    predictor: Predictor, images: Path
) -> None:
    Image.fromarray(LEFT_DARK[..., 0]).save(images / "a_labels.png")
    with pytest.raises(InputError, match="may be masks of yours"):
        predict_files(
            predictor, [images / "a.png"], images, options=PredictOptions(write=["labels"])
        )


def test_labels_alone_beside_images_are_passed_over_with_resume(
    predictor: Predictor, images: Path
) -> None:
    options = PredictOptions(write=["labels"], resume=True)
    predict_files(predictor, [images / "a.png"], images, options=options)
    both = predict_files(predictor, [images / "a.png", images / "b.bmp"], images, options=options)
    assert [item.was_there for item in both] == [True, False]


@pytest.mark.parametrize("given", ["", "*.png"])
@pytest.mark.parametrize("tiled_above", [1, 1 << 24])
def test_resume_goes_on_beside_the_images_after_a_kill(
    predictor: Predictor,
    images: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: str,
    tiled_above: int,
) -> None:
    """Killed between the two files of the second image; the folder then holds results, too."""
    monkeypatch.setattr(one_file, "TILED_ABOVE", tiled_above)
    (images / "b.bmp").rename(images / "b.png")
    begun = []

    def killed(path: Path, prediction: Prediction) -> None:
        begun.append(path)
        if len(begun) == 4:
            raise KeyboardInterrupt
        real[path.stem.partition("_")[2]].write(path, prediction)

    real = dict(KINDS)
    for name in DEFAULT_KINDS:
        monkeypatch.setitem(KINDS, name, Kind(KINDS[name].suffix, killed))
    predict_files(predictor, [images / "a.png"], images)
    with pytest.raises(KeyboardInterrupt):
        predict_files(predictor, [images / "b.png"], images)
    assert written(images) == ["a.png", "a_labels.png", "a_overlay.png", "b.png", "b_overlay.png"]
    for name in DEFAULT_KINDS:
        monkeypatch.setitem(KINDS, name, real[name])
    options = PredictOptions(resume=True)
    with pytest.warns(UserWarning, match="results of earlier predictions are left out: a_labels"):
        done = predict_files(predictor, [images / given], images, options=options)
    assert [item.image.name for item in done] == ["a.png", "b.png"]
    assert [item.was_there for item in done] == [True, False]


def test_a_mask_of_the_users_is_not_taken_for_a_result(predictor: Predictor, images: Path) -> None:
    """It bears the name of one, beside an overlay that is one."""
    predict_files(predictor, [images / "a.png"], images)
    Image.fromarray(LEFT_DARK[..., 0]).save(images / "a_labels.png")
    before = (images / "a_labels.png").read_bytes()
    with (
        pytest.warns(UserWarning, match=r"left out: a_overlay\.png$"),
        pytest.raises(InputError, match="results would replace inputs"),
    ):
        predict_files(predictor, [images], images, options=PredictOptions(resume=True))
    assert (images / "a_labels.png").read_bytes() == before


def test_a_wrong_overlap_is_refused_also_where_no_image_is_tiled(
    predictor: Predictor, images: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="the overlap 7 is no multiple of 32; use 0"):
        predict_files(predictor, [images], tmp_path / "out", options=PredictOptions(overlap=7))
    assert not (tmp_path / "out").exists()


def test_a_name_that_gdal_cannot_take_does_not_stop_the_others(
    predictor: Predictor, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("rasterio")
    monkeypatch.setattr(one_file, "BY_WINDOWS_ABOVE", 10)
    odd = images / os.fsdecode(b"c\xff.tif")
    Image.fromarray(LEFT_DARK).save(odd)
    with pytest.raises(InputError, match="1 of 3") as caught:
        predict_files(predictor, [images], tmp_path / "out")
    assert "has a name that is no UTF-8, and GDAL takes no other; rename it" in str(caught.value)
    assert len(written(tmp_path / "out")) == 4


def test_a_results_name_that_is_too_long_is_told_also_with_resume(
    predictor: Predictor, images: Path, tmp_path: Path
) -> None:
    (images / "a.png").rename(images / f"{'a' * 250}.png")
    with pytest.raises(InputError, match="1 of 2") as caught:
        predict_files(predictor, [images], tmp_path / "o", options=PredictOptions(resume=True))
    assert "File name too long" in caught.value.problems[0]


class Fixed(nn.Module):
    """Stands for a file exported with --size."""

    own_precision, fixed_size = "fp32", (66, 44)

    def __init__(self, facts: ModelFacts):
        super().__init__()
        self.facts = facts

    def raw_logits(self, images: Tensor) -> Tensor:
        assert images.shape[2:] == self.fixed_size
        bright = images.float().mean(dim=1, keepdim=True) - 127.5
        return torch.cat([-bright, bright], dim=1)


@pytest.mark.parametrize("tile", [None, (66, 44)])
def test_a_network_of_one_size_sees_tiles_of_that_size_alone(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tile: Size | None
) -> None:
    monkeypatch.setattr(one_file, "TILED_ABOVE", 1000)
    pixels = np.random.default_rng(0).integers(0, 256, (150, 101, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    fixed = Predictor(Fixed(predictor.facts))
    options = PredictOptions(tile=tile)
    (result,) = predict_files(fixed, [tmp_path / "x.png"], tmp_path / "o", options=options)
    assert np.array_equal(np.asarray(Image.open(result.labels)), predictor(pixels))
