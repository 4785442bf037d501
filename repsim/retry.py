"""Owns what a retry changes: the profile that suits the causes for which runs failed, by the rules of `repsim.cause`.

Factors compound: what a run had in the submission in which it failed is what is multiplied, so that a third attempt has 2.25 times
what the first had. The profile says how far that goes: at most `MOST` times what it asks for.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from repsim import cause
from repsim.profile import Profile

MOST = 4.0


@dataclass(frozen=True)
class Failure:
    """Why a run failed, and the plan of the submission in which it did; empty where that is not known."""

    cause: str | None
    plan: Mapping[str, Any]


def suited(profile: Profile, failures: Iterable[Failure]) -> Profile:
    """`profile` with as much memory and time for a task as the rules of the causes say; the failure that needs most counts."""
    found = [(cause.rule(each.cause), each.plan) for each in failures]
    memory = max((_more(rule.memory, plan.get("mem_gb"), profile.mem_gb) for rule, plan in found), default=profile.mem_gb)
    time = max((_more(rule.time, plan.get("timeout_min"), profile.timeout_min) for rule, plan in found), default=0)
    return profile.asking(memory, max(profile.timeout_min, math.ceil(time)))


def words(before: Profile, after: Profile) -> list[str]:
    """What is asked for instead, and where more than that is not asked for without a word in the profile."""
    changes = (
        ("timeout_min", "min", before.timeout_min, after.timeout_min),
        ("mem_gb", "GB", before.mem_gb, after.mem_gb),
    )
    return [
        f"asks for {now:g} {unit} a task, where the profile says {said:g}{_limit(name, said, now)}"
        for name, unit, said, now in changes
        if now > said
    ]


def _more(factor: float, had: float | None, asked: float) -> float:
    """`factor` times what the failed attempt had, unless the profile says more by now; a cause with no factor changes nothing."""
    return min(max(factor * (had or asked), asked), MOST * asked) if factor > 1 else asked


def _limit(name: str, said: float, now: float) -> str:
    return f": the most without a change of {name} in the profile" if now >= MOST * said else ""
