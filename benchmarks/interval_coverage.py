"""Owns the coverage of the intervals of tables: how often each holds the true mean, simulated for few networks.

    python benchmarks/interval_coverage.py

    penalty of pair (i, j) = a_i + b_j + noise,     a, b, noise independent with mean 0 and variance 1

Normal, or skewed (exponential − 1). Designs: disjoint pairs, all ordered pairs, a ring (each network before the next one). The
intervals that tables have are computed by the package; beside them stand those that it has not, made of the same draws: plain
percentiles, BCa, and Student's t on the error of the bootstrap.
"""

import argparse
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from scipy.special import ndtr, ndtri

from repsim import resampling
from repsim.interval import LEVEL, Units, errors, quantile, units_of

SIZES = (4, 6, 10, 20)
DESIGNS = {
    "disjoint pairs": lambda k: (np.arange(0, 2 * k, 2), np.arange(1, 2 * k, 2)),
    "all ordered pairs": lambda k: np.array([(i, j) for i in range(k) for j in range(k) if i != j]).T,
    "ring": lambda k: (np.arange(k), (np.arange(k) + 1) % k),
}
LAWS = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "skewed": lambda rng, shape: rng.exponential(size=shape) - 1,
}
WAYS = ("jackknife", "bootstrap", "percentile", "BCa", "t of the bootstrap")
Ends = tuple[np.ndarray, np.ndarray]


def main() -> None:
    """Simulate every design, and write the result."""
    args = _arguments()
    lines = []
    for name, design in DESIGNS.items():
        for size in SIZES:
            for law in LAWS:
                found = _covered(design(size), law, args)
                cells = [f"{100 * share:.1f} ({width:.1f})" for share, width in found]
                lines.append(f"| {name} | {size} | {law} | {' | '.join(cells)} |")
                print(lines[-1], flush=True)
    print(_write(args, lines))


def _covered(design: Ends, law: str, args: argparse.Namespace) -> list[tuple[float, float]]:
    """Share of tables whose interval holds 0, and its median width, by way."""
    front, end = design
    rng, count = np.random.default_rng(args.seed), int(max(front.max(), end.max())) + 1
    draw = LAWS[law]
    a, b = draw(rng, (args.tables, count)), draw(rng, (args.tables, count))
    values = a[:, front] + b[:, end] + draw(rng, (args.tables, len(front)))
    ends = _ends(values, units_of(np.asarray(front), np.asarray(end)))
    return [(float(((low <= 0) & (high >= 0)).mean()), float(np.median(high - low))) for low, high in ends]


def _ends(values: np.ndarray, units: Units) -> list[Ends]:
    mean, half = values.mean(1), quantile(units) * errors(values, units)
    drawn, tail = resampling.means(values, units), (1 - LEVEL) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail], axis=0)
    student = quantile(units) * drawn.std(0, ddof=1) * np.sqrt(units.count / (units.count - 1))
    return [
        (mean - half, mean + half),
        resampling.ends(values, units),
        (low, high),
        _corrected(values, drawn, units),
        (mean - student, mean + student),
    ]


def _corrected(values: np.ndarray, drawn: np.ndarray, units: Units) -> Ends:
    """BCa: Efron & Tibshirani 1993, eq. 14.9 to 14.15, with the acceleration of the jackknife over units."""
    mean = values.mean(1)
    bias = ndtri(((drawn < mean).mean(0) + (drawn <= mean).mean(0)) / 2)
    apart = (values - values[:, :1]).T
    without = (apart.sum(0) - units.touches @ apart) / units.left[:, None]
    distance = without.mean(0) - without
    speed = (distance**3).sum(0) / (6 * (distance**2).sum(0) ** 1.5)
    ranked, ends = np.sort(drawn, axis=0), []
    for z in (ndtri((1 - LEVEL) / 2), ndtri((1 + LEVEL) / 2)):
        at = ndtr(bias + (bias + z) / (1 - speed * (bias + z)))
        place = np.clip((at * len(drawn)).astype(int), 0, len(drawn) - 1)
        ends.append(ranked[place, np.arange(drawn.shape[1])])
    return ends[0], ends[1]


def _write(args: argparse.Namespace, lines: list[str]) -> Path:
    sure = 200 * (LEVEL * (1 - LEVEL) / args.tables) ** 0.5
    text = [
        "# How often 95 % intervals of tables hold the true mean",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}; `interval_coverage.py`: {args.tables:,} simulated tables per line, {resampling.DRAWS:,}",
        f"draws per bootstrap, seed {args.seed}. In each cell: share of intervals that hold the truth in %, and (median width).",
        f"Two standard errors of a share of 95 % are {sure:.1f} points.",
        "",
        "`jackknife` (`spread: interval`) and `bootstrap` (expanded percentiles; `spread: bootstrap`) are those that tables have.",
        "",
        f"| pairs | units | effects and noise | {' | '.join(WAYS)} |",
        f"|---|---|---|{'---|' * len(WAYS)}",
        *lines,
        "",
        "The jackknife is the default: with four networks it alone of the two stays near 95 %, as a draw holds few distinct",
        "ones. From six on, expanded percentiles do about as well, and are narrower where all pairs are stitched; plain",
        "percentiles and BCa are too narrow, most of all with few networks. Skewed numbers cost some points by any way. In a ring",
        "all are wider than they need be.",
        "",
    ]
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "interval_coverage.md"
    path.write_text("\n".join(text))
    return path


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results", help="folder of the Markdown file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
