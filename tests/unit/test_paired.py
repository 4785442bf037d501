from itertools import product
from math import isnan, nan

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from repsim import paired, spreads
from repsim.interval import over_pairs

DISJOINT = tuple((f"f{i}", f"e{i}") for i in range(8))
VALUES = np.random.default_rng(4).normal(0.8, 1, 8)


def ordered(count: int) -> spreads.Pairs:
    return tuple((f"n{i}", f"n{j}") for i in range(count) for j in range(count) if i != j)


def test_disjoint_pairs_give_the_paired_t_test():
    other = np.random.default_rng(5).normal(size=8)
    found, oracle = paired.test((DISJOINT, VALUES)), stats.ttest_rel(VALUES + other, other)
    assert (found.t, found.df, found.p) == pytest.approx((oracle.statistic, oracle.df, oracle.pvalue), rel=1e-9)


def test_the_sign_test_of_disjoint_pairs_is_scipys_exact_permutation():
    oracle = stats.permutation_test(
        (VALUES, np.zeros(8)), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert paired.test((DISJOINT, VALUES)).p_flip == pytest.approx(oracle.pvalue, rel=1e-12)


def test_signs_of_whole_groups_are_flipped_where_groups_share_no_network():
    pairs = (("a", "b"), ("b", "a"), ("c", "d"), ("d", "c"), ("e", "f"), ("f", "e"))
    values = np.array([1.0, 2, 3, 4, -1, 0.5])
    sums = values.reshape(3, 2).sum(1)
    far = [abs(np.dot(signs, sums)) >= sums.sum() - 1e-12 for signs in product((1, -1), repeat=3)]
    assert paired.test((pairs, values)).p_flip == np.mean(far)


def test_pairs_that_share_networks_have_a_t_of_the_jackknife_and_no_signs():
    pairs = ordered(5)
    values = np.random.default_rng(1).normal(0.5, 1, len(pairs))
    found = paired.test((pairs, values))
    half = over_pairs(values, [f for f, _ in pairs], [e for _, e in pairs]).half
    error = half / stats.t.ppf(0.975, 4)
    assert (found.df, found.t) == (4, pytest.approx(values.mean() / error))
    assert found.p == pytest.approx(2 * stats.t.sf(abs(found.t), 4))
    assert isnan(found.p_flip)


def test_the_test_holds_its_level_where_one_that_forgets_shared_networks_does_not():
    """Differences with network effects and mean 0, all ordered pairs of 6: 5 % of them should be called different."""
    rng, pairs = np.random.default_rng(2), ordered(6)
    front, end = np.array([[int(f[1:]), int(e[1:])] for f, e in pairs]).T
    a, b = rng.normal(size=(2, 400, 6))
    drawn = a[:, front] + b[:, end] + rng.normal(size=(400, len(pairs)))
    assert np.mean([paired.test((pairs, values)).p < 0.05 for values in drawn]) < 0.08
    assert np.mean(stats.ttest_1samp(drawn, 0, axis=1).pvalue < 0.05) > 0.15


def test_the_effect_size_is_cohens_with_the_correction_of_hedges():
    found = paired.test((DISJOINT, VALUES))
    assert paired.correction(7) == pytest.approx(1 - 3 / (4 * 7 - 1), rel=2e-3)  # the usual approximation
    assert paired.correction(2) == pytest.approx(1 / np.sqrt(np.pi), rel=1e-12)  # Γ(1) / Γ(1/2)
    assert found.effect == pytest.approx(paired.correction(7) * VALUES.mean() / VALUES.std(ddof=1), rel=1e-12)
    assert found.below == np.mean(VALUES < 0)


def test_holm_is_that_of_statsmodels_and_passes_over_what_has_no_p():
    p = [0.01, 0.04, 0.03, 0.005, 0.5, 0.04]
    assert paired.holm(p) == pytest.approx(multipletests(p, method="holm")[1], rel=1e-12)
    with_gaps = paired.holm([0.01, nan, 0.04])
    assert with_gaps[::2] == pytest.approx(multipletests([0.01, 0.04], method="holm")[1]) and isnan(with_gaps[1])
    assert paired.holm([]) == []


@pytest.mark.parametrize("pairs", [(), (("a", "b"),), (("a", "b"), ("a", "c"))])
def test_too_few_networks_have_no_p(pairs):
    found = paired.test((pairs, [1.0] * len(pairs)))
    assert isnan(found.p) and isnan(found.p_flip)


def test_differences_that_are_all_equal_are_certain_and_none_at_all_is_none():
    assert paired.test((DISJOINT, [0.5] * 8)).p == 0
    nothing = paired.test((DISJOINT, [0.0] * 8))
    assert nothing.p == 1 and nothing.p_flip == 1 and isnan(nothing.effect)
