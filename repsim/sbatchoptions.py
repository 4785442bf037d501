"""Owns which options of sbatch a profile may pass on under `slurm:`, checked before anything is sent.

The names are those of https://slurm.schedmd.com/sbatch.html (its long options), Slurm 22.05 to 24.11.
"""

import re
from collections.abc import Mapping

from repsim.errors import SpecError, nearest

NAMES = """
acctg-freq batch bb bbf begin chdir cluster-constraint comment consolidate-segments container container-id contiguous core-spec
cores-per-socket cpu-freq deadline delay-boot distribution exclude exclusive external extra extra-node-info get-user-env gpu-bind
gpu-freq gres gres-flags hint hold ignore-pbs licenses mail-type mail-user mcs-label mem-bind mincpus network nice nodefile nodelist
no-kill ntasks-per-core oom-kill-step overcommit oversubscribe power prefer priority profile propagate reboot reservation resv-ports
segment sockets-per-node spread-job spread-segments stepmgr switches thread-spec threads-per-core time-min tmp tres-bind
tres-per-task use-min-nodes wait-all-nodes wckey
"""
PASSED_ON = frozenset(NAMES.split())
KEYS = {
    "partition": "partition",
    "account": "account",
    "qos": "qos",
    "constraint": "constraint",
    "time": "timeout_min",
    "mem": "mem_gb",
    "mem-per-cpu": "mem_gb",
    "mem-per-gpu": "mem_gb",
    "cpus-per-task": "cpus_per_task",
    "cpus-per-gpu": "cpus_per_task",
    "gpus": "gpus_per_task",
    "gpus-per-node": "gpus_per_task",
    "gpus-per-task": "gpus_per_task",
    "gpus-per-socket": "gpus_per_task",
    "signal": "signal_s",
    "export": "env",
    "export-file": "env",
    "array-parallelism": "max_parallel",
    "setup": "setup",
    "timeout-min": "timeout_min",
    "mem-gb": "mem_gb",
    "signal-delay-s": "signal_s",
}
"""Options that a key of the profile stands for; the last few are submitit's words."""
ONE_PROCESS, LOGS, TOLD = "a task is one process on one node", "repsim reads the logs where it puts them", "repsim reads the answer"
OURS = {
    "array": "repsim makes the arrays",
    "job-name": "repsim knows its jobs by their names",
    "dependency": "say --chain",
    "kill-on-invalid-dep": "repsim sets it",
    "requeue": "repsim sets it",
    "no-requeue": "preempted tasks must come back",
    "open-mode": "a requeued task goes on in the same log",
    "output": LOGS,
    "error": LOGS,
    "input": "a task reads nothing",
    "nodes": ONE_PROCESS,
    "ntasks": ONE_PROCESS,
    "ntasks-per-node": ONE_PROCESS,
    "ntasks-per-gpu": ONE_PROCESS,
    "ntasks-per-socket": ONE_PROCESS,
    "clusters": "squeue must see the jobs: set SLURM_CLUSTERS for all commands",
    "wait": "sbatch would not come back",
    "test-only": "say --dry-run",
    "wrap": "repsim writes the script",
    "parsable": TOLD,
    "quiet": TOLD,
    "verbose": TOLD,
    "help": TOLD,
    "usage": TOLD,
    "version": TOLD,
    "uid": "jobs run as who sends them",
    "gid": "jobs run as who sends them",
    "additional-parameters": "write its entries under slurm: themselves",
}
"""Options that repsim decides, and why; or what to do instead."""
FORBIDDEN = re.compile(r"[`$;\\'\"<>]|[^ -~]")


def check(options: Mapping[str, str | int | bool], gpus_per_task: int, where: str) -> dict[str, str | int | bool]:
    """The options by their names in sbatch (`mail_type` is `mail-type`), or a SpecError that names the first that will not do."""
    return {_checked(key, value, gpus_per_task, f"{where}: slurm.{key}"): value for key, value in options.items()}


def _checked(key: str, value: str | int | bool, gpus_per_task: int, where: str) -> str:
    name = key.replace("_", "-").lstrip("-").removeprefix("slurm-")
    if name in KEYS or (name == "gres" and gpus_per_task):
        own = KEYS.get(name, "gpus_per_task")
        raise SpecError(f"'{key}' is what the key {own} says", where=where, do=f"write {own}: … at the top of the file")
    if name in OURS:
        raise SpecError(f"'{key}' is not for a profile: {OURS[name]}", where=where, do="leave it out")
    if name not in PASSED_ON:
        raise SpecError(f"sbatch has no option '{key}'", where=where, do=nearest(name, PASSED_ON))
    if found := FORBIDDEN.search(str(value)):
        raise SpecError(f"may not hold {found[0]!r}", where=where, do="plain text on one line; work for a shell goes into setup:")
    return name
