"""Owns how the cost of a sweep is shown: hours used and lost, and how far off the forecasts were."""

from collections.abc import Mapping, Sequence
from typing import Any

from repsim import forecast
from repsim.forecast import Outcome
from repsim.report.plans import in_hours, number

SOURCES = {"measured": "measured runs", "dry-run": "a dry run", "similar": "runs like it", "prior": "a guess"}


def cost_json(sweep: str, unit: str, used: float, wasted: float, found: Sequence[Outcome]) -> dict[str, Any]:
    """The object of `sweep cost`; ratios are seconds taken over seconds forecast."""
    ratio = forecast.in_all(found)
    return {
        "sweep": sweep,
        "unit": unit,
        "hours_used": round(used, 4),
        "hours_wasted": round(wasted, 4),
        "ratio": None if ratio is None else round(ratio, 3),
        "kinds": [one.as_json() for one in found],
    }


def cost_text(shown: Mapping[str, Any]) -> str:
    """The same for people."""
    lost = f", {shown['hours_wasted']:.2f} lost on attempts that gave no row" if shown["hours_wasted"] else ""
    lines = [f"{shown['sweep']}: {shown['hours_used']:.2f} {shown['unit']} used{lost}"]
    if shown["ratio"] is None:
        return "\n".join([*lines, "  no forecast to compare with: nothing of it is stored, or its submissions were removed"])
    lines.append(f"  the runs took {shown['ratio']:.2f} times what was forecast")
    return "\n".join([*lines, *map(_kind, shown["kinds"])])


def _kind(one: Mapping[str, Any]) -> str:
    """stitch tiny10 cifar10: 1.02 times 0.51 h, from a guess (0.90 to 1.31 in the middle 80 % of 24 groups, 192 runs)."""
    middle = f"{one['ratio_low']:.2f} to {one['ratio_high']:.2f} in the middle 80 % of {number(one['groups'], 'group')}"
    over = f", {one['groups_over_worst']} beyond the slow end" if one["groups_over_worst"] else ""
    name, basis = f"{one['job']} {one['kind']}".strip(), SOURCES.get(one["source"], "an older plan")
    said = f"{one['ratio']:.2f} times {in_hours(one['hours_expected'])} h, from {basis}"
    return f"  {name}: {said} ({middle}, {number(one['runs'], 'run')}{over})"
