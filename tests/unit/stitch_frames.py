"""Small frames of expected runs and of their finished rows, as the sweep and the store hand them to a table."""

from collections.abc import Callable, Sequence

import pandas as pd

DISJOINT = ((0, 1), (2, 3), (4, 5))


def expected_runs(
    layers: Sequence[str | tuple[str, str]] = ("bn1", "bn2"),
    cases: Sequence[str] = ("linear", "birkhoff"),
    pairs: Sequence[tuple[int, int]] = DISJOINT,
    seeds: Sequence[int] = (0,),
    archs: Sequence[str] = ("tiny10",),
) -> pd.DataFrame:
    """One row per expected run, default seeds outermost."""
    runs = []
    for seed in seeds:
        for arch in archs:
            for layer in layers:
                front, end = (layer, layer) if isinstance(layer, str) else layer
                for case in cases:
                    for f, e in pairs:
                        runs.append(
                            {
                                "run_id": f"{arch}-{front}-{end}-{case}-{f}-{e}-{seed}",
                                "case": case,
                                "front_arch": arch,
                                "end_arch": arch,
                                "front_seed": f,
                                "end_seed": e,
                                "front_network": f"{arch}-{f}",
                                "end_network": f"{arch}-{e}",
                                "front_layer": front,
                                "end_layer": end,
                                "seed": seed,
                            }
                        )
    return pd.DataFrame(runs)


def finished(expected: pd.DataFrame, penalty: Callable[[pd.Series], float]) -> pd.DataFrame:
    """A row of the store for every expected run."""
    rows = [{"run_id": run["run_id"], "outcome": "ok", "penalty": penalty(run)} for _, run in expected.iterrows()]
    return pd.DataFrame(rows)
