"""Owns where the numbers of a report come from: code, versions, machines, days, data, and the ids of the runs."""

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

SHOWN = {
    "commit": "git commit",
    "dirty": "uncommitted changes (hash)",
    "code": "code that ran (hash)",
    "repsim": "repsim",
    "torch": "torch",
    "cuda": "CUDA",
    "device": "device",
    "gpu": "card",
    "host": "host",
    "job_version": "version of the job",
    "schema_version": "schema of the store",
    "dataset": "data set",
    "submission": "submission",
}
"""Columns of the store → what people call them."""
NONE = "none"


def of(found: "pd.DataFrame", networks: "dict[str, pd.DataFrame]") -> dict[str, Any]:
    """Each column with its values and how many rows have each; when the first and the last group began; the ids that count."""
    ids = [] if found.empty else found["run_id"].tolist()
    trained = {name: frame["run_id"].tolist() for name, frame in networks.items() if len(frame)}
    started = [] if found.empty else sorted(found["started"].dropna().tolist())
    return {
        "rows": len(ids),
        "columns": {name: _values(found, name) for name in SHOWN if name in found.columns},
        "started": [started[0], started[-1]] if started else [],
        "run_ids": ids,
        "network_ids": trained,
    }


def hours(found: "pd.DataFrame", networks: "dict[str, pd.DataFrame]") -> list[dict[str, Any]]:
    """Hours of the stored runs by job, device and card: the sums of what the rows say."""
    counts: dict[tuple[str, str, str], list[float]] = {}
    for frame in (*networks.values(), found):
        for row in frame[["job", "device", "gpu", "run_seconds"]].itertuples(index=False) if len(frame) else ():
            counts.setdefault((str(row[0]), str(row[1]), _text(row[2])), []).append(float(row[3]))
    keys = ("job", "device", "card")
    return [dict(zip(keys, key, strict=True)) | {"runs": len(s), "hours": sum(s) / 3600} for key, s in counts.items()]


def _values(found: "pd.DataFrame", name: str) -> list[list[Any]]:
    """[value, rows], the most frequent first."""
    return [[value, count] for value, count in Counter(map(_text, found[name])).most_common()]


def _text(value: Any) -> str:
    if value is None or value != value:
        return NONE
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)
