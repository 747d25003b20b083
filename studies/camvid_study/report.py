"""`--tables`: everything that is made of the finished runs."""

from pathlib import Path

from camvid_study.crops import SHOWN, write_crops
from camvid_study.figures import write_figures
from camvid_study.latency import read_latencies
from camvid_study.network_tables import network_tables
from camvid_study.overview import write_overview
from camvid_study.rows import SIZES
from camvid_study.shrunk import SHRUNK_FOLDER, make_shrunk
from camvid_study.summary import read_results
from camvid_study.tables import differences_of, json_of, markdown_of
from dualseg.cli.console import say
from dualseg.core.files import write_json, write_text
from dualseg.data.datasets.camvid import open_camvid


def write_report(out: Path, *, data: Path | None) -> Path:
    """Writes `tables.md`, `tables.json`, `plots/*.svg`, and with `data` also `looks/*.png`.

    Args:
        out: The study's folder.
        data: CamVid, for the crops. They hold parts of its pictures and stay with the data.

    Returns:
        The Markdown file.

    Raises:
        InputError: Nothing is finished yet.
    """
    results, latencies = read_results(out), read_latencies(out)
    differences = {place: differences_of(of_place) for place, of_place in results.items()}
    write_json(out / "tables.json", json_of(results, differences, latencies))
    more = network_tables(results)
    write_text(out / "tables.md", markdown_of(results, differences, latencies, more))
    write_figures(results, differences, latencies, out / "plots")
    write_overview(results, differences, out / "plots")
    if data is not None:
        for (epochs, size, host), of_place in results.items():
            is_shrunk = SIZES[size].shrunk
            root = make_shrunk(data, out / SHRUNK_FOLDER) if is_shrunk else data
            target = out / "looks" / f"{epochs}_{size}_{host}.png"
            if write_crops(of_place, open_camvid(root, "val"), target) is None:
                needed = ", ".join(SHOWN)
                say(f"no crops for {host}, {size}: they need the networks of {needed}, one seed")
    return out / "tables.md"
