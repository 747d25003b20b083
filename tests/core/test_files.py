import errno
import json
import os
from pathlib import Path

import pytest

from dualseg.core import files
from dualseg.core.errors import InputError
from dualseg.core.files import (
    DiskFullError,
    make_folder,
    new_file,
    new_folder,
    remove_stale,
    write_bytes,
    write_json,
    write_text,
)


def test_a_write_that_fails_leaves_the_old_content_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "x.bin"
    write_bytes(path, b"old")

    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(
        DiskFullError, match=r"no space left to write .*x\.bin .*bytes free.*is intact"
    ):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x.bin"]


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    def fail_half_way():
        with new_folder(tmp_path / "made") as folder:
            (folder / "a").write_text("a")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        fail_half_way()
    assert os.listdir(tmp_path) == []
    with new_folder(tmp_path / "made") as folder:
        (folder / "a").write_text("a")
        assert not (tmp_path / "made").exists()
    assert (tmp_path / "made" / "a").read_text() == "a"


def test_processes_of_one_id_do_not_meet(tmp_path):
    """Containers number their processes each from 1; here it is one process that writes twice."""
    with new_file(tmp_path / "x") as first, new_file(tmp_path / "x") as second:
        first.write_text("first")
        second.write_text("second")
    assert (tmp_path / "x").read_text() == "first"
    with new_folder(tmp_path / "made") as first:
        (first / "kept").touch()
        with pytest.raises(RuntimeError, match="half way"), new_folder(tmp_path / "made"):
            raise RuntimeError("half way")
    assert os.listdir(tmp_path / "made") == ["kept"]


def test_leftovers_of_a_killed_process_are_removed(tmp_path):
    (tmp_path / ".tmp-123-x").write_text("half")
    (tmp_path / ".tmp-123-folder").mkdir()
    (tmp_path / "kept").write_text("kept")
    assert len(remove_stale(tmp_path)) == 2
    assert os.listdir(tmp_path) == ["kept"]


def test_what_another_living_process_writes_stays_where_no_lock_keeps_it_out(tmp_path):
    beyond_every_pid = (1 << 22) + 1
    for pid in (beyond_every_pid, 10**30, os.getpid(), os.getppid()):
        (tmp_path / f".tmp-{pid}-x.png").touch()
    (tmp_path / ".tmp-without-pid").touch()
    assert len(remove_stale(tmp_path, keep_living=True)) == 4
    assert os.listdir(tmp_path) == [f".tmp-{os.getppid()}-x.png"]


def test_a_missing_folder_is_the_users_error(tmp_path):
    with pytest.raises(InputError, match="cannot write"):
        write_bytes(tmp_path / "nowhere" / "x", b"")


@pytest.mark.parametrize("code", [errno.EROFS, errno.EIO, errno.ENOTEMPTY])
def test_whatever_the_disk_refuses_is_told_with_path_and_reason(tmp_path, monkeypatch, code):
    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(files.os, "replace", refuse)
    with pytest.raises(InputError, match=rf"cannot write .*x\.bin: {os.strerror(code)}"):
        write_bytes(tmp_path / "x.bin", b"")


def test_a_folder_in_the_place_of_a_file_and_too_long_a_name_are_input_errors(tmp_path):
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", tmp_path / ("x" * 300)):
        with pytest.raises(InputError, match="cannot write"):
            write_bytes(path, b"")


def test_a_full_disk_is_told_where_the_folder_could_not_even_be_made(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(DiskFullError, match="bytes free"), new_folder(tmp_path / "a" / "b"):
        pass


def test_a_folder_is_made_with_those_above_it_and_an_old_one_stays(tmp_path):
    make_folder(tmp_path / "a" / "b")
    (tmp_path / "a" / "b" / "kept").touch()
    make_folder(tmp_path / "a" / "b")
    assert os.listdir(tmp_path / "a" / "b") == ["kept"]


def test_a_file_in_the_way_of_a_folder_is_an_input_error(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match=f"cannot make the folder {path}: "):
            make_folder(path)


def test_a_file_name_that_is_no_utf_8_can_be_written_about(tmp_path):
    name = os.fsdecode(b"b\xfcro.png")
    write_json(tmp_path / "x.json", {"name": name})
    write_text(tmp_path / "x.txt", name)
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8")) == {"name": name}
    assert (tmp_path / "x.txt").read_text(encoding="utf-8") == "b\\udcfcro.png"


def test_json_has_no_nan(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"miou": float("nan")})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("place", [".", "/"])
def test_a_place_without_a_name_is_an_input_error(place):
    with pytest.raises(InputError, match="it is a folder that stands"):
        write_bytes(Path(place), b"new")
    with pytest.raises(InputError, match="it is a folder that stands"), new_folder(Path(place)):
        pass
