"""What a row gives on the mean of several hosts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from camvid_study.intervals import Interval, over_groups
from camvid_study.plan import rows_of
from camvid_study.rows import SIZES
from camvid_study.summary import FEWEST_SEEDS, Place, Result, paired_values

MEASURES = ("miou", "boundary", "thin")


@dataclass(frozen=True)
class MeanDifference:
    """A row minus its baseline, on the mean of the hosts that have both.

    Args:
        epochs, size: What those runs have in common.
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


def mean_differences(results: Mapping[Place, Mapping[str, Result]]) -> list[MeanDifference]:
    """Of the ablation's rows, wherever two hosts or more have enough seeds."""
    found = []
    for epochs, size in dict.fromkeys(place[:2] for place in results):
        of_hosts = {
            host: rows for (e, s, host), rows in results.items() if (e, s) == (epochs, size)
        }
        for row, baseline in _declared_pairs(of_hosts):
            pairs = _pairs_with_enough_seeds(of_hosts, row, baseline)
            if len(pairs) > 1:
                found.append(_mean_difference(epochs, size, row, baseline, pairs))
    return found


def _declared_pairs(hosts: Iterable[str]) -> list[tuple[str, str]]:
    declared = rows_of("ablation", sizes=list(SIZES), hosts=list(hosts))
    return list(dict.fromkeys((row.name, name) for row in declared for name in row.against))


def _pairs_with_enough_seeds(
    of_hosts: Mapping[str, Mapping[str, Result]], row: str, baseline: str
) -> dict[str, tuple[Result, Result]]:
    there = {
        host: (rows[row], rows[baseline])
        for host, rows in of_hosts.items()
        if row in rows and baseline in rows
    }
    return {
        host: pair
        for host, pair in there.items()
        if len(paired_values(*pair, "miou")) >= FEWEST_SEEDS
    }


def _mean_difference(
    epochs: int, size: str, row: str, baseline: str, pairs: Mapping[str, tuple[Result, Result]]
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
    seeds = sum(len(group) for group in values["miou"])
    return MeanDifference(epochs, size, row, baseline, tuple(pairs), seeds, intervals)
