"""The `webdataset` package reads what we write, and we read what it writes."""

from pathlib import Path

import numpy as np
import pytest
from shard_files import file_dataset, image, label

from dualseg.data.shards.source import describe_shards
from dualseg.data.shards.writer import write_shards

webdataset = pytest.importorskip("webdataset")


def test_webdataset_reads_our_shards(tmp_path: Path) -> None:
    source = file_dataset(tmp_path / "f", 3)
    write_shards(source, tmp_path / "out", images_per_shard=2)
    pattern = f"{tmp_path}/out/train-{{000000..000001}}.tar"
    found = list(webdataset.WebDataset(pattern, shardshuffle=False).decode("pil"))
    assert [sample["__key__"] for sample in found] == [f"train s%2E{n}" for n in range(3)]
    for number, sample in enumerate(found):
        assert np.asarray(sample["png"]).tolist() == image(number).tolist()
    raw = list(webdataset.WebDataset(pattern, shardshuffle=False))
    assert raw[1]["png"] == source.pairs[1].image.read_bytes()
    assert raw[0]["label.png"].startswith(b"\x89PNG")


def test_we_read_the_shards_of_webdataset(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    with webdataset.ShardWriter(f"{folder}/train-%06d.tar", maxcount=2, verbose=0) as sink:
        for number in range(5):
            sink.write(
                {
                    "__key__": f"sub/{number:03d}",
                    "png": image(number),
                    "seg.png": label(number),
                    "json": {"id": number},
                }
            )
    (folder / "dataset.yaml").write_text("class_names: [a, b, c]\n")
    read = describe_shards(str(folder)).open("train")
    assert [read.name(n) for n in range(5)] == [f"sub/{n:03d}" for n in range(5)]
    for number in range(5):
        assert read.image(number).tolist() == image(number).tolist()
        assert read.label_map(number).tolist() == label(number).tolist()
    assert read.samples.notes == ("shards: not used: .json (5)",)
