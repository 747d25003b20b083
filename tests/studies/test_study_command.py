"""What may stand on the study's command line."""

from pathlib import Path

import pytest

import camvid


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--epochs", "0", "'0' is no whole number from 1 on"),
        ("--epochs", "-3", "'-3' is no whole number from 1 on"),
        ("--threads", "0", "'0' is no whole number from 1 on"),
        ("--seeds", "-1", "'-1' is no whole number from 0 on"),
        ("--seeds", "0,x", "'x' is no whole number from 0 on"),
        ("--seeds", "", "nothing is named"),
        ("--rows", " , ", "nothing is named"),
        ("--minutes", "-1", "'-1' is no number of minutes from 0 on"),
        ("--minutes", "nan", "'nan' is no number of minutes from 0 on"),
    ],
)
def test_a_value_that_means_nothing_is_refused(
    option: str, value: str, words: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as stopped:
        camvid.main(["--out", "out", f"{option}={value}"])

    assert stopped.value.code == 2
    assert f"argument {option}: {words}" in capsys.readouterr().err


def test_one_command_does_one_thing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stopped:
        camvid.main(["--out", "out", "--tables", "--records", str(tmp_path)])

    assert stopped.value.code == 2
    assert "argument --records: not allowed with argument --tables" in capsys.readouterr().err


@pytest.mark.parametrize("part", ["scratch", "best"])
@pytest.mark.parametrize("given", [["--sizes", "90x120"], ["--hosts", "mobilenet_v2"]])
def test_a_part_of_own_networks_takes_no_size_and_no_host(
    part: str,
    given: list[str],
    tiny_camvid: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    common = ["--data", str(tiny_camvid), "--out", str(tmp_path / "study"), "--dry-run"]

    assert camvid.main([*common, "--part", part, *given]) == 2

    said = capsys.readouterr()
    assert f"part {part} has a size and networks of its own; leave out --sizes" in said.err
    assert said.out == ""
