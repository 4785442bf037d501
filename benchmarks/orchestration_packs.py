"""Owns the comparison of runs in a pack with one process per run by submitit alone: same work, same cluster, one slot."""

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

WORK_S = 0.012
JOB = '''"""Work that imports torch."""

import time

from pydantic import Field

from repsim.job import JobConfig, JobRow

VERSION = 1
PRIOR_RATE = 0.012


class Config(JobConfig):
    value: int = Field(description="what sets it apart")
    seconds: float = Field(description="of work")
    dataset: str = Field("toy", description="where the rows go")


class Row(JobRow):
    total: float = Field(description="of some numbers")


def inputs(config):
    return []


def group_key(config):
    return config.value


def work(config):
    return 1.0


def run(configs, context):
    import torch

    for config in configs:
        context.tick()
        end, numbers = time.perf_counter() + config.seconds, torch.arange(64.0)
        while time.perf_counter() < end:
            numbers = numbers.roll(1)
        yield Row(run_id=context.run_id(config), total=float(numbers.sum()) + config.value)
'''
PROFILE = "cluster: slurm\npartition: gpu\ndevice: cpu\ncpus_per_task: 1\nmem_gb: 3\ntimeout_min: 60\npack_min: 30\n"
PROFILE += "min_tasks: 1\nmax_parallel: 1\n"


@dataclass(frozen=True)
class Pace:
    """Runs, and seconds of one slot from the submission to the end of the last."""

    runs: int
    seconds: float

    @property
    def overhead(self) -> float:
        """Seconds per run that are not its work."""
        return self.seconds / self.runs - WORK_S


def toil(value: int) -> float:
    """The work of a run, in seconds as many as `WORK_S`."""
    import torch

    end, numbers = time.perf_counter() + WORK_S, torch.arange(64.0)
    while time.perf_counter() < end:
        numbers = numbers.roll(1)
    return float(numbers.sum()) + value


def compared(args: argparse.Namespace, temporary: Path) -> dict[str, Pace]:
    """Both ways, one after the other: each run of the pack is a group of its own, with a part of its own."""
    small, large = (_packed(count, temporary / f"packed{count}") for count in (args.packed // 10, args.packed))
    one_more = Pace(large.runs - small.runs, large.seconds - small.seconds)
    alone = _alone(args.alone, temporary / "alone")
    return {"in a pack": large, "in a smaller pack": small, "one more in a pack": one_more, "one process per run": alone}


def _packed(count: int, root: Path) -> Pace:
    for name, text in {"jobs/toil.py": JOB, "slurm/one.yaml": PROFILE, "sweeps/toil.yaml": _sweep(count)}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    started = time.perf_counter()
    command = [sys.executable, "-c", "from repsim.cli.main import main; main()", "sweep", "submit", "toil", "--yes"]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    _wait()
    seconds = time.perf_counter() - started
    parts = len(list(root.glob("results/store/job=toil/*/*.parquet")))
    assert parts == count, f"{parts} of {count} runs were stored; see {root}"
    return Pace(count, seconds)


def _sweep(count: int) -> str:
    return f"job: toil\nprofile: one\ngrid: {{value: 0..{count - 1}}}\nfixed: {{seconds: {WORK_S}}}\n"


def _alone(count: int, folder: Path) -> Pace:
    import submitit

    executor = submitit.SlurmExecutor(folder)
    executor.update_parameters(partition="gpu", time=10, cpus_per_task=1, mem="3GB", array_parallelism=1)
    started = time.perf_counter()
    jobs = executor.map_array(toil, range(count))
    _wait()
    seconds = time.perf_counter() - started
    done = sum(job.paths.result_pickle.exists() for job in jobs)
    assert done == count, f"{done} of {count} runs left a result"
    return Pace(count, seconds)


def _wait() -> None:
    """Until nothing is queued or running."""
    while subprocess.run(["squeue", "-h"], check=True, capture_output=True, text=True).stdout.strip():
        time.sleep(0.1)
