"""Which part of a data set each of several processes or workers takes."""


def share_of(count: int, rank: int, world: int) -> range:
    """One of `world` runs of neighbours that together are 0 to count - 1, each number once.

    Nothing is repeated to fill up, so counts over all shares are those of the whole. Lengths differ
    by one at most; where there are fewer things than takers, some shares are empty. Neighbours stay
    together, so that a process reads few shards. A worker's part of a share is a share of its
    length.

    Args:
        count: How many things there are.
        rank: Number of the taker, from 0.
        world: How many takers.

    Raises:
        ValueError: There is no such taker, or the count is below 0.
    """
    if count < 0 or not 0 <= rank < world:
        raise ValueError(f"share {rank} of {world}, of {count} things: rank must be 0 to world - 1")
    return range(count * rank // world, count * (rank + 1) // world)
