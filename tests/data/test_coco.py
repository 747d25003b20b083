import pickle
from pathlib import Path

import numpy as np
import pytest

from dualseg.core.errors import InputError
from dualseg.data.checking.checker import check_dataset
from dualseg.data.datasets.coco import COCO_VOC_LABELS, THINGS, open_coco, open_coco_things
from dualseg.data.datasets.coco_shapes import decode_runs, fill_polygon, runs_mask, shape_mask
from dualseg.data.datasets.coco_stuff import COCO_STUFF_LABELS, open_coco_stuff
from dualseg.data.datasets.voc import VOC_LABELS
from dualseg.data.loading.cache_stores import DiskStore
from official_trees import make_coco, make_coco_stuff, save_image, save_json


def _coco(root: Path, shapes: list[dict], *, side: int = 48) -> Path:
    """One training image with the given annotations."""
    save_image(root / "train2017" / "000000000009.jpg")
    images = [{"id": 9, "file_name": "000000000009.jpg", "height": side, "width": side}]
    content = {"images": images, "annotations": [{"image_id": 9, **shape} for shape in shapes]}
    save_json(root / "annotations" / "instances_train2017.json", content)
    return root


def _box(category: int, left: int, top: int, right: int, bottom: int) -> dict:
    corners = [left, top, right, top, right, bottom, left, bottom]
    area = (right - left) * (bottom - top)
    return {"category_id": category, "segmentation": [corners], "area": area, "iscrowd": 0}


def test_an_annotation_becomes_its_voc_class(tmp_path: Path) -> None:
    dataset = open_coco(make_coco(tmp_path), "train")
    assert [dataset.name(index) for index in range(len(dataset))] == [
        "000000000009",
        "0" * 10 + "10",
    ]
    label_map = dataset.label_map(0)
    assert (label_map[0, 0], label_map[23, 47], label_map[24, 0]) == (1, 1, 0)
    assert np.count_nonzero(label_map) == 24 * 48


def test_category_ids_are_those_of_vocs_classes() -> None:
    theirs = {0: "background", **THINGS}
    same = {"airplane": "aeroplane", "motorcycle": "motorbike", "couch": "sofa", "tv": "tvmonitor"}
    same |= {"dining table": "diningtable", "potted plant": "pottedplant"}
    names = [same.get(theirs[c], theirs[c]) for c in COCO_VOC_LABELS.values]
    assert tuple(names) == VOC_LABELS.class_names
    assert len(THINGS) == 80


def test_where_annotations_overlap_the_first_wins(tmp_path: Path) -> None:
    shapes = [_box(1, 0, 0, 40, 40), _box(17, 20, 20, 48, 48)]
    label_map = open_coco(_coco(tmp_path, shapes), "train").label_map(0)
    assert (label_map[30, 30], label_map[45, 45]) == (15, 8)


def test_a_class_that_voc_lacks_hides_nothing(tmp_path: Path) -> None:
    shapes = [_box(73, 0, 0, 48, 48), _box(17, 0, 0, 40, 40)]  # a laptop before a cat
    root = _coco(tmp_path, shapes)
    assert open_coco(root, "train").label_map(0)[30, 30] == 8
    things = open_coco_things(root, "train")
    assert things.labels.class_names[things.label_map(0)[30, 30]] == "laptop"


@pytest.mark.parametrize(("height", "kept"), [(25, 0), (26, 1)])  # 1000 and 1040 pixels
def test_images_need_more_than_a_thousand_pixels(tmp_path: Path, height: int, kept: int) -> None:
    root = _coco(tmp_path, [_box(1, 0, 0, 40, height)])
    if not kept:
        with pytest.raises(InputError, match="names no image"):
            open_coco(root, "train")
    else:
        assert len(open_coco(root, "train")) == 1


def test_overlapping_areas_do_not_count_twice(tmp_path: Path) -> None:
    box = _box(1, 0, 0, 30, 30)
    with pytest.raises(InputError, match="names no image"):
        open_coco(_coco(tmp_path, [box, box]), "train")


def test_areas_that_leave_no_doubt_are_not_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dualseg.data.datasets import coco

    monkeypatch.setattr(coco, "shape_mask", lambda *_: pytest.fail("drawn"))
    assert len(open_coco(_coco(tmp_path, [_box(1, 0, 0, 40, 40)]), "train")) == 1


def test_a_crowd_is_drawn_with_its_class(tmp_path: Path) -> None:
    runs = {"counts": [48 * 10, 48 * 30, 48 * 8], "size": [48, 48]}
    crowd = {"category_id": 1, "segmentation": runs, "area": 48 * 30, "iscrowd": 1}
    label_map = open_coco(_coco(tmp_path, [crowd]), "train").label_map(0)
    assert (label_map[0, 9], label_map[0, 10], label_map[47, 39], label_map[0, 40]) == (
        0,
        15,
        15,
        0,
    )


def test_the_image_folder_may_lie_in_images(tmp_path: Path) -> None:
    make_coco(tmp_path)
    (tmp_path / "images").mkdir()
    (tmp_path / "val2017").rename(tmp_path / "images" / "val2017")
    assert len(open_coco(tmp_path, "val")) == 2


