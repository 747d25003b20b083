"""What docs/study.md says of finished rows is what the records in the repository give."""

import re
from pathlib import Path

import pytest

from camvid_study.latency import read_latencies
from camvid_study.network_tables import network_tables
from camvid_study.summary import read_results
from camvid_study.tables import differences_of, markdown_of

ROOT = Path(__file__).parents[2]
RESULTS, DOCUMENT = ROOT / "results" / "camvid", ROOT / "docs" / "study.md"
RECORDS, HELD_OUT = RESULTS / "study", RESULTS / "study_0006R0"

pytestmark = pytest.mark.skipif(not RECORDS.is_dir(), reason="results/ is in the repository only")

END = r"(?:[+−]\d+\.\d\d?|0\.0)"
INTERVAL = re.compile(rf"\({END} to {END}\)")


def rows_of_tables(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("| ") and "---" not in line]


@pytest.mark.parametrize(("records", "least"), [(RECORDS, 10), (HELD_OUT, 5)])
def test_every_row_of_a_table_below_the_command_is_what_the_command_writes(
    records: Path, least: int
):
    begin = f"python studies/camvid.py --out results/camvid/{records.name} --tables"
    section = DOCUMENT.read_text().partition(begin)[2].partition("\n## ")[0]
    results = read_results(records)
    differences = {place: differences_of(of_place) for place, of_place in results.items()}

    more = network_tables(results)

    printed = markdown_of(results, differences, read_latencies(records), more)

    assert (records / "tables.md").read_text() == printed
    shown = rows_of_tables(section)
    assert len(shown) > least
    assert [row for row in shown if row not in rows_of_tables(printed)] == []


def test_every_interval_in_words_stands_in_the_tables():
    text, rest = DOCUMENT.read_text().split("\n## So far besides")
    assert "## What to believe so far" in text
    tables = "".join((each / "tables.md").read_text() for each in (RECORDS, HELD_OUT))

    shown = INTERVAL.findall(text)

    assert len(shown) > 30
    assert [interval for interval in shown if interval not in tables] == []
    assert INTERVAL.findall(rest) == []  # those rows have no records


def test_the_table_of_the_readme_is_what_the_tables_hold():
    hosts = {"ResNet-18": "resnet18", "RegNetY": "regnety_trained"}
    hosts |= {"EfficientNet-Lite0": "lite0_imagenet"}
    columns = ("low label", "full label", "+SSSR +SISR +FA", "full input")
    tables = (RECORDS / "tables.md").read_text()
    readme = (ROOT / "README.md").read_text().partition("## Results")[2].partition("\n## ")[0]

    rows = [row.strip("| ").split(" | ") for row in rows_of_tables(readme)[1:]]

    assert len(rows) == 5
    for host, sizes, *means, difference in rows:
        title = f"## ablation: {hosts[host.split(',')[0]]}, {sizes.split(',')[0]} in, 30 epochs\n"
        section = tables.partition(title)[2].partition("\n## ")[0]
        held = {row[0]: row[2][:5] for row in cells_of(section) if "±" in row[2]}
        assert means == [held.get(name, "–") for name in columns]
        against = {(row[0], row[1]): row[3] for row in cells_of(section)}
        assert difference == against["+SSSR +SISR +FA", "full label"]
    assert [each for each in INTERVAL.findall(readme) if each not in tables] == []


def cells_of(text: str) -> list[list[str]]:
    return [row.strip("| ").split(" | ") for row in rows_of_tables(text)]
