"""Owns how things are shared out: a ceiling over arrays, tasks over targets. Pure."""

from collections.abc import Sequence


def shared(sizes: Sequence[int], ceiling: int) -> list[int]:
    """How many tasks of each array may run at once: no more than it has, all equal where that does not bind, together the ceiling.

    Each gets at least one; what then exceeds the ceiling must wait its turn, see `before`.
    """
    found, left = [1] * len(sizes), ceiling - len(sizes)
    while left > 0 and any(share < size for share, size in zip(found, sizes, strict=True)):
        open_ones = [i for i, size in enumerate(sizes) if found[i] < size]
        least = min(found[i] for i in open_ones)
        for i in [i for i in open_ones if found[i] == least][:left]:
            found[i], left = found[i] + 1, left - 1
    return found


def before(place: int, ceiling: int) -> int | None:
    """The array that the one at `place` waits for where there are more arrays than may run at once: they go in lanes."""
    return place - ceiling if place >= ceiling else None


def dealt(seconds: Sequence[float], weights: Sequence[float]) -> list[int]:
    """For each task the target that is through with it first, where a target does `weight` seconds of work a second."""
    loads, found = [0.0] * len(weights), []
    for length in seconds:
        target = min(range(len(weights)), key=lambda i: ((loads[i] + length) / weights[i], i))
        loads[target] += length
        found.append(target)
    return found
