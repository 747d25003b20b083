"""Tiles put together are the whole image, seams included."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dualseg.core.errors import InputError
from dualseg.core.facts import ModelFacts, default_labels
from dualseg.core.geometry import Size
from dualseg.core.image_spec import Pixels
from dualseg.core.outputs import SegmentationOutput
from dualseg.inference import tiles
from dualseg.inference.array_source import ArraySource, tiled_label_map
from dualseg.inference.label_maps import label_map_of
from dualseg.inference.predictor import batch_of_one
from dualseg.inference.strategies import whole
from dualseg.inference.tiles import Tiling, alignment, choose_tiling, predict_tiles, spans

CLASSES = 4
GRID = 32


class Local(nn.Module):
    """Stride 4 and back; a pixel is affected by those at most 8 away, plus interpolation."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 8, 7, stride=4, padding=3)
        self.mix = nn.Conv2d(8, CLASSES, 1)

    def forward(self, images: Tensor) -> SegmentationOutput:
        return SegmentationOutput(self.mix(self.down(images).tanh()))


class Pooled(Local):
    """Adds the mean over the whole input."""

    def forward(self, images: Tensor) -> SegmentationOutput:
        logits = super().forward(images).logits
        return SegmentationOutput(logits + 9 * logits.mean(dim=(2, 3), keepdim=True))


def facts(input_scale: float = 1.0) -> ModelFacts:
    return ModelFacts({}, default_labels(CLASSES), input_scale=input_scale)


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def whole_and_tiled(
    model: nn.Module, size: Size, tiling: Tiling, input_scale: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    logits = whole(model.eval(), facts(input_scale))
    pixels = picture(*size)
    return label_map_of(logits(batch_of_one(pixels))), tiled_label_map(
        logits, facts(input_scale), pixels, tiling
    )


@pytest.mark.parametrize("size", [(96, 160), (200, 332), (64, 64), (33, 500), (1, 1), (132, 128)])
def test_tiled_is_whole_where_the_overlap_covers_the_receptive_field(size: Size) -> None:
    expected, ours = whole_and_tiled(Local(), size, Tiling((128, 96), 48))
    assert np.array_equal(ours, expected)


def test_tiled_is_whole_for_a_network_that_sees_the_image_shrunk() -> None:
    expected, ours = whole_and_tiled(Local(), (256, 320), Tiling((192, 128), 64), 0.5)
    assert np.array_equal(ours, expected)


def test_without_overlap_the_seams_differ() -> None:
    expected, ours = whole_and_tiled(Local(), (200, 332), Tiling((64, 64), 0))
    wrong = np.argwhere(ours != expected)
    assert len(wrong)
    assert (np.abs((wrong + 32) % 64 - 32).min(axis=1) < 12).all()  # at seams only


def test_global_pooling_makes_tiles_differ_from_the_whole() -> None:
    expected, ours = whole_and_tiled(Pooled(), (200, 332), Tiling((128, 96), 32))
    assert (ours != expected).any()


def test_probabilities_add_up_to_one_at_every_pixel() -> None:
    """A network that always says 0.7 : 0.1 : 0.1 : 0.1 is 0.7 everywhere."""
    seen = []
    real = tiles._highest

    def watch(block: Tensor) -> np.ndarray:
        seen.append(block.clone())
        return real(block)

    def logits(images: Tensor) -> Tensor:
        always = torch.tensor([0.7, 0.1, 0.1, 0.1]).log().view(1, 4, 1, 1)
        return always.expand(1, 4, *images.shape[2:])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "_highest", watch)
        tiled_label_map(logits, facts(), picture(300, 260), Tiling((96, 96), 32))
    assert len(seen) == 5 * 4
    for block in seen:
        assert torch.allclose(block[0], torch.tensor(0.7), atol=1e-6)


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_stripes_do_not_change_the_result(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "CARRY_BYTES", columns * 4 * CLASSES * 48 * 48)
    expected, ours = whole_and_tiled(Local(), (200, 404), Tiling((128, 96), 48))
    assert np.array_equal(ours, expected)


