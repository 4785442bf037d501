import numpy as np
import pytest
from scipy import stats

from repsim import resampling, spreads
from repsim.interval import quantile


def disjoint(count: int) -> spreads.Pairs:
    return tuple((f"f{i:02d}", f"e{i:02d}") for i in range(count))


def ordered(count: int) -> spreads.Pairs:
    return tuple((f"n{i}", f"n{j}") for i in range(count) for j in range(count) if i != j)


def test_disjoint_pairs_are_drawn_as_scipy_draws_observations():
    """Quantiles of the same level: the expanded percentiles of 10 pairs are those of a 98.3 % percentile interval."""
    values = np.random.default_rng(3).exponential(2, 10)
    units = spreads.units(disjoint(10))
    level = 1 - 2 * stats.norm.cdf(-np.sqrt(10 / 9) * quantile(units))
    oracle = stats.bootstrap((values,), np.mean, n_resamples=100_000, confidence_level=level, method="percentile", rng=5)
    low, high = resampling.ends(values[None], units)
    width = oracle.confidence_interval.high - oracle.confidence_interval.low
    assert low[0] == pytest.approx(oracle.confidence_interval.low, abs=0.05 * width)
    assert high[0] == pytest.approx(oracle.confidence_interval.high, abs=0.05 * width)
    drawn = resampling.means(values[None], units)
    assert drawn.std() == pytest.approx(oracle.standard_error, rel=0.03)


def test_a_pair_comes_as_often_as_both_of_its_networks():
    """In a draw that holds a twice and b once only the pair (a, b) is there, and its value is the mean."""
    pairs = (("a", "b"), ("a", "c"), ("b", "c"))
    drawn = resampling.means(np.array([[1.0, 10.0, 100.0]]), spreads.units(pairs))[:, 0]
    assert set(np.round(drawn, 6)) == {1.0, 10.0, 100.0, 37.0}  # two distinct networks, or all three once
    # 3 of 27 draws hold one network alone, and so no pair: they are skipped; 6 of the other 24 hold all three
    assert np.mean(np.isclose(drawn, 37)) == pytest.approx(6 / 24, abs=0.03)
    assert len(drawn) == pytest.approx(resampling.DRAWS * 24 / 27, rel=0.03)


def test_a_network_paired_with_itself_comes_as_often_as_it_is_drawn():
    pairs = (("a", "a"), ("b", "b"))
    drawn = resampling.means(np.array([[0.0, 1.0]]), spreads.units(pairs))[:, 0]
    assert set(drawn) == {0.0, 0.5, 1.0}


def test_the_interval_is_the_same_each_time_and_shared_by_cells_of_the_same_pairs():
    values = np.random.default_rng(0).normal(size=(2, 12))
    both = resampling.ends(values, spreads.units(ordered(4)))
    for cell in (0, 1):
        alone = resampling.ends(values[cell : cell + 1], spreads.units(ordered(4)))
        assert [alone[0][0], alone[1][0]] == pytest.approx([both[0][cell], both[1][cell]], rel=1e-12)


def test_many_pairs_are_drawn_in_parts_with_the_same_numbers(monkeypatch):
    values, units = np.random.default_rng(0).normal(size=(3, 12)), spreads.units(ordered(4))
    whole = resampling.ends(values, units)
    monkeypatch.setattr(resampling, "AT_ONCE", 100)
    assert np.allclose(resampling.ends(values, units), whole, rtol=1e-12)


def test_equal_values_have_a_bootstrap_of_width_exactly_zero():
    low, high = resampling.ends(np.full((1, 12), 0.1), spreads.units(ordered(4)))
    assert (low[0], high[0]) == (0.1, 0.1)


@pytest.mark.parametrize("pairs", [(("a", "b"),), (("a", "b"), ("a", "c")), (("a", "b"), ("b", "a"))])
def test_no_bootstrap_is_made_up_where_one_network_touches_every_pair(pairs):
    (found,) = spreads.intervals([(pairs, [1.0] * len(pairs))], bootstrap=True)
    assert found.mean == 1 and np.isnan(found.low) and np.isnan(found.high)


def test_a_skewed_sample_has_a_skewed_interval():
    values = np.array([0.0] * 9 + [10.0])
    (found,) = spreads.intervals([(disjoint(10), values)], bootstrap=True)
    assert found.high - found.mean > 1.5 * (found.mean - found.low)


@pytest.mark.parametrize(("networks", "at_least"), [(4, 0.78), (6, 0.93), (10, 0.92)])
def test_the_bootstrap_covers_as_its_docstring_says(networks, at_least):
    """Additive network effects, true mean 0, all ordered pairs; plain percentiles would cover 0.84, 0.87 and 0.91."""
    rng, pairs = np.random.default_rng(7), ordered(networks)
    front, end = np.array([[int(f[1:]), int(e[1:])] for f, e in pairs]).T
    a, b = rng.normal(size=(2, 500, networks))
    values = a[:, front] + b[:, end] + rng.normal(size=(500, len(pairs)))
    low, high = resampling.ends(values, spreads.units(pairs))
    assert at_least <= np.mean((low <= 0) & (high >= 0)) <= 0.99
