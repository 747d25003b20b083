"""Which files the user means."""

from pathlib import Path

import pytest

from dualseg.core.errors import InputError
from dualseg.inference.inputs import find_images, find_inputs
from dualseg.inference.own_results import mark_mp4, marked_png


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """b.png, a.JPG, notes.txt, .hidden.png, sub/c.png, empty/, texts/d.txt."""
    for name in ("b.png", "a.JPG", "notes.txt", ".hidden.png", "sub/c.png", "texts/d.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    return tmp_path


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def test_folder_stands_for_the_images_in_it(folder: Path) -> None:
    assert names(find_images([folder])) == ["a.JPG", "b.png"]


def test_pattern_stands_for_the_images_it_matches(folder: Path) -> None:
    assert names(find_images([f"{folder}/*"])) == ["a.JPG", "b.png"]
    assert names(find_images([f"{folder}/**/*.png"])) == ["b.png", "c.png"]


def test_folders_and_patterns_stand_for_their_videos_too(folder: Path) -> None:
    (folder / "0.AVI").touch()
    assert names(find_inputs([folder])) == ["a.JPG", "b.png", "0.AVI"]
    assert names(find_inputs([f"{folder}/*.AVI"])) == ["0.AVI"]
    assert names(find_images([folder])) == ["a.JPG", "b.png"]


def test_what_predict_wrote_beside_an_image_is_left_out_with_a_word(folder: Path) -> None:
    own = marked_png(b"\x89PNG" + bytes(40))
    for name in ("a_labels.png", "a_overlay.png", "c_labels.png", "sub/c_color.png"):
        (folder / name).write_bytes(own)
    (folder / "b_labels.png").write_bytes(b"\x89PNG" + bytes(100))  # drawn by hand
    for name in ("v.mp4", "v_overlay.mp4"):
        (folder / name).touch()
    mark_mp4(folder / "v_overlay.mp4")
    kept = ["a.JPG", "b.png", "b_labels.png", "c_labels.png", "v.mp4"]
    with pytest.warns(
        UserWarning, match=r"left out: a_labels\.png, a_overlay\.png, v_overlay\.mp4$"
    ):
        assert names(find_inputs([folder])) == kept
    with pytest.warns(UserWarning, match=r"left out: .*c_color\.png"):
        assert names(find_images([f"{folder}/**/c*.png"])) == ["c_labels.png", "c.png"]
    assert names(find_images([folder / "a_labels.png"])) == ["a_labels.png"]  # named itself


def test_what_is_no_image_is_left_out_with_a_word(folder: Path) -> None:
    for name in ("c.gif", "d.GIF", "e"):
        (folder / name).touch()
    (folder / "f.png").symlink_to(folder / "removed.png")
    left_out = (
        r"left out: 1 file with suffix \(none\), 2 files with suffix \.gif, "
        r"1 file with suffix \.txt, 1 link that leads nowhere \(f\.png\)$"
    )
    for given in (folder, f"{folder}/*"):
        with pytest.warns(UserWarning, match=left_out):
            assert names(find_inputs([given])) == ["a.JPG", "b.png"]


def test_a_folder_of_dangling_links_says_so(folder: Path) -> None:
    (folder / "empty" / "a.png").symlink_to(folder / "removed.png")
    with pytest.raises(InputError, match=r"image, but 1 link that leads nowhere \(a\.png\);"):
        find_images([folder / "empty"])


def test_order_is_kept_and_doubles_are_dropped(folder: Path) -> None:
    found = find_images([folder / "sub" / "c.png", folder, folder / "b.png"])
    assert names(found) == ["c.png", "a.JPG", "b.png"]


def test_file_with_magic_signs_in_its_name(folder: Path) -> None:
    (folder / "x[1].png").touch()
    assert names(find_images([folder / "x[1].png"])) == ["x[1].png"]


def test_every_wrong_input_is_listed(folder: Path) -> None:
    wrong = ["absent.png", "notes.txt", "empty", "texts", "*.webp"]
    with pytest.raises(InputError) as caught:
        find_images([folder / "b.png", *(folder / name for name in wrong)])
    problems = caught.value.problems
    assert len(problems) == 5
    assert "there is no file or folder" in problems[0]
    assert "notes.txt is no image: suffix .txt; allowed are .bmp, .jpeg, .jpg" in problems[1]
    assert "empty holds no image, nor any other file; allowed are" in problems[2]
    assert "texts holds no image, but 1 file with suffix .txt" in problems[3]
    assert "*.webp holds no image, nor any other file;" in problems[4]


@pytest.mark.parametrize("name", ["x" * 300, "x" * 300 + ".png", "x" * 300 + ".mp4"])
def test_a_name_that_is_too_long_is_no_file(name: str) -> None:
    for find in (find_images, find_inputs):
        with pytest.raises(InputError, match="there is no file or folder x"):
            find([name])


def test_two_files_of_one_name_would_overwrite_each_other(folder: Path) -> None:
    (folder / "sub" / "b.jpg").touch()
    with pytest.raises(InputError, match=r"b\.png and .*b\.jpg would both be written as b_labels"):
        find_images([folder, folder / "sub"])


def test_no_input_at_all() -> None:
    with pytest.raises(InputError, match="no input given"):
        find_images([])
