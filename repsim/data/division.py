"""Owns the division of a set that comes without a test split: which of its images are for testing, fixed by a seed."""

import numpy as np

from repsim.data.facts import Division, Split


def positions(division: Division, split: Split, n: int) -> list[int]:
    """Those of `n` images that are in `split`, in their order. RandomState's stream is frozen for good, so they never change."""
    order = np.random.RandomState(division.seed).permutation(n)
    test = min(max(1, round(division.test_share * n)), n - 1)
    return sorted((order[:test] if split == "test" else order[test:]).tolist())
