"""Owns the statistics of the second opinion: cells, intervals and comparisons by pandas and numpy alone."""

from itertools import product
from math import atan, cos, erf, gamma, pi, sin, sqrt

import numpy as np
import pandas as pd


def cell(runs: pd.DataFrame, value: str, scale: float, bootstrap: bool) -> dict:
    """All that is said of one cell."""
    ok = runs[runs["outcome"] == "ok"]
    finite = ok[np.isfinite(ok[value].to_numpy(dtype=float))]
    values = by_pair(finite, value, scale)
    unit, over = units(list(values.index))
    mean = float(values.mean()) if len(values) else None
    low, high = interval(values, bootstrap)
    found = {"mean": mean, "std": float(values.std(ddof=1)) if len(values) > 1 else None, "n": len(finite), "n_pairs": len(values)}
    found |= {"undefined": len(ok) - len(finite), "diverged": int((runs["outcome"] == "diverged").sum()), "n_units": len(unit)}
    return found | {"low": low, "high": high, "units": over, "expected": len(runs)}


def by_pair(runs: pd.DataFrame, value: str, scale: float) -> pd.Series:
    """The mean of the runs of each pair of networks."""
    front, end = sides(runs)
    return pd.Series(runs[value].to_numpy(dtype=float) * scale).groupby([front, end], sort=True).mean()


def compared(first: pd.DataFrame, second: pd.DataFrame, value: str, scale: float, bootstrap: bool) -> dict:
    """Two columns over the pairs that both have: means, difference with its interval, t by the jackknife, p, d and signs."""
    both = in_common(first, second, value, scale)
    difference = both[0] - both[1]
    unit, _ = units(list(both.index))
    half, mean, k = jackknife(difference.to_numpy(), unit), float(difference.mean()), len(unit)
    found = {
        "mean_a": float(both[0].mean()),
        "mean_b": float(both[1].mean()),
        "difference": mean,
        "n_pairs": len(both),
        "n_units": k,
        "below": float((difference < 0).mean()),
        "p_signs": signs(difference.to_numpy(), unit),
    }
    if half is None:
        return found | {"p": None}
    t, (low, high) = mean / (half / student(k - 1)), interval(difference, bootstrap)
    found |= {"low": low, "high": high, "t": t, "df": k - 1, "p": 1 - within(abs(t), k - 1)}
    return found | {"d": hedges(k - 1) * mean / float(difference.std(ddof=1)) if k > 2 else None}


def in_common(first: pd.DataFrame, second: pd.DataFrame, value: str, scale: float) -> pd.DataFrame:
    """The values of two columns, 0 and 1, over the pairs that both have."""
    finite = (one[(one["outcome"] == "ok") & np.isfinite(one[value].astype(float))] for one in (first, second))
    return pd.concat([by_pair(one, value, scale) for one in finite], axis=1).dropna()


def interval(values: pd.Series, bootstrap: bool) -> tuple[float | None, float | None]:
    """Both ends of the 95 % interval of the mean, of values by pair of networks."""
    unit, _ = units(list(values.index))
    half = jackknife(values.to_numpy(), unit)
    if half is None:
        return None, None
    if not bootstrap:
        return float(values.mean()) - half, float(values.mean()) + half
    means = drawn(values.to_numpy(), unit)
    tail = normal(-sqrt(len(unit) / (len(unit) - 1)) * student(len(unit) - 1))
    return float(np.quantile(means, tail)), float(np.quantile(means, 1 - tail))


def drawn(values: np.ndarray, touched: list[list[int]]) -> np.ndarray:
    """Means of 4,000 draws of the units, by numpy's generator 0; a pair comes as often as its units, multiplied."""
    taken = np.random.default_rng(0).multinomial(len(touched), np.full(len(touched), 1 / len(touched)), 4000).astype(float)
    weights = np.ones((4000, len(values)))
    for unit, places in enumerate(touched):
        weights[:, places] *= taken[:, [unit]]
    held = weights[weights.any(1)]
    return held @ values / held.sum(1)


