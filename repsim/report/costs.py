"""Owns how the cost of a sweep is shown: hours used and lost, and how far off the forecasts were."""

from collections.abc import Mapping, Sequence
from typing import Any

from repsim import forecast
from repsim.forecast import Outcome
from repsim.occupancy import Share, Startup
from repsim.report.counts import number
from repsim.report.plans import in_hours

SOURCES = {"measured": "measured runs", "dry-run": "a dry run", "similar": "runs like it", "prior": "a guess"}
ALL = 0.995  # share of the hours from which on the rest is rounding and not said to be missing


def cost_json(sweep: str, unit: str, used: float, wasted: float, found: Sequence[Outcome], forecast_of: float) -> dict[str, Any]:
    """The object of `sweep cost`; ratios are seconds taken over seconds forecast, of `forecast_of` hours alone."""
    ratio = forecast.in_all(found)
    return {
        "sweep": sweep,
        "unit": unit,
        "hours_used": round(used, 4),
        "hours_wasted": round(wasted, 4),
        "hours_with_forecast": round(forecast_of, 4),
        "ratio": None if ratio is None else round(ratio, 3),
        "kinds": [one.as_json() for one in found],
    }


def cost_text(shown: Mapping[str, Any]) -> str:
    """The same for people."""
    lost = f", {shown['hours_wasted']:.2f} lost on attempts that gave no row" if shown["hours_wasted"] else ""
    lines = [f"{shown['sweep']}: {shown['hours_used']:.2f} {shown['unit']} used{lost}"]
    if shown["ratio"] is None:
        lines.append("  no forecast to compare with: nothing of it is stored, or its submissions were removed")
    else:
        lines += [f"  {forecast_words(shown)}", *map(_kind, shown["kinds"])]
    lines += map(_idle, shown["idle"])
    if start := shown["startup"]:
        lines.append(f"  a task takes {start['seconds']:.0f} s to start (the median of {number(start['tasks'], 'task')})")
    return "\n".join(lines)


def forecast_words(shown: Mapping[str, Any]) -> str:
    """How far off the forecast was, and of which part of the hours it is known: imported rows may come without submissions."""
    took, known, used = f"took {shown['ratio']:.2f} times what was forecast", shown["hours_with_forecast"], shown["hours_used"]
    if known >= ALL * used:
        return f"the runs {took}"
    part = f"{in_hours(known)} of the {used:.2f} {shown['unit']}"
    return f"a forecast is known of {part}, which {took}; the submissions of the other runs are not here"


def idle_json(start: Startup | None, found: Sequence[Share]) -> dict[str, Any]:
    """What `sweep cost` says of the time in which tasks computed nothing."""
    seen = start and {"seconds": round(start.seconds, 3), "tasks": start.n}
    return {"idle": [one.as_json() for one in found], "startup": seen}


def _idle(one: Mapping[str, Any]) -> str:
    """stitch tiny10 cifar10: 92 % of 3.10 h computing, 5 % starting, 3 % waiting (12 tasks)."""
    hours = {name: one[f"hours_{name}"] for name in ("computing", "starting", "waiting")}
    total = sum(hours.values())
    parts = ", ".join(f"{each / total if total else 0.0:.0%} {name}" for name, each in hours.items())
    return f"  {one['job']} {one['kind']}: of {total:.2f} h in tasks {parts} ({number(one['tasks'], 'task')})"


def _kind(one: Mapping[str, Any]) -> str:
    """stitch tiny10 cifar10: 1.02 times 0.51 h, from a guess (0.90 to 1.31 in the middle 80 % of 24 groups, 192 runs)."""
    middle = f"{one['ratio_low']:.2f} to {one['ratio_high']:.2f} in the middle 80 % of {number(one['groups'], 'group')}"
    over = f", {one['groups_over_worst']} beyond the slow end" if one["groups_over_worst"] else ""
    name, basis = f"{one['job']} {one['kind']}".strip(), SOURCES.get(one["source"], "an older plan")
    said = f"{one['ratio']:.2f} times {in_hours(one['hours_expected'])} h, from {basis}"
    return f"  {name}: {said} ({middle}, {number(one['runs'], 'run')}{over})"
