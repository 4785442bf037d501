"""Owns Slurm: profile → submitit executor; submit an array, ask the queue, cancel. The only place that knows submitit.

States come from one bulk `squeue` in text form (works on every version, with and without accounting); a query
that fails is an error here and never taken for an empty queue.
"""

import os
import shlex
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from repsim import yamlfile
from repsim.errors import ClusterError, SpecError, nearest
from repsim.notify import Notify
from repsim.yamlfile import Strict

ALIVE = {"PENDING", "RUNNING", "SUSPENDED", "COMPLETING", "CONFIGURING", "STOPPED", "SIGNALING", "RESIZING", "STAGE_OUT"}
WAITING = {"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD"}
UNKNOWN = "UNKNOWN"
"""Of an element that nobody could ask about: it may be alive."""
ALIVE |= {*WAITING, "POWER_UP_NODE", UNKNOWN}
DIED = {"FAILED", "OUT_OF_MEMORY", "BOOT_FAIL", "LAUNCH_FAILED"}
"""How an element ends that was not stopped from outside."""
TIMEOUT_S = 60
DEFAULT_MAX_ARRAY = 1001  # Slurm's own default; the highest index is one less


class Profile(Strict):
    """Where runs are computed: a file under slurm/. Nothing in it changes a result or an id."""

    cluster: Literal["slurm", "local"] = "slurm"
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    partition: str | None = Field(default=None, pattern=r"^[\w.,-]+$")
    account: str | None = Field(default=None, pattern=r"^[\w.-]+$")
    qos: str | None = Field(default=None, pattern=r"^[\w.-]+$")
    constraint: str | None = Field(default=None, pattern=r"^[\w.&|\[\]*()-]+$")
    gpus_per_task: int = Field(default=0, ge=0, le=64)
    cpus_per_task: int = Field(default=1, ge=1, le=1024)
    mem_gb: float = Field(default=4.0, gt=0)
    timeout_min: int = Field(default=120, ge=1)
    max_parallel: int = Field(default=16, ge=1)
    pack_min: float = Field(default=60.0, gt=0)
    budget: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    min_tasks: int = Field(default=1, ge=1)
    signal_s: int = Field(default=120, ge=5)
    setup: list[str] = []
    env: dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], str] = {}
    python: str | None = None
    slurm: dict[str, str | int | bool] = {}
    notify: Notify | None = None

    @model_validator(mode="after")
    def _warns_in_time(self) -> "Profile":
        if self.signal_s >= 60 * self.timeout_min:
            raise ValueError(f"signal_s is {self.signal_s} s, but a task ends after timeout_min, {60 * self.timeout_min} s")
        if "pack_min" in self.model_fields_set and self.cluster == "slurm" and self.pack_min > self.timeout_min:
            raise ValueError(
                f"pack_min is {self.pack_min:g} min of work, but a task ends after timeout_min, {self.timeout_min} min"
            )
        return self


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


def load_profile(folder: Path, name: str) -> Profile:
    """The profile slurm/NAME.yaml."""
    path, known = folder / f"{name}.yaml", [p.stem for p in folder.glob("*.yaml")]
    if name not in known:
        raise SpecError(f"there is no profile '{name}'", where=str(folder), do=nearest(name, known))
    return yamlfile.validate(Profile, yamlfile.read(path), str(path))


def submit_array(
    profile: Profile, name: str, folder: Path, call: Callable, plan: str, count: int, code: Path, after: str | None
) -> str:
    """One job array of `call(plan, index)` for index in 0…count−1; its Slurm job id."""
    import submitit
    from submitit.core.utils import FailedJobError

    before = set(folder.iterdir())
    with _outside_of_jobs():
        executor = submitit.SlurmExecutor(folder=folder, max_num_timeout=100, python=profile.python)
        executor.update_parameters(**_parameters(profile, name, code, after))
        try:
            sent = executor.map_array(call, [plan] * count, range(count))
        except (FailedJobError, OSError) as error:
            for orphan in set(folder.glob("*.pkl")) - before:
                orphan.unlink(missing_ok=True)
            raise ClusterError(
                f"sbatch refused the array: {_last_line(str(error))}", where=name, do="mend the profile; nothing was sent"
            ) from None
    return sent[0].job_id.split("_")[0]


def adopt(folder: Path, job_id: str, call: Callable, plan: str, count: int) -> None:
    """Give the tasks of a job whose answer was lost what they wait for: submitit puts it there only after the answer."""
    from submitit.core.utils import DelayedSubmission, JobPaths

    for index in range(count):
        target = JobPaths(folder, f"{job_id}_{index}" if count > 1 else job_id).submitted_pickle
        if not target.exists():
            DelayedSubmission(call, plan, index).dump(target)