def normal(z: float) -> float:
    """P(Z < z) of the standard normal distribution."""
    return (1 + erf(z / sqrt(2))) / 2


def hedges(freedom: int) -> float:
    """Γ(m/2) / (√(m/2) · Γ((m − 1)/2)) at m degrees of freedom; from its series where Γ would overflow."""
    if freedom > 300:
        return 1 - 3 / (4 * freedom - 1)
    return gamma(freedom / 2) / (sqrt(freedom / 2) * gamma((freedom - 1) / 2))


def signs(values: np.ndarray, touched: list[list[int]]) -> float | None:
    """Share of all flips of whole units whose sum is as far from 0; None where units share pairs, or are not 2 to 20."""
    if not 2 <= len(touched) <= 20 or sum(map(len, touched)) > len(values):
        return None
    parts = np.array([values[places].sum() for places in touched])
    flips = np.array(list(product((1.0, -1.0), repeat=len(parts))))
    return float((np.abs(flips @ parts) >= abs(parts.sum()) * (1 - 1e-12)).mean())


def holm(values: list[float | None]) -> list[float | None]:
    """Each p times how many are as large or larger, in order, and no less than one before it; None counts for none."""
    told = pd.Series(values, dtype=float).dropna().sort_values(kind="stable")
    adjusted = (told * np.arange(len(told), 0, -1)).clip(upper=1.0).cummax()
    return [float(adjusted[i]) if i in adjusted.index else None for i in range(len(values))]


def sides(runs: pd.DataFrame) -> tuple[list[str], list[str]]:
    if "front_network" in runs:
        return runs["front_network"].tolist(), runs["end_network"].tolist()
    alone = runs["network" if "network" in runs else "run_id"].tolist()
    return alone, alone


def units(pairs: list[tuple[str, str]]) -> tuple[list[list[int]], str]:
    """Which pairs each independent unit touches: networks where all hang together, else what hangs together."""
    groups: list[tuple[set[str], list[int]]] = []
    for place, pair in enumerate(pairs):
        touched = [group for group in groups if group[0] & set(pair)]
        groups = [group for group in groups if group not in touched]
        groups.append((set(pair).union(*(g[0] for g in touched)), [place, *(i for g in touched for i in g[1])]))
    if len(groups) > 1:
        alone = all(a == b for a, b in pairs)
        return [group[1] for group in groups], "networks" if alone else "pairs" if len(groups) == len(pairs) else "groups"
    names = sorted({name for pair in pairs for name in pair})
    return [[i for i, pair in enumerate(pairs) if name in pair] for name in names], "networks"


def jackknife(values: np.ndarray, touched: list[list[int]]) -> float | None:
    """t · √((k − 1)/k · Σ (m_u − mean)²), m_u the mean without what unit u touches; None where it cannot be formed."""
    k = len(touched)
    if k < 2 or any(len(places) == len(values) for places in touched):
        return None
    without = np.array([np.delete(values, places).mean() for places in touched])
    return student(k - 1) * sqrt((k - 1) / k * ((without - without.mean()) ** 2).sum())


def student(freedom: int) -> float:
    """The 97.5 % point of Student's t, by bisection of its distribution in closed form (Abramowitz & Stegun 26.7.3 and 26.7.4)."""
    low, high = 0.0, 1e3
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if within(middle, freedom) < 0.95 else (low, middle)
    return low


def within(t: float, freedom: int) -> float:
    """P(−t < T < t)."""
    angle = atan(t / sqrt(freedom))
    term = total = cos(angle) if freedom % 2 else 1.0
    for i in range(3 if freedom % 2 else 2, freedom - 1, 2):
        term *= cos(angle) ** 2 * (i - 1) / i
        total += term
    if freedom % 2:
        return 2 / pi * (angle + (sin(angle) * total if freedom > 1 else 0.0))
    return sin(angle) * total
