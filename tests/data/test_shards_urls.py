import os
from pathlib import Path

import pytest

from dualseg.core.errors import InputError
from dualseg.data.shards.reading import find_shards
from dualseg.data.shards.urls import beside, expand, is_url, name_of, normalized, parent_of, shown


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a-{000..002}.tar", ["a-000.tar", "a-001.tar", "a-002.tar"]),
        ("a{8..11}", ["a8", "a9", "a10", "a11"]),
        ("a{08..11}", ["a08", "a09", "a10", "a11"]),
        ("{a,b}{0..1}", ["a0", "a1", "b0", "b1"]),
        ("{train-{0..1},val-0}.tar", ["train-0.tar", "train-1.tar", "val-0.tar"]),
        ("plain.tar", ["plain.tar"]),
        ("a{x}", ["a{x}"]),
        ("a{", ["a{"]),
    ],
)
def test_braces_expand_as_in_a_shell(pattern: str, names: list[str]) -> None:
    assert expand(pattern) == names


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("{3..1}.tar", r"counts down; write \{1\.\.3\}"),
        ("{0..9999999}", "more than 100,000 shards"),
        ("{0..9999}{0..9999}", "more than 100,000 shards"),
        ("{a," * 9 + "b" + "}" * 9, "more than 5 deep"),
    ],
)
def test_patterns_beyond_reason_are_refused(pattern: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        expand(pattern)


def test_a_star_is_looked_up_and_must_fit(tmp_path: Path) -> None:
    for name in ("b-1.tar", "b-0.tar", "c.txt"):
        (tmp_path / name).touch()
    found = find_shards(f"{tmp_path}/b-*.tar")
    assert found == [str(tmp_path / "b-0.tar"), str(tmp_path / "b-1.tar")]
    with pytest.raises(InputError, match="no file fits"):
        find_shards(f"{tmp_path}/d-*.tar")


def test_a_shard_named_twice_is_refused() -> None:
    with pytest.raises(InputError, match=r"names /a/1\.tar twice"):
        find_shards("/a/{1,1}.tar")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("pipe:cat x.tar", "commands are not run"),
        ("simplecache::s3://b/x.tar", "chained URLs are not read"),
        ("gopher7://b/x.tar", "gopher7:// is unknown"),
    ],
)
def test_urls_that_run_or_hide_something_are_refused(url: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        normalized(url)


def test_a_file_url_is_a_path_and_a_path_becomes_absolute() -> None:
    assert normalized("file:///a/b%20c.tar") == "/a/b c.tar"
    assert normalized("a.tar") == os.path.abspath("a.tar")
    assert not is_url("C:/data/a.tar")


def test_messages_show_no_password_and_no_signature() -> None:
    assert shown("https://me:secret@host/a.tar?sig=1") == "https://host/a.tar?..."
    assert shown("/a/b?c.tar") == "/a/b?c.tar"


def test_a_signature_stays_where_it_is() -> None:
    url = "https://h/a/x.tar?sig=1/2"
    assert parent_of(url) == "https://h/a?sig=1/2"
    assert name_of(url) == "x.tar"
    assert beside(parent_of(url), "dataset.yaml") == "https://h/a/dataset.yaml?sig=1/2"
    assert beside("memory:///b", "c") == "memory:///b/c"
