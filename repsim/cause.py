"""Owns why runs fail: the closed list of causes, how an error or a state of Slurm becomes one, and each one's rule of retry."""

import errno
import re
from dataclasses import dataclass
from enum import StrEnum


class Cause(StrEnum):
    """Why a run failed; there is no other reason."""

    OOM_GPU = "oom_gpu"
    OOM_HOST = "oom_host"
    TIMEOUT = "timeout"
    PREEMPTED = "preempted"
    NODE_FAIL = "node_fail"
    CUDA_FAULT = "cuda_fault"
    MISSING_INPUT = "missing_input"
    DIVERGED = "diverged"
    CODE = "code"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Rule:
    """What `sweep retry` does about a cause: in words, and as factors on the memory and the time of a task."""

    words: str
    memory: float = 1.0
    time: float = 1.0
    elsewhere: bool = False


RULES = {
    Cause.OOM_GPU: Rule("a card with more memory, or a smaller batch: change the profile or the sweep, then retry"),
    Cause.OOM_HOST: Rule("retry asks for 1.5 × mem_gb", memory=1.5),
    Cause.TIMEOUT: Rule("retry asks for 1.5 × timeout_min", time=1.5),
    Cause.PREEMPTED: Rule("retry sends it again; a partition that is not preempted would end it sooner"),
    Cause.NODE_FAIL: Rule("retry avoids the node, if that is at most a tenth of the partition", elsewhere=True),
    Cause.CUDA_FAULT: Rule("retry avoids the node, if that is at most a tenth of the partition", elsewhere=True),
    Cause.MISSING_INPUT: Rule("mend what the message names, then retry"),
    Cause.DIVERGED: Rule("another seed or recipe: the same run would diverge again"),
    Cause.CODE: Rule("mend the code, then retry"),
    Cause.UNKNOWN: Rule("read its log (repsim sweep logs RUN), then retry"),
}
OF_SLURM = {
    "OUT_OF_MEMORY": Cause.OOM_HOST,
    "TIMEOUT": Cause.TIMEOUT,
    "DEADLINE": Cause.TIMEOUT,
    "PREEMPTED": Cause.PREEMPTED,
    "NODE_FAIL": Cause.NODE_FAIL,
    "BOOT_FAIL": Cause.NODE_FAIL,
    "LAUNCH_FAILED": Cause.NODE_FAIL,
}

FAULTS = (
    *("CUDA error", "CUDA driver error", "cuDNN error", "CUBLAS_STATUS_", "NCCL error"),
    *("CUDA unknown error", "CUDA driver initialization failed", "No CUDA GPUs are available", "Found no NVIDIA driver"),
)
"""What torch says of a card that fails at work, and of one that cannot even be begun with."""
NO_MEMORY = ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
"""Other words for memory that ran out: the process goes on."""
CODE_ON_GPU = ("device-side assert triggered",)
"""An index out of range, say: the code's fault on any card, but the process is lost all the same."""


def of_error(error: Exception) -> Cause:
    """The cause that an error of a job tells; torch's are known by name and words, as it need not be imported here."""
    said = str(error)
    no_memory = isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
    if no_memory or "DefaultCPUAllocator: can't allocate" in said:
        return Cause.OOM_HOST
    if type(error).__name__ == "OutOfMemoryError" or any(words in said for words in NO_MEMORY):
        return Cause.OOM_GPU
    if any(words in said for words in CODE_ON_GPU):
        return Cause.CODE
    return Cause.CUDA_FAULT if any(words in said for words in FAULTS) else Cause.CODE


def poisons(error: Exception) -> bool:
    """Whether nothing works on the GPU any more in the process in which a job raised `error`."""
    said = str(error)
    return of_error(error) is Cause.CUDA_FAULT or any(words in said for words in CODE_ON_GPU)


KILLED_FOR_MEMORY = ("oom-kill event", "oom_kill event", ": Out Of Memory", "xceeded job memory limit", "xceeded step memory limit")
"""What Slurm writes into the log of a task that was killed for its memory; its state may say FAILED and no more."""


TOLD_TO_STOP = re.compile(r"^srun: error: .*: tasks? [\d,-]+: Terminated$", re.M)
"""What srun writes of a process that a signal ended before it could take signals itself: somebody's order, not a fault."""


def told_to_stop(text: str) -> bool:
    """Whether the end of a task's log says that it was ended by an order while it began; Slurm calls that FAILED."""
    return TOLD_TO_STOP.search(text) is not None


def of_log(text: str) -> Cause | None:
    """The cause that the end of a killed task's log tells, if it tells one."""
    return Cause.OOM_HOST if any(words in text for words in KILLED_FOR_MEMORY) else None


def of_slurm(state: str | None) -> Cause:
    """The cause that the last state of a task tells; `unknown` for FAILED, CANCELLED, and where Slurm has forgotten it."""
    return OF_SLURM.get(state or "", Cause.UNKNOWN)


def known(cause: str | None) -> Cause:
    """`cause` as one of the list."""
    return Cause(cause) if cause in set(Cause) else Cause.UNKNOWN


def rule(cause: str | None) -> Rule:
    """The rule of retry of a cause."""
    return RULES[known(cause)]
