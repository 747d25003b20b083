"""A declaration under another name than `dataset.yaml` is refused, not passed over."""

from pathlib import Path

import pytest

from dualseg.core.errors import InputError
from dualseg.data.datasets.dataset_yaml import Declaration, read_declaration


@pytest.mark.parametrize("name", ["dataset.yml", "Dataset.YML", "DATASET.yaml"])
def test_a_declaration_spelled_otherwise_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("class_names: [a, b]\n")
    if (tmp_path / "dataset.yaml").is_file():
        pytest.skip("this file system does not tell upper from lower case")
    with pytest.raises(InputError, match=rf"{name} would not be read.* rename it"):
        read_declaration(tmp_path)


def test_a_declaration_that_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dataset.yaml").mkdir()
    with pytest.raises(InputError, match=r"dataset\.yaml is no file"):
        read_declaration(tmp_path)


def test_a_dangling_link_is_no_declaration(tmp_path: Path) -> None:
    (tmp_path / "dataset.yaml").symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match=r"dataset\.yaml is no file"):
        read_declaration(tmp_path)


def test_other_files_and_the_right_one_beside_another_are_no_fault(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("nc: 2\n")
    assert read_declaration(tmp_path) == Declaration()
    (tmp_path / "dataset.yaml").write_text("class_names: [a, b]\n")
    (tmp_path / "dataset.yml").write_text("class_names: [c, d]\n")
    assert read_declaration(tmp_path).class_names == ("a", "b")
