"""Owns how much the cluster takes at once: tasks of an array, and jobs of one user, as far as it says so."""

import math
import os
import pwd
from dataclasses import dataclass

from repsim import cluster
from repsim.errors import ClusterError
from repsim.profile import Profile


@dataclass(frozen=True)
class Limits:
    """Tasks that one array may have, further tasks that Slurm takes now (inf where nobody says), and what is to be told."""

    array: int
    room: float = math.inf
    words: tuple[str, ...] = ()


WITHOUT_SLURM = Limits(
    cluster.DEFAULT_MAX_ARRAY, words=(f"arrays of up to {cluster.DEFAULT_MAX_ARRAY:,} tasks are assumed: Slurm's default",)
)


def of_cluster(profile: Profile) -> Limits:
    """What the cluster says now: MaxArraySize, MaxJobCount, and MaxSubmitJobs of the user's association and QOS.

    MaxJobCount counts everybody's jobs, finished ones too for minutes; that ours fit is checked, the rest sbatch will say.
    """
    said = cluster.configuration()
    array = cluster.array_limit(said)
    counts = [float(said["MaxJobCount"])] if said.get("MaxJobCount", "").isdigit() else []
    most = min([*counts, *_of_user(profile)], default=math.inf)
    room = math.inf if math.isinf(most) else max(0, most - _mine())
    words = () if array else (f"the cluster does not say MaxArraySize: {cluster.DEFAULT_MAX_ARRAY:,}, Slurm's default, is assumed",)
    return Limits(array or cluster.DEFAULT_MAX_ARRAY, room, words)


def _mine() -> int:
    """Array elements of this user that are queued or running."""
    return len(cluster.call("squeue", "-h", "-a", "-r", "-u", str(os.getuid()), "-o", "%i").split())


def _of_user(profile: Profile) -> list[float]:
    """MaxSubmitJobs of the association, which counts array elements, and of the QOS; nothing where accounting does not say."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a user without a name, as in containers
        return []
    account = [f"account={profile.account}"] if profile.account else []
    found = _most("assoc", "where", f"user={user}", *account, "format=MaxSubmitJobs,GrpSubmitJobs")
    return found + (_most("qos", "where", f"name={profile.qos}", "format=MaxSubmitJobsPerUser") if profile.qos else [])


def _most(*asked: str) -> list[float]:
    """The limit of the most generous line, since which one holds is not sure."""
    try:
        text = cluster.call("sacctmgr", "-n", "-P", "show", *asked)
    except ClusterError:  # no accounting, or not for us
        return []
    lines = [[float(word) for word in line.split("|") if word.isdigit()] for line in text.splitlines()]
    most = max((min(numbers, default=math.inf) for numbers in lines), default=math.inf)
    return [] if math.isinf(most) else [most]