def test_every_pixel_is_handed_out_once_with_its_image() -> None:
    pixels = picture(150, 230)
    count = np.zeros((150, 230), int)

    def sink(top: int, left: int, block: np.ndarray, shown: Pixels) -> None:
        height, width = block.shape
        count[top : top + height, left : left + width] += 1
        assert np.array_equal(shown, pixels[top : top + height, left : left + width])

    told: list[tuple[int, int]] = []
    predict_tiles(
        whole(Local(), facts()),
        facts(),
        ArraySource(pixels),
        sink,
        Tiling((96, 96), 32),
        progress=lambda *numbers: told.append(numbers),
    )
    assert (count == 1).all()
    assert told == [(done, 8) for done in range(9)]


def test_no_data_is_ignored_and_does_not_reach_the_network() -> None:
    class Half(ArraySource):
        """Data from column 100 on."""

        def valid(self, top: int, left: int, size: Size) -> np.ndarray:
            return (np.arange(left, left + size[1]) >= 100)[None].repeat(size[0], 0)

    pixels, calls = picture(64, 256), []
    network = whole(Local(), facts())
    label_map = np.zeros((64, 256), np.uint8)

    def counted(images: Tensor) -> Tensor:
        calls.append(images.shape)
        return network(images)

    def sink(top: int, left: int, block: np.ndarray, _: Pixels) -> None:
        label_map[top : top + block.shape[0], left : left + block.shape[1]] = block

    predict_tiles(counted, facts(), Half(pixels), sink, Tiling((64, 64), 32))
    assert (label_map[:, :100] == 255).all()
    assert (label_map[:, 100:] < CLASSES).all()
    assert len(calls) == 7 - 2  # tiles at 0 and 32 end before column 100


def test_last_tile_reads_a_full_tile() -> None:
    columns = spans(2100, 1024, 256, 64)
    assert [column.start for column in columns] == [0, 768, 1536]
    assert columns[-1] == (1536, 2100, 2100, 1088, False, True)
    assert columns[-1].read_start % 64 == 0


def test_last_tile_ends_with_the_image_where_the_network_takes_one_size() -> None:
    tiling = choose_tiling(facts(), fixed=(66, 44))
    assert tiling == Tiling((66, 44), 8, is_fixed=True)
    seen = []
    network = whole(Local(), facts())

    def watched(images: Tensor) -> Tensor:
        seen.append(images.shape[2:])
        return network(images)

    tiled_label_map(watched, facts(), picture(150, 101), tiling)
    assert len(seen) == 3 * 3
    assert set(seen) == {(66, 44)}
    with pytest.raises(InputError, match="exported for 66x44 alone; use tiles of 66x44"):
        choose_tiling(facts(), tile=(64, 64), fixed=(66, 44))


def test_network_answers_nan() -> None:
    with pytest.raises(FloatingPointError, match="NaN"):
        tiled_label_map(
            lambda images: torch.full((1, CLASSES, *images.shape[2:]), float("nan")),
            facts(),
            picture(40, 40),
            Tiling((32, 32), 0),
        )


@pytest.mark.parametrize(("scale", "grid"), [(1.0, 32), (0.5, 64), (0.25, 128), (0.75, 128)])
def test_tiles_begin_at_cells_of_the_coarsest_grid(scale: float, grid: int) -> None:
    assert alignment(scale) == grid


def test_default_tile_shrinks_with_the_number_of_classes() -> None:
    many = ModelFacts({}, default_labels(150), input_scale=0.5)
    assert choose_tiling(facts()) == Tiling((640, 640), 128)
    chosen = choose_tiling(many)
    assert chosen == Tiling((320, 320), 64)
    assert choose_tiling(facts(), tile=(512, 256)) == Tiling((512, 256), 32)


def test_sizes_that_do_not_fit_are_refused_with_the_next_that_do() -> None:
    with pytest.raises(InputError) as caught:
        choose_tiling(facts(0.5), tile=(1000, 512), overlap=300)
    height, overlap, half = caught.value.problems
    assert "height 1000 is no multiple of 64" in height
    assert "use 1024" in height
    assert "overlap 300 is no multiple of 64" in overlap
    assert "use 320" in overlap
    assert "more than half of the tile 1000x512; use at most 256" in half