def queue(names: Sequence[str]) -> list[Task]:
    """Every task of the jobs with these names, whoever sent them, finished ones too while Slurm keeps them.

    submitit sends a single task as a plain job, not as an array: it is task 0.
    """
    if not names:
        return []
    now = time.time()
    text = call("squeue", "-h", "-a", "-r", "-t", "all", "-n", ",".join(names), "-o", "%i|%K|%T|%r|%N|%j")
    rows = [line.split("|", 5) for line in text.splitlines() if line.count("|") >= 5]
    return [
        Task(name, int(index) if index.isdigit() else 0, state, reason, node, element, now)
        for element, index, state, reason, node, name in rows
        if name in names
    ]


def cancel(jobs: Sequence[str]) -> None:
    """Cancel whole arrays (`18`) or elements (`18_3`)."""
    if jobs:
        call("scancel", *jobs)


def max_array_size() -> int:
    """MaxArraySize of the cluster; Slurm's default where it does not say."""
    for line in call("scontrol", "show", "config").splitlines():
        key, _, value = line.partition("=")
        if key.strip() == "MaxArraySize" and value.strip().isdigit():
            return int(value)
    return DEFAULT_MAX_ARRAY


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
    try:
        call("scontrol", "requeue", element)
    except ClusterError:
        return False
    return True


def call(command: str, *arguments: str, timeout_s: float = TIMEOUT_S) -> str:
    """stdout of a Slurm command; ClusterError if it is absent, silent for `timeout_s` (a minute), or fails."""
    try:
        answer = subprocess.run([command, *arguments], capture_output=True, text=True, timeout=timeout_s, check=False)
    except FileNotFoundError:
        raise ClusterError(
            f"no Slurm here: there is no '{command}' on PATH",
            do="work on a login node, load the slurm module, start slurm/testcluster/up, or compute here with: repsim sweep run",
        ) from None
    except subprocess.TimeoutExpired:
        raise ClusterError(
            f"{command} did not answer within {timeout_s:g} s", do="is slurmctld up? nothing was changed; try again"
        ) from None
    if answer.returncode:
        raise ClusterError(f"{command} failed: {_last_line(answer.stderr)}", do=_advice(answer.stderr))
    return answer.stdout


def _parameters(profile: Profile, name: str, code: Path, after: str | None) -> dict[str, Any]:
    extra: dict[str, Any] = {"open-mode": "append", "requeue": True, **profile.slurm}
    if after:
        extra |= {"dependency": f"afterany:{after}", "kill-on-invalid-dep": "yes"}
    if profile.gpus_per_task:
        extra["gres"] = f"gpu:{profile.gpus_per_task}"
    named = {key: getattr(profile, key) for key in ("partition", "account", "qos", "constraint") if getattr(profile, key)}
    return {
        **named,
        "job_name": name,
        "time": profile.timeout_min,
        "cpus_per_task": profile.cpus_per_task,
        "mem": f"{int(profile.mem_gb * 1024)}M",
        "array_parallelism": profile.max_parallel,
        "signal_delay_s": profile.signal_s,
        "stderr_to_stdout": True,  # one log per task, in the order in which things were said
        "setup": [*profile.setup, *_exports(profile, code)],
        "additional_parameters": extra,
    }


def _exports(profile: Profile, code: Path) -> list[str]:
    """Lines of the batch script; the frozen code comes first on the path."""
    lines = [f"export {key}={shlex.quote(value)}" for key, value in profile.env.items()]
    lines.append("export PYTHONSAFEPATH=1")  # else the folder where submit was called comes before the frozen code
    return [*lines, f"export PYTHONPATH={shlex.quote(str(code))}${{PYTHONPATH:+:$PYTHONPATH}}"]


@contextmanager
def _outside_of_jobs():
    """Submit from inside a job as if from outside: its SLURM_*, SBATCH_*, SRUN_* go, SLURM_CONF stays."""
    inherited = {k: v for k, v in os.environ.items() if k.startswith(("SLURM_", "SBATCH_", "SRUN_")) and k != "SLURM_CONF"}
    for key in inherited:
        del os.environ[key]
    try:
        yield
    finally:
        os.environ.update(inherited)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or ["no message"])[-1][:300]


def _advice(stderr: str) -> str:
    if "contact" in stderr or "connect" in stderr or "onfiguration" in stderr or "DNS SRV" in stderr:
        return "slurmctld cannot be reached: is it up, is SLURM_CONF set? nothing was changed; try again"
    return "see the message; nothing was changed"
