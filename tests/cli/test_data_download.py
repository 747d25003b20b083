"""`dualseg data download`: what a user reads, without a network."""

import hashlib
import io
import zipfile

import pytest

from dualseg.data.downloading import downloads
from dualseg.data.downloading.downloads import Download
from dualseg.data.downloading.fetch import RemoteFile
from official_trees import make_ade20k


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A small ADE20K that has been fetched already."""
    make_ade20k(tmp_path / "origin")
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for path in sorted((tmp_path / "origin").rglob("*.*")):
            file.write(path, path.relative_to(tmp_path / "origin").as_posix())
    data = content.getvalue()
    remote = RemoteFile("https://example.org/a.zip", len(data), hashlib.sha256(data).hexdigest())
    terms = "ADE20K: read the terms"
    monkeypatch.setattr(downloads, "DOWNLOADS", {"ade20k": Download((remote,), terms)})
    (tmp_path / "ade.download").mkdir()
    (tmp_path / "ade.download" / "a.zip").write_bytes(data)
    return tmp_path / "ade"


def test_terms_and_the_next_command_are_shown(dualseg, served):
    done = dualseg("data", "download", "ade20k", "--out", served)
    assert done.code == 0, done.stderr
    assert done.stdout == f"{served}\n"
    assert "terms: ADE20K: read the terms" in done.stderr
    assert f"dualseg train --set data.name=ade20k --data {served}" in done.stderr
    assert (served / "ADEChallengeData2016" / "images" / "training").is_dir()
    assert dualseg("data", "download", "ade20k", "--out", served).code == 2


def test_json(dualseg, served):
    done = dualseg("data", "download", "ade20k", "--out", served, "--json")
    assert done.json["out"] == str(served)


def test_data_that_needs_a_registration_says_where_it_is_to_be_had(dualseg, tmp_path):
    done = dualseg("data", "download", "cityscapes", "--out", tmp_path / "out")
    assert done.code == 2
    assert "its licence asks each user to register" in done.stderr
    assert "https://www.cityscapes-dataset.com" in done.stderr
    assert "leftImg8bit/{train,val}/CITY" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_offline(dualseg, tmp_path, monkeypatch):
    monkeypatch.setenv("DUALSEG_OFFLINE", "1")
    done = dualseg("data", "download", "voc", "--out", tmp_path / "out")
    assert done.code == 2
    assert "DUALSEG_OFFLINE is set" in done.stderr


def test_help(dualseg):
    assert "Example: dualseg data download voc" in dualseg("data", "download", "--help").stdout
