"""Owns how evaluations are shown to people: a line per network and data set, its attacks side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

HEAD = ("network", "run", "data", "n", "accuracy", "loss", "ECE")
Row = Mapping[str, Any]


def text(rows: Sequence[Row]) -> str:
    """Clean scores, then the accuracy that each attack leaves, and below in what ball; at least one row."""
    attacks = list(dict.fromkeys(attack_of(row) for row in rows if row["attack"] != "none"))
    by_place: dict[tuple[str, str], dict[str, Row]] = {}
    for row in rows:
        by_place.setdefault((row["network"], row["dataset"]), {})[attack_of(row)] = row
    lines = [[*HEAD, *attacks], *(_line(found, attacks) for found in by_place.values())]
    radii = sorted({row["epsilon"] for row in rows if row["attack"] != "none"})
    below = f"\n\naccuracy left in an L∞ ball of {', '.join(map(_radius, radii))} around each image" if radii else ""
    return _aligned(lines) + below


def attack_of(row: Row) -> str:
    """PGD-10, PGD-10 ×5 with five starts, AutoAttack, or clean."""
    names = {"none": "clean", "autoattack": "AutoAttack", "pgd": f"PGD-{row['attack_steps']}"}
    return names[row["attack"]] + (f" ×{row['restarts']}" if row["restarts"] > 1 else "")


def _line(found: Mapping[str, Row], attacks: Sequence[str]) -> list[str]:
    any_row = next(iter(found.values()))
    scores = [_number(any_row[name]) for name in ("accuracy", "loss", "ece")]
    left = [_number(found[name]["robust_accuracy"]) if name in found else "–" for name in attacks]
    name = f"{any_row['arch']}:{any_row['seed']}"
    return [name, any_row["network"], any_row["dataset"], f"{any_row['test_images']:,}", *scores, *left]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _radius(epsilon: float) -> str:
    """As papers write it: 0.3, or in grey levels where it is no short number, 8/255."""
    plain = f"{epsilon:g}"
    return plain if float(plain) == epsilon else f"{255 * epsilon:g}/255"


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)
