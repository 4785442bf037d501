"""Owns the guess of how long a group of runs would take, from the progress that it reports while it is cut short."""

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

Tick = tuple[float, float, str]
"""Seconds on the clock, share of the whole group that is begun, name of the loop."""


@dataclass
class Pace:
    """Overhears the progress of groups: a job reports each batch, before it is computed, as a share of the whole."""

    clock: Callable[[], float] = time.monotonic
    ticks: dict[str, list[Tick]] = field(default_factory=lambda: defaultdict(list))

    def hear(self, group: str, fraction: float, text: str) -> None:
        """Note one report; 1 is the end of the group, not a batch."""
        if fraction < 1:
            self.ticks[group].append((self.clock(), fraction, text))

    def ceiling(self, group: str) -> float | None:
        """Seconds of all batches of `group` if each took as long as in its slowest loop; None if no share was reported.

        The median within a loop passes over what happens once: the first batch, and a start that is solved for.
        """
        ticks = self.ticks[group]
        shares = [share for (_, before, _), (_, after, _) in pairwise(ticks) if (share := after - before) > 0]
        return max(_batches(ticks).values()) / median(shares) if shares else None

    def once(self, group: str, seconds: float) -> float:
        """Of the `seconds` that `group` took, those that its batches did not: networks and images read, starts solved for, scores.

        Every report is one batch, of the median length of its loop.
        """
        usual = _batches(self.ticks[group])
        return max(0.0, seconds - sum(usual.get(loop, 0.0) for _, _, loop in self.ticks[group]))


def _batches(ticks: list[Tick]) -> dict[str, float]:
    """Median seconds of a batch, by loop; the first, which waits for memory and kernels, counts only where it is alone."""
    taken: dict[str, list[float]] = defaultdict(list)
    for (began, _, loop), (ended, _, _) in pairwise(ticks):
        taken[loop].append(ended - began)
    return {loop: median(each[1:] or each) for loop, each in taken.items()}