def test_a_missing_annotation_file_is_explained(tmp_path: Path) -> None:
    root = make_coco(tmp_path)
    (root / "annotations/instances_val2017.json").unlink()
    with pytest.raises(InputError) as caught:
        open_coco(root, "val")
    assert "no annotations/instances_val2017.json in" in str(caught.value)
    assert "annotations_trainval2017.zip" in str(caught.value)


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"images": 3}', '{"images": [], "annotations": [{}]}']
)
def test_a_file_that_holds_no_annotations_is_named(tmp_path: Path, text: str) -> None:
    root = make_coco(tmp_path)
    (root / "annotations/instances_train2017.json").write_text(text)
    with pytest.raises(InputError, match=r"instances_train2017\.json is no"):
        open_coco(root, "train")


def test_an_image_of_another_size_than_announced_is_a_fault(tmp_path: Path) -> None:
    dataset = open_coco(_coco(tmp_path, [_box(1, 0, 0, 40, 40)]), "train")  # the image is 16x16
    with pytest.raises(InputError, match="has faults") as caught:
        check_dataset(dataset)
    assert "000000000009.jpg is 16x16" in str(caught.value)
    assert "48x48" in str(caught.value)


def test_workers_can_take_the_data_set_along(tmp_path: Path) -> None:
    dataset = open_coco(make_coco(tmp_path), "train")
    copy = pickle.loads(pickle.dumps(dataset))
    assert np.array_equal(copy.label_map(1), dataset.label_map(1))


def test_a_cache_tells_the_labels_of_one_file_apart(tmp_path: Path) -> None:
    dataset = open_coco(make_coco(tmp_path), "train")
    store = DiskStore(dataset, tmp_path / "cache")
    store.put(0, "label", np.zeros((2, 2), np.uint8))
    assert store.get(1, "label") is None


def test_a_triangle_covers_the_pixels_whose_centres_it_holds() -> None:
    # Centres (0.5, 0.5) ... below the line from (0, 0) to (4, 4):
    mask = np.zeros((4, 4), bool)
    fill_polygon(mask, [(0, -0.1), (4, 3.9), (0, 3.9)])
    assert mask.astype(int).tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]


def test_a_polygon_beyond_the_image_is_cut_and_holes_stay_open() -> None:
    mask = shape_mask([[-5, -5, 9, -5, 9, 9, -5, 9]], (3, 4))
    assert mask.all()
    ring = [0, 0, 5, 0, 5, 5, 0, 5, 0, 0, 1, 1, 4, 1, 4, 4, 1, 4, 1, 1]
    assert np.count_nonzero(shape_mask([ring], (5, 5))) == 25 - 9


@pytest.mark.parametrize("points", [[], [3, 3], [1, 1, 4, 4], [2, 0, 2, 5, 2, 3]])
def test_shapes_without_an_area_cover_nothing(points: list[float]) -> None:
    assert not shape_mask([points], (6, 6)).any()


def test_runs_go_down_the_columns() -> None:
    assert runs_mask([1, 2, 3], (2, 3)).astype(int).tolist() == [[0, 1, 0], [1, 0, 0]]
    with pytest.raises(ValueError, match="add up to 5"):
        runs_mask([1, 4], (2, 3))


def test_packed_runs_are_unpacked() -> None:
    # 5 -> "5"; 40 = 8 + 1*32 -> 8|32, 1 -> "X1"; 7 -> "7"; then 38, two after 40: -2 -> 30 -> "N"
    assert decode_runs("5X17N") == [5, 40, 7, 38]
    with pytest.raises(ValueError, match="middle of a number"):
        decode_runs("5X")
    with pytest.raises(ValueError, match="no part"):
        decode_runs("5\x00")


def test_masks_are_those_of_pycocotools() -> None:
    mask_api = pytest.importorskip("pycocotools.mask")
    random = np.random.default_rng(0)
    wrong = pixels = 0
    for _ in range(50):
        angles = np.sort(random.uniform(0, 2 * np.pi, 12))
        radius = random.uniform(20, 90, 12)
        x, y = 100 + radius * np.cos(angles), 80 + radius * np.sin(angles)
        shape = [np.stack([x, y], 1).ravel().tolist()]
        packed = mask_api.merge(mask_api.frPyObjects(shape, 150, 200))
        theirs = mask_api.decode(packed).astype(bool)
        assert np.array_equal(shape_mask({"counts": packed["counts"].decode()}, (150, 200)), theirs)
        wrong += np.count_nonzero(shape_mask(shape, (150, 200)) != theirs)
        pixels += np.count_nonzero(theirs)
    assert wrong < 0.01 * pixels


def test_stuff_labels_are_the_ids_less_one(tmp_path: Path) -> None:
    dataset = open_coco_stuff(make_coco_stuff(tmp_path), "train")
    label_map = dataset.label_map(0)
    assert label_map[0, 0] == 255
    names = dataset.labels.class_names
    assert (names[label_map[0, 1]], names[label_map[15, 0]]) == ("person", "wood")
    assert dataset.labels.num_classes == 171


def test_ids_that_no_label_map_holds_are_a_fault() -> None:
    assert 11 not in COCO_STUFF_LABELS.values  # "street sign" was planned and has no annotation
    assert COCO_STUFF_LABELS.class_names[COCO_STUFF_LABELS.values[91]] == "banner"


def test_stuff_maps_may_lie_in_annotations(tmp_path: Path) -> None:
    make_coco_stuff(tmp_path)
    (tmp_path / "stuffthingmaps").rename(tmp_path / "annotations")
    assert len(open_coco_stuff(tmp_path, "val")) == 2


def test_coco_without_stuff_maps_is_explained(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"stuffthingmaps_trainval2017\.zip"):
        open_coco_stuff(make_coco(tmp_path), "val")
