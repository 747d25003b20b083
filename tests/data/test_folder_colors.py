from pathlib import Path

import numpy as np
import pytest
import yaml
from numpy.typing import ArrayLike
from pictures import gray, save

from dualseg.core.errors import InputError
from dualseg.data.datasets.camvid import CAMVID_LABELS
from dualseg.data.datasets.folder import FolderDescription, describe_folder
from dualseg.data.datasets.voc import VOC_LABELS

BLACK, RED, BLUE = (0, 0, 0), (200, 0, 0), (0, 0, 200)


def _folder(root: Path, row: ArrayLike, suffix: str = "png") -> Path:
    """Two images with the same mask of one row of colours."""
    for name in ("a", "b"):
        save(root / f"images/{name}.png", gray(1, len(np.asarray(row))))
        save(root / f"masks/{name}.{suffix}", np.asarray([row]))
    return root


def _ids(description: FolderDescription) -> list[list[int]]:
    return description.open("train").label_map(0).tolist()


def test_each_colour_is_a_class_and_black_the_background(tmp_path: Path) -> None:
    description = describe_folder(_folder(tmp_path, [BLUE, RED, BLACK, RED]))
    assert description.labels.class_names == ("background", "rgb_0_0_200", "rgb_200_0_0")
    assert _ids(description) == [[1, 2, 0, 2]]
    assert "colours: each one is a class, none is ignored" in description.notes
    assert "  [200, 0, 0] rgb_200_0_0: 4 pixels" in description.notes


def test_vocs_palette_is_recognised_and_its_border_ignored(tmp_path: Path) -> None:
    row = [*(VOC_LABELS.palette[i] for i in (0, 1, 8, 15)), (224, 224, 192)]
    description = describe_folder(_folder(tmp_path, row))
    assert description.labels.class_names == VOC_LABELS.class_names
    assert _ids(description) == [[0, 1, 8, 15, 255]]
    assert any("PASCAL VOC's palette was recognised" in note for note in description.notes)


def test_camvids_palette_is_recognised(tmp_path: Path) -> None:
    description = describe_folder(_folder(tmp_path, [*CAMVID_LABELS.palette, BLACK]))
    assert description.labels.class_names == CAMVID_LABELS.class_names
    assert _ids(description) == [[*range(11), 255]]


def test_dataset_yaml_names_colours_and_several_may_be_one_class(tmp_path: Path) -> None:
    root = _folder(tmp_path, [BLACK, RED, BLUE, (9, 9, 9)])
    (root / "dataset.yaml").write_text(
        "class_names: [ground, car]\ncolors:\n- {color: [0, 0, 0], class: ground}\n"
        "- {color: [200, 0, 0], class: car}\n- {color: [0, 0, 200], class: 1}\n"
        "- {color: [9, 9, 9], class: 255}\n"
    )
    description = describe_folder(root)
    assert description.labels.class_names == ("ground", "car")
    assert _ids(description) == [[0, 1, 1, 255]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "ignore_index: 0",
            r"but the masks hold colours; .* colors: \[\{color: \[0, 0, 0\], class",
        ),
        ("values: {0: 0, 255: 1}", r"says what label values mean \(values, ignore_index\), but"),
        ("colors: 3", r"colors: expected a list of \{color: \[red, green, blue\], class"),
        ("colors: [{color: [0, 0, 0], class: a}]", r"does not name: \[200, 0, 0\] \(2 pixels\)"),
        (
            "class_names: [a, b]\ncolors: [{color: [0, 0, 0], class: c}]",
            "colors names c, which is no class; class_names has a, b",
        ),
        (
            "colors: [{color: [0, 0, 0], class: a}, {color: [0, 0, 0], class: b}]",
            r"\[0, 0, 0\] stands twice",
        ),
    ],
)
def test_faults_of_declared_colours_are_explained(tmp_path: Path, text: str, message: str) -> None:
    root = _folder(tmp_path, [BLACK, RED])
    (root / "dataset.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        describe_folder(root)


@pytest.mark.parametrize("row", [[BLACK, RED], [*CAMVID_LABELS.palette, BLACK]])
def test_the_record_of_a_run_reads_to_the_same_meaning(tmp_path: Path, row: ArrayLike) -> None:
    root = _folder(tmp_path, row)
    before = describe_folder(root)
    run = {"name": "folder", "root": "x", "train": {}, "val": {}, "notes": list(before.notes)}
    (root / "dataset.yaml").write_text(yaml.safe_dump({**run, **before.labels.to_dict()}))
    after = describe_folder(root)
    assert after.labels == before.labels
    assert _ids(after) == _ids(before)


def test_a_constant_alpha_is_left_out_with_a_note(tmp_path: Path) -> None:
    description = describe_folder(_folder(tmp_path, [(*BLACK, 255), (*RED, 255)]))
    assert _ids(description) == [[0, 1]]
    assert any(note.startswith("alpha: the same in every pixel") for note in description.notes)


def test_an_alpha_that_tells_something_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.png has an alpha channel from 0 to 255.*save it as"):
        describe_folder(_folder(tmp_path, [(*BLACK, 0), (*RED, 255)]))


def test_coloured_jpeg_masks_are_refused_with_the_fix(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"2 coloured masks are JPEG .*save the masks as PNG"):
        describe_folder(_folder(tmp_path, [BLACK, RED], "jpg"))


def test_more_colours_than_classes_can_be_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"41 colours; allowed are 2 to 40; save the masks as"):
        describe_folder(_folder(tmp_path, [(i, 0, 9) for i in range(41)]))
