"""What a row gives on the mean of several hosts, at one size and over both."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from camvid_study.intervals import Interval, over_groups
from camvid_study.plan import rows_of
from camvid_study.rows import SIZES
from camvid_study.summary import FEWEST_SEEDS, Place, Result, paired_values

MEASURES = ("miou", "boundary", "thin")
BOTH = "both sizes"

Rows = Mapping[str, Result]
SizeAndHost = tuple[str, str]


@dataclass(frozen=True)
class MeanDifference:
    """A row minus its baseline, on the mean of the hosts that have both.

    Args:
        epochs, size: What those runs have in common; the size may be `BOTH`, and then a host counts
            once for each size it has been trained at.
        row, baseline: Their names.
        hosts: Each with at least `FEWEST_SEEDS` seeds of both.
        seeds: Pairs in all.
        over_seeds: Measure -> interval.
    """

    epochs: int
    size: str
    row: str
    baseline: str
    hosts: tuple[str, ...]
    seeds: int
    over_seeds: Mapping[str, Interval]


def mean_differences(results: Mapping[Place, Rows]) -> list[MeanDifference]:
    """Of the ablation's rows, wherever two places have enough seeds: hosts of one size, or a host
    at both."""
    found = []
    for epochs, size, places in _groups(results):
        for row, baseline in _declared_pairs(host for _, host in places):
            pairs = _pairs_with_enough_seeds(places, row, baseline)
            if size == BOTH and len({each for each, _ in pairs}) < 2:
                continue  # one size alone: it has a line already
            if len(pairs) > 1:
                found.append(_mean_difference(epochs, size, row, baseline, pairs))
    return found


def _groups(
    results: Mapping[Place, Rows],
) -> Iterator[tuple[int, str, dict[SizeAndHost, Rows]]]:
    """Epochs, size and what was trained so: each size by itself, then all sizes of these epochs."""
    for epochs in dict.fromkeys(place[0] for place in results):
        places = {(s, host): rows for (e, s, host), rows in results.items() if e == epochs}
        for size in dict.fromkeys(size for size, _ in places):
            yield epochs, size, {key: rows for key, rows in places.items() if key[0] == size}
        yield epochs, BOTH, places


def _declared_pairs(hosts: Iterable[str]) -> list[tuple[str, str]]:
    declared = rows_of("ablation", sizes=list(SIZES), hosts=list(hosts))
    return list(dict.fromkeys((row.name, name) for row in declared for name in row.against))


def _pairs_with_enough_seeds(
    places: Mapping[SizeAndHost, Rows], row: str, baseline: str
) -> dict[SizeAndHost, tuple[Result, Result]]:
    there = {
        place: (rows[row], rows[baseline])
        for place, rows in places.items()
        if row in rows and baseline in rows
    }
    return {
        place: pair
        for place, pair in there.items()
        if len(paired_values(*pair, "miou")) >= FEWEST_SEEDS
    }


def _mean_difference(
    epochs: int,
    size: str,
    row: str,
    baseline: str,
    pairs: Mapping[SizeAndHost, tuple[Result, Result]],
) -> MeanDifference:
    values = {
        measure: [paired_values(*pair, measure) for pair in pairs.values()] for measure in MEASURES
    }
    # A measure may have no value for a seed; without two a host has no variance.
    intervals = {
        measure: over_groups(groups)
        for measure, groups in values.items()
        if min(len(group) for group in groups) > 1
    }
    hosts = tuple(dict.fromkeys(host for _, host in pairs))
    seeds = sum(len(group) for group in values["miou"])
    return MeanDifference(epochs, size, row, baseline, hosts, seeds, intervals)
