from dualseg.core.history import read_history


def test_whole_lines_are_read_and_others_passed_over(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(
        b'{"step": 1, "split": "train", "loss": 0.5}\n'
        b"[1]\n"
        b'{"split": "val"}\n'
        b'{"step": "1", "split": "val"}\n'
        b"\xff\n"
        b'{"step": 2, "split": "val", "miou": null}\n'
        b'{"step": 3, "sp'
    )
    assert read_history(path) == [
        {"step": 1, "split": "train", "loss": 0.5},
        {"step": 2, "split": "val", "miou": None},
    ]


def test_a_run_without_measurements_has_no_history(tmp_path):
    assert read_history(tmp_path / "metrics.jsonl") == []
