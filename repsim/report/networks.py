"""Owns how a list of networks is shown to people."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from repsim.job import NetworkFacts

HEAD = ("id", "architecture", "data", "made", "seed", "accuracy", "n", "file")


def text(rows: Sequence[Mapping[str, Any]], root: Path) -> str:
    """One line per network; files relative to `root` where they lie below it. A seed pair is first weights / batches."""
    lines = [HEAD, *(_line(row, root) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)


def _line(row: Mapping[str, Any], root: Path) -> tuple[str, ...]:
    arch = NetworkFacts(row["arch"], row["width"], 0, 0, 0, row["depth"]).label
    accuracy = "diverged" if row["outcome"] == "diverged" else f"{row['accuracy']:.4f}"
    count = f"{row['test_images']:,}"
    return (row["run_id"], arch, row["dataset"], row["made"], _seeds(row), accuracy, count, _where(row, root))


def _seeds(row: Mapping[str, Any]) -> str:
    return str(row["seed"]) if row["data_seed"] in (None, row["seed"]) else f"{row['seed']}/{row['data_seed']}"


def _where(row: Mapping[str, Any], root: Path) -> str:
    """Relative to the project; "gone" where the file is no longer there, "–" where there never was one."""
    path = Path(row["file"])
    if row["outcome"] == "diverged":
        return "–"
    if not path.is_file():
        return "gone"
    return str(path.relative_to(root)) if path.is_relative_to(root) else row["file"]
