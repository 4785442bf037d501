"""Owns the call of sbatch: its time limit, the job id in its answer, and what its refusals mean."""

import re
from pathlib import Path

from repsim import cluster
from repsim.errors import ClusterError
from repsim.profile import Profile

TIMEOUT_S = 150
"""sbatch itself tries for two minutes where the controller takes no jobs for now."""


class Unanswered(ClusterError):
    """Nobody knows whether Slurm took the array."""


class Refused(ClusterError):
    """Slurm did not take the array."""


class Busy(Refused):
    """The controller could not be reached; it may be in a moment."""


class LimitReached(Refused):
    """Slurm takes no more jobs of this user, or of anybody, until some have ended."""


class ParentGone(Refused):
    """An array that this one was to wait for is not known to Slurm any more."""


UNSURE = ("timed out", "Zero Bytes", "send/recv", "Connection reset", "Unexpected message", "Insane message", "Communication")
MEANS: tuple[tuple[type[Refused], tuple[str, ...]], ...] = (
    (Busy, ("Unable to contact", "Connection refused", "connect failure", "Unable to establish")),
    (LimitReached, ("MaxSubmitJob", "job submit limit", "Resource temporarily unavailable", "MaxJobCount", "unable to accept job")),
    (ParentGone, ("Job dependency problem",)),
)
KEYS = (
    ("account", "account"),
    ("partition", "partition"),
    ("qos", "qos"),
    ("feature", "constraint"),
    ("generic resource", "gpu or gpus_per_task"),
    ("gres", "gpu or gpus_per_task"),
    ("time limit", "timeout_min"),
    ("memory", "mem_gb"),
    ("processors", "cpus_per_task"),
    ("node configuration", "gpus_per_task, cpus_per_task, mem_gb or constraint"),
    ("recognized option", "slurm"),
    ("invalid option", "slurm"),
)
"""What a refusal speaks of, in lower case, and the key of the profile that says it."""


UNKNOWN = "whether Slurm took the array is found out by the next submit, which sends nothing twice"
ADVICE: dict[type[ClusterError], str] = {
    Busy: "slurmctld cannot be reached: is it up, is SLURM_CONF set? nothing was changed; try again",
    LimitReached: "Slurm takes no more for now: submit again when some tasks have ended",
}


def send(script: Path, profile: Profile) -> str:
    """Slurm's job id of the script; Unanswered or Refused."""
    try:
        answer = cluster.run("sbatch", str(script), timeout_s=TIMEOUT_S)
    except cluster.Silent as error:
        raise Unanswered(error.what, do=UNKNOWN) from None
    found = re.search(r"\bjob (\d+)", answer.stdout)
    if answer.returncode == 0 and found:
        return found[1]
    raise _error(answer.stderr, answer.returncode, profile)


def _error(said: str, code: int, profile: Profile) -> ClusterError:
    words = cluster.last_line(said)
    if code <= 0 or any(each in said for each in UNSURE):
        return Unanswered(f"the answer of sbatch was lost: {words}", do=UNKNOWN)
    kind = next((kind for kind, signs in MEANS if any(sign in said for sign in signs)), Refused)
    if kind in ADVICE:
        return kind(f"sbatch failed: {words}", do=ADVICE[kind])
    key = next((key for sign, key in KEYS if sign in words.lower()), None)
    where = profile.origin + (f": {key}" if key else "")
    return kind(f"sbatch refused the array: {words}", where=where, do="mend the profile; nothing of this array was sent")
