"""Owns the statistics of the second opinion: cells, intervals and comparisons by pandas and numpy alone."""

from math import atan, cos, pi, sin, sqrt

import numpy as np
import pandas as pd


def cell(runs: pd.DataFrame, value: str, scale: float, bootstrap: bool) -> dict:
    """All that is said of one cell. An interval by bootstrap is drawn at random, and left out."""
    ok = runs[runs["outcome"] == "ok"]
    finite = ok[np.isfinite(ok[value].to_numpy(dtype=float))]
    values = by_pair(finite, value, scale)
    unit, over = units(list(values.index))
    half = None if bootstrap else jackknife(values.to_numpy(), unit)
    mean = float(values.mean()) if len(values) else None
    found = {"mean": mean, "std": float(values.std(ddof=1)) if len(values) > 1 else None, "n": len(finite), "n_pairs": len(values)}
    found |= {"undefined": len(ok) - len(finite), "diverged": int((runs["outcome"] == "diverged").sum()), "n_units": len(unit)}
    if not bootstrap:
        found |= {"low": None if half is None else mean - half, "high": None if half is None else mean + half, "units": over}
    return found | {"expected": len(runs)}


def by_pair(runs: pd.DataFrame, value: str, scale: float) -> pd.Series:
    """The mean of the runs of each pair of networks."""
    front, end = sides(runs)
    return pd.Series(runs[value].to_numpy(dtype=float) * scale).groupby([front, end], sort=True).mean()


def compared(first: pd.DataFrame, second: pd.DataFrame, value: str, scale: float) -> dict:
    """Two columns over the pairs that both have: means, difference with its interval, t by the jackknife, and its two-sided p."""
    both = pd.concat([by_pair(one[one["outcome"] == "ok"], value, scale) for one in (first, second)], axis=1).dropna()
    difference = both[0] - both[1]
    unit, _ = units(list(both.index))
    half, mean, k = jackknife(difference.to_numpy(), unit), float(difference.mean()), len(unit)
    found = {
        "mean_a": float(both[0].mean()),
        "mean_b": float(both[1].mean()),
        "difference": mean,
        "n_pairs": len(both),
        "n_units": k,
    }
    if half is None:
        return found
    t = mean / (half / student(k - 1))
    return found | {"low": mean - half, "high": mean + half, "t": t, "df": k - 1, "p": 1 - within(abs(t), k - 1)}


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
