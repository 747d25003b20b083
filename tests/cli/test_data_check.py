"""`dualseg data check`: codes, report and exit code."""

import json
import shutil

import numpy as np
from PIL import Image


def test_faults_are_listed_as_json_with_exit_code_2(dualseg, street, tmp_path):
    (street / "images" / "3.png").write_bytes(b"<html>")
    Image.fromarray(np.zeros((5, 5, 3), np.uint8)).save(street / "images" / "4.png")
    out = tmp_path / "report.json"
    found = dualseg("data", "check", street, "--json", "--out", out)
    assert found.code == 2
    assert found.json == json.loads(out.read_text())
    faults = {fault["code"]: fault for fault in found.json["faults"]}
    assert set(faults) == {"E101", "E111"}
    assert set(faults["E111"]) == {"code", "file", "found", "expected", "fix"}
    assert faults["E111"]["file"].endswith("3.png")


def test_faults_are_told_a_person(dualseg, street):
    (street / "images" / "3.png").write_bytes(b"")
    found = dualseg("data", "check", street)
    assert found.code == 2
    assert "has 1 fault; --out report.json lists all of them:" in found.stderr
    assert "3.png is empty (zero bytes)" in found.stderr
    assert "E111" in found.stderr


def test_a_folder_without_fault_ends_with_a_word_of_it(dualseg, street):
    found = dualseg("data", "check", street)
    assert found.code == 0, found.stderr
    assert found.stderr.splitlines()[-1].startswith("no fault found in 8 images and their labels")
    assert "1 image, ignored" in found.stdout
    (street / "images" / "3.png").write_bytes(b"")
    assert "no fault found" not in dualseg("data", "check", street).stderr


def test_warnings_are_counted_where_there_is_no_fault(dualseg, street):
    shutil.copy(street / "images" / "0.png", street / "images" / "1.png")
    found = dualseg("data", "check", street)
    assert found.code == 0, found.stderr
    num_warnings = found.stderr.count("warning: ")
    assert num_warnings > 0
    assert found.stderr.splitlines()[-1].split(", ")[1].startswith(f"{num_warnings} warning")


def test_a_folder_that_is_no_data_set_is_a_fault_too(dualseg, street):
    (street / "masks" / "3.png").unlink()
    found = dualseg("data", "check", street, "--json")
    assert found.code == 2
    (fault,) = found.json["faults"]
    assert fault["code"] == "E100"
    assert "images have no mask" in fault["found"]


def test_images_that_stand_twice_are_warnings(dualseg, street):
    for number in range(1, 8):
        shutil.copy(street / "images" / "0.png", street / "images" / f"{number}.png")
    found = dualseg("data", "check", street, "--json", "--no-cache")
    assert found.code == 0, found.stderr
    assert {"W203", "W204"} <= {warning["code"] for warning in found.json["warnings"]}


def test_a_report_has_the_name_of_a_report(dualseg, street):
    found = dualseg("data", "check", street, "--out", "report.txt")
    assert found.code == 2
    assert "name it report.json" in found.stderr


def test_the_test_split_is_checked_too(dualseg, street, tmp_path):
    data = tmp_path / "data"
    for number, split in enumerate(("train", "val", "test")):
        for part in ("images", "masks"):
            (data / part / split).mkdir(parents=True)
            for name in (2 * number, 2 * number + 1):
                shutil.copy(street / part / f"{name}.png", data / part / split / f"{name}.png")
    shutil.copy(data / "images/train/0.png", data / "images/test/4.png")
    good = dualseg("data", "check", data, "--json")
    assert good.code == 0, good.stderr
    assert good.json["test"]["num_images"] == 2
    leaks = [w["file"] for w in good.json["warnings"] if w["code"] == "W203"]
    assert leaks == ["train and test:"]
    (data / "images/test/5.png").write_bytes(b"")
    wrong = dualseg("data", "check", data, "--json")
    assert wrong.code == 2
    assert [fault["code"] for fault in wrong.json["faults"]] == ["E111"]
