"""Owns what part of its group's seconds each run has: runs that are computed together share them by the work that each is."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

SHARE = "seconds_by_work"
GROUP = ["submission", "group", "started"]


def with_shares(found: "pd.DataFrame") -> "pd.DataFrame":
    """`found` with one more column: seconds of the run's group × its work / the work of the group.

        seconds_by_work = Σ_group run_seconds · work / Σ_group work

    The store gives every run of a group the same seconds, so that they say nothing about what a case costs; its work (images
    that pass through a network, where the job counts these) does. Rows of other sweeps in the group do not count on either side.
    """
    if found.empty or not {"run_seconds", "work", *GROUP} <= set(found.columns):
        return found
    groups = found.groupby(GROUP, dropna=False)
    work = groups["work"].transform("sum").to_numpy(dtype=float)
    seconds = groups["run_seconds"].transform("sum").to_numpy(dtype=float)
    share = seconds * found["work"].to_numpy(dtype=float) / np.where(work > 0, work, np.nan)
    return found.assign(**{SHARE: share})
