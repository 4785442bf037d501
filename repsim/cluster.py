"""Owns Slurm's commands: ask the queue and the configuration, cancel, requeue. What sends arrays is repsim.sbatch.

States come from one bulk `squeue` in text form (works on every version, with and without accounting); a query
that fails is an error here and never taken for an empty queue.
"""

import os
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from repsim.errors import ClusterError

ALIVE = {"PENDING", "RUNNING", "SUSPENDED", "COMPLETING", "CONFIGURING", "STOPPED", "SIGNALING", "RESIZING", "STAGE_OUT"}
WAITING = {"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD"}
UNKNOWN = "UNKNOWN"
"""Of an element that nobody could ask about: it may be alive."""
ALIVE |= {*WAITING, "POWER_UP_NODE", UNKNOWN}
DIED = {"FAILED", "OUT_OF_MEMORY", "BOOT_FAIL", "LAUNCH_FAILED"}
"""How an element ends that was not stopped from outside."""
TIMEOUT_S = 60
DEFAULT_MAX_ARRAY = 1001  # Slurm's own default; the highest index is one less
INHERITED = ("SLURM_", "SBATCH_", "SRUN_", "SQUEUE_", "SINFO_", "SCANCEL_", "SCONTROL_", "SACCT_")
KEPT = {"SLURM_CONF", "SLURM_CLUSTERS"}
"""Where the cluster is found."""


class Silent(ClusterError):
    """A command of Slurm did not answer in time."""


@dataclass(frozen=True)
class Task:
    """One task as squeue shows it; `element` is what Slurm calls it, as in 18_3, or 18 for a plain job.

    `asked` is when squeue was asked (seconds since 1970): what files say of later times is newer.
    """

    name: str
    index: int
    state: str
    reason: str
    node: str
    element: str
    asked: float = field(default=float("inf"), compare=False)

    @property
    def job(self) -> str:
        """Slurm's id of its array."""
        return self.element.split("_")[0]


def queue(names: Sequence[str], timeout_s: float | None = None) -> list[Task]:
    """Every task of the jobs with these names, whoever sent them, finished ones too while Slurm keeps them."""
    if not names:
        return []
    now = time.time()
    text = call("squeue", "-h", "-a", "-r", "-t", "all", "-n", ",".join(names), "-o", "%i|%K|%T|%r|%N|%j", timeout_s=timeout_s)
    rows = [line.split("|", 5) for line in text.splitlines() if line.count("|") >= 5]
    return [
        Task(name, int(index) if index.isdigit() else 0, state, reason, node, element, now)  # a plain job is task 0
        for element, index, state, reason, node, name in rows
        if name in names
    ]


def cancel(jobs: Sequence[str]) -> None:
    """Cancel whole arrays (`18`) or elements (`18_3`)."""
    if jobs:
        call("scancel", *jobs)


def configuration() -> dict[str, str]:
    """What `scontrol show config` says, by key."""
    pairs = (line.partition("=") for line in call("scontrol", "show", "config").splitlines())
    return {key.strip(): value.strip() for key, equals, value in pairs if equals}


def max_array_size() -> int:
    """How many tasks an array may have here; Slurm's default where the cluster does not say."""
    return array_limit(configuration()) or DEFAULT_MAX_ARRAY


def array_limit(said: Mapping[str, str]) -> int | None:
    """The same from the configuration; `max_array_tasks` among the parameters of the scheduler lowers MaxArraySize."""
    most = re.search(r"\bmax_array_tasks=(\d+)", said.get("SchedulerParameters", ""))
    found = [int(text) for text in (said.get("MaxArraySize", ""), most[1] if most else "") if text.isdigit() and int(text)]
    return min(found, default=None)


def throttle(job: str, parallel: int) -> bool:
    """Let so many tasks of a live array run at once; False if Slurm would not, say for another user's."""
    return _done("scontrol", "update", f"JobId={job}", f"ArrayTaskThrottle={parallel}")


def partition_size(partition: str | None) -> int:
    """Nodes of a partition (or of several, as in gpu,gpu-long); of the default partition without a name."""
    text = call("sinfo", "-h", "-N", "-o", "%N|%P", *(["-p", partition] if partition else []))
    rows = [line.split("|") for line in text.splitlines() if "|" in line]
    return len({node for node, of in rows if partition or of.endswith("*")})


def version() -> str:
    """Version of Slurm; ClusterError without it."""
    return call("sinfo", "--version").strip()


def requeue(element: str) -> bool:
    """Put this array element back into the queue; False if Slurm would not."""
    return _done("scontrol", "requeue", element)


def call(command: str, *arguments: str, timeout_s: float | None = None) -> str:
    """stdout of a Slurm command; ClusterError if it is absent, silent for `timeout_s` (a minute), or fails."""
    answer = run(command, *arguments, timeout_s=timeout_s)
    if answer.returncode:
        raise ClusterError(f"{command} failed: {last_line(answer.stderr)}", do=_advice(answer.stderr))
    return answer.stdout


def run(command: str, *arguments: str, timeout_s: float | None = None) -> "subprocess.CompletedProcess[str]":
    """How a Slurm command ended; ClusterError if it is absent, Silent if it does not answer in time.

    It is called as if from outside of any job and of anybody's habits: variables such as SLURM_MEM_PER_CPU of the job in which we
    may be would contradict the profile, and SQUEUE_PARTITION would hide tasks.
    """
    outside = {key: value for key, value in os.environ.items() if key in KEPT or not key.startswith(INHERITED)}
    limit = TIMEOUT_S if timeout_s is None else timeout_s
    try:
        return subprocess.run(
            [command, *arguments], capture_output=True, text=True, errors="replace", timeout=limit, check=False, env=outside
        )
    except FileNotFoundError:
        raise ClusterError(
            f"no Slurm here: there is no '{command}' on PATH",
            do="work on a login node, load the slurm module, start slurm/testcluster/up, or compute here with: repsim sweep run",
        ) from None
    except subprocess.TimeoutExpired:
        raise Silent(f"{command} did not answer within {limit:g} s", do="is slurmctld up? nothing was changed; try again") from None


def last_line(text: str) -> str:
    """The last line of `text` that tells of an error, else its last line."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or ["no message"])[-1][:300]


def _done(*words: str) -> bool:
    try:
        call(*words)
    except ClusterError:
        return False
    return True


def _advice(stderr: str) -> str:
    if "contact" in stderr or "connect" in stderr or "onfiguration" in stderr or "DNS SRV" in stderr:
        return "slurmctld cannot be reached: is it up, is SLURM_CONF set? nothing was changed; try again"
    return "see the message; nothing was changed"
