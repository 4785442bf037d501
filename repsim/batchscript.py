"""Owns the batch script of an array, as submitit writes it. The only place that knows submitit.

Whatever a task needs is on disk before the array is sent: the script itself puts the call where submitit looks for it. So an
array that Slurm took is complete even if nobody heard it say so, or whoever sent it was killed at once.
"""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import submitit
from submitit.core.utils import DelayedSubmission

from repsim.profile import Profile

SCRIPT = "submission.sh"
PLAIN = ("${SLURM_JOB_ID}", "0")
COUNTDOWN = 100  # how often submitit lets a task come back; the worker knows when it is enough


@dataclass(frozen=True)
class Array:
    """What is to be sent: Slurm's name of it, where its script and logs go, its tasks, and the arrays that it waits for."""

    name: str
    folder: Path
    count: int
    code: Path
    withdrawn: Path
    after: tuple[str, ...] = ()


class Writer(submitit.SlurmExecutor):
    """Writes what an array needs, and sends nothing."""

    @classmethod
    def affinity(cls) -> int:
        """Writing needs no Slurm."""
        return 2

    def _internal_process_submissions(self, delayed_submissions: list[DelayedSubmission]) -> list[Any]:
        for index, delayed in enumerate(delayed_submissions):
            delayed.set_timeout(self.parameters.get("time", 5), self.max_num_timeout)
            delayed.dump(self.folder / f"task_{index}.pkl")
        if len(delayed_submissions) > 1:  # a single task is a plain job
            self.parameters["map_count"] = len(delayed_submissions)
        (self.folder / SCRIPT).write_text(self._make_submission_file_text(self._submitit_command_str, ""))
        return []


def write(profile: Profile, array: Array, call: Callable, plan: Path) -> Path:
    """The batch script of `call(plan, index)` for index in 0…count−1, with all that it needs beside it."""
    writer = Writer(folder=array.folder, max_num_timeout=COUNTDOWN, python=profile.python)
    writer.update_parameters(**_parameters(profile, array))
    writer.map_array(call, [str(plan)] * array.count, range(array.count))
    return array.folder / SCRIPT


def _parameters(profile: Profile, array: Array) -> dict[str, Any]:
    extra: dict[str, Any] = {"open-mode": "append", "requeue": True}
    extra |= {key: value for key, value in profile.slurm.items() if value is not False}
    if array.after:
        extra |= {"dependency": f"afterany:{':'.join(array.after)}", "kill-on-invalid-dep": "yes"}
    if profile.gpus_per_task:
        extra["gres"] = ":".join(filter(None, ("gpu", profile.gpu, str(profile.gpus_per_task))))
    named = {key: getattr(profile, key) for key in ("partition", "account", "qos", "constraint") if getattr(profile, key)}
    return {
        **named,
        "job_name": array.name,
        "time": profile.timeout_min,
        "cpus_per_task": profile.cpus_per_task,
        "mem": f"{int(profile.mem_gb * 1024)}M",
        "array_parallelism": profile.max_parallel,
        "signal_delay_s": profile.signal_s,
        "stderr_to_stdout": True,  # one log per task, in the order in which things were said
        "setup": [*_begins(array), *profile.setup, *_exports(profile, array.code)],
        "additional_parameters": extra,
    }


def _begins(array: Array) -> list[str]:
    """A withdrawn array leaves at once; else the call of this element goes where submitit looks for it."""
    element, index = ("${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}", "${SLURM_ARRAY_TASK_ID}") if array.count > 1 else PLAIN
    call = f"{shlex.quote(str(array.folder.absolute()))}/{element}_submitted.pkl"
    return [
        f"[ -e {shlex.quote(str(array.withdrawn.absolute()))} ] && exit 0",
        f"[ -e {call} ] || ln -s task_{index}.pkl {call}",
    ]


def _exports(profile: Profile, code: Path) -> list[str]:
    """Lines of the batch script; the frozen code comes first on the path."""
    lines = [f"export {key}={shlex.quote(value)}" for key, value in profile.env.items()]
    lines.append("export PYTHONSAFEPATH=1")  # else the folder where submit was called comes before the frozen code
    return [*lines, f"export PYTHONPATH={shlex.quote(str(code))}${{PYTHONPATH:+:$PYTHONPATH}}"]
