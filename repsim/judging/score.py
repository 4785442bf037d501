"""Owns one score of one test."""

from dataclasses import dataclass
from math import nan


@dataclass(frozen=True)
class Score:
    """`value` ± `half` (95 %, jackknife over `networks` networks), one-sided `p` of a permutation test, from `n` numbers.

    nan where there is no such thing: nothing to score, too few networks, no permutation test.
    """

    value: float
    half: float = nan
    p: float = nan
    n: int = 0
    networks: int = 0


NOTHING = Score(nan)
