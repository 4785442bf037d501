"""Owns what a retry changes: the profile that suits the causes for which runs failed, by the rules of `repsim.cause`."""

import math
from collections.abc import Iterable

from repsim import cause
from repsim.profile import Profile


def suited(profile: Profile, causes: Iterable[str | None]) -> Profile:
    """`profile` with the memory and the time of a task multiplied as the rules of `causes` say; the largest factor counts."""
    rules = [cause.rule(each) for each in causes]
    memory, time = max((r.memory for r in rules), default=1.0), max((r.time for r in rules), default=1.0)
    return profile.model_copy(
        update={"mem_gb": memory * profile.mem_gb, "timeout_min": math.ceil(time * profile.timeout_min)},
    )
