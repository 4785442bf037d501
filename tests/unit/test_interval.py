from math import isnan, sqrt

import numpy as np
import pytest
from scipy import stats

from repsim.interval import over_pairs

T2 = 0.95 / sqrt(2 * 0.975 * 0.025)  # t_{0.975} with 2 degrees of freedom, in closed form: 4.3027


def test_three_networks_give_the_jackknife_computed_by_hand():
    found = over_pairs([1, 2, 6], "aab", "bcc")
    # without a: 6; without b: 2; without c: 1; their mean is 3; SE² = 2/3 · (9 + 1 + 4)
    assert (found.mean, found.units, found.over) == (3, 3, "networks")
    assert found.std == pytest.approx(sqrt(7))
    assert found.half == pytest.approx(T2 * sqrt(28 / 3), rel=1e-12)


def test_disjoint_pairs_give_the_t_interval_of_the_mean():
    values = np.random.default_rng(0).normal(3, 2, 9)
    found = over_pairs(values, [f"f{i}" for i in range(9)], [f"e{i}" for i in range(9)])
    low, high = stats.t.interval(0.95, 8, loc=values.mean(), scale=stats.sem(values))
    assert (found.units, found.over) == (9, "pairs")
    assert [found.mean - found.half, found.mean + found.half] == pytest.approx([low, high], rel=1e-12)


def test_networks_stitched_to_themselves_are_independent():
    found = over_pairs([1, 2, 6], "abc", "abc")
    assert found.over == "networks"
    assert found.half == pytest.approx(T2 * stats.sem([1, 2, 6]), rel=1e-12)


def test_groups_that_share_no_network_are_left_out_whole():
    found = over_pairs([1, 3, 5, 7], "abdf", "bceg")
    # {a b c} holds two pairs. Without each group: 6, 11/3, 3; SE² = 2/3 · (16² + 5² + 11²)/81
    assert (found.mean, found.units, found.over) == (4, 3, "groups")
    assert found.half == pytest.approx(T2 * sqrt(804 / 243), rel=1e-12)


def test_both_directions_of_disjoint_pairs_are_one_group_each():
    both = over_pairs([1, 3, 4, 6, 10, 12], "abcdef", "badcfe")
    assert (both.units, both.over) == (3, "groups")
    assert both.half == pytest.approx(over_pairs([2, 5, 11], "ace", "bdf").half, rel=1e-12)


@pytest.mark.parametrize(
    ("values", "front", "end"),
    [
        ([1], "a", "b"),  # one pair
        ([1], "a", "a"),  # one network
        ([1, 2], "ab", "ba"),  # two networks: each touches every pair
        ([1, 2, 3], "aaa", "bcd"),  # one front network in every pair
        ([1, 2], "ab", "bc"),
    ],
)
def test_no_interval_is_made_up_where_one_network_touches_every_pair(values, front, end):
    found = over_pairs(values, front, end)
    assert found.mean == pytest.approx(sum(values) / len(values))
    assert isnan(found.half)


def test_no_pairs_give_no_numbers():
    found = over_pairs([], "", "")
    assert isnan(found.mean) and isnan(found.std) and isnan(found.half) and found.units == 0


def test_equal_values_have_an_interval_of_width_exactly_zero():
    assert over_pairs([0.1] * 12, *_ordered_pairs(4)).half == 0


def test_the_interval_shifts_and_scales_with_the_values():
    values = np.random.default_rng(1).normal(size=12)
    front, end = _ordered_pairs(4)
    base, moved = over_pairs(values, front, end), over_pairs(1e6 - 3 * values, front, end)
    assert moved.half == pytest.approx(3 * base.half, rel=1e-6)
    assert moved.mean == pytest.approx(1e6 - 3 * base.mean, rel=1e-12)


@pytest.mark.parametrize("networks", [4, 8])
def test_jackknife_covers_where_the_pairwise_t_interval_does_not(networks):
    """Additive network effects: penalty of (i, j) = a_i + b_j + noise, true mean 0, all ordered pairs."""
    draw = np.random.default_rng(7)
    front, end = _ordered_pairs(networks)
    i, j = np.array(front, int), np.array(end, int)
    jackknife, naive = [], []
    for _ in range(300):
        a, b = draw.normal(size=(2, networks))
        values = a[i] + b[j] + draw.normal(size=len(i))
        found = over_pairs(values, front, end)
        jackknife.append(abs(found.mean) <= found.half)
        naive.append(abs(found.mean) <= stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))
    assert 0.90 <= np.mean(jackknife) <= 0.99
    assert np.mean(naive) < 0.85


def _ordered_pairs(networks: int) -> tuple[list[str], list[str]]:
    pairs = [(str(i), str(j)) for i in range(networks) for j in range(networks) if i != j]
    return [i for i, _ in pairs], [j for _, j in pairs]
