"""Owns a running test cluster as the tests see it: started, asked, broken and stopped by the same commands as people use."""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

COMMANDS = Path(__file__).parents[2] / "slurm" / "testcluster"


class Job(NamedTuple):
    """One line of squeue: state such as `RUNNING`, node such as `n1` or "", reason, number of restarts."""

    state: str
    node: str
    reason: str
    restarts: int


@dataclass(frozen=True)
class RunningCluster:
    folder: Path
    conf: Path

    def run(self, *command: str, timeout_s: float = 30) -> str:
        """What a command prints when it runs against this cluster; it must succeed."""
        environment = os.environ | {"SLURM_CONF": str(self.conf)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout_s)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def fault(self, action: str, *node: str) -> None:
        """`fault("kill-node", "n1")`; the actions are those of slurm/testcluster/fault."""
        assert (done := command("fault", self.folder, action, *node)).returncode == 0, done.stderr

    def submit(self, shell: str, *options: str, out: Path | str = "/dev/null") -> str:
        """Send one shell line as a job or an array; gives its id."""
        return self.run("sbatch", "--parsable", f"--output={out}", "--open-mode=append", *options, "--wrap", shell).strip()

    def jobs(self, job_id: str) -> list[Job]:
        """The job, or each element of the array."""
        lines = self.run("squeue", "-h", "-r", "-t", "all", "-j", job_id, "-O", "State:|,NodeList:|,Reason:|,RestartCnt:|")
        return [
            Job(state, node, reason, int(restarts))
            for state, node, reason, restarts, _ in (x.split("|") for x in lines.splitlines())
        ]

    def wait_for(self, job_id: str, state: str, seconds: float = 30) -> list[Job]:
        """All elements in this state; fails with what they are in instead."""
        wait_until(lambda: all(job.state == state for job in self.jobs(job_id)), seconds, lambda: self.jobs(job_id))
        return self.jobs(job_id)

    def nodes(self) -> dict[str, str]:
        """Node → state, such as `idle`, `mixed`, `down*`."""
        return dict(line.split() for line in self.run("sinfo", "-h", "-N", "-o", "%N %T").splitlines())


def wait_until(true: Callable[[], object], seconds: float, otherwise: Callable[[], object] = lambda: "") -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds} s: {otherwise()}"
        time.sleep(0.2)


def command(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run slurm/testcluster/`name`."""
    return subprocess.run(_line(name, *arguments), capture_output=True, text=True, timeout=120)


def _line(name: str, *arguments: str | Path) -> list[str]:
    return [sys.executable, str(COMMANDS / name), *map(str, arguments)]


@contextmanager
def running_cluster(*options: str) -> Iterator[RunningCluster]:
    """A cluster in a folder of its own with a short name, since pytest's are too long for its sockets; taken down in the end."""
    folder = Path(tempfile.mkdtemp(prefix="repsim-", dir="/tmp")).resolve()
    with kept(f"{shlex.join(_line('down', folder))} 2>/dev/null; rm -rf {folder}"):
        try:
            started = command("up", folder, *options)
            assert started.returncode == 0, started.stderr
            yield RunningCluster(folder, Path(started.stdout.strip().removeprefix("export SLURM_CONF=")))
        finally:
            stopped = command("down", folder)
            shutil.rmtree(folder, ignore_errors=True)
            assert stopped.returncode == 0, stopped.stderr


@contextmanager
def kept(clean: str) -> Iterator[None]:
    """The shell line `clean` is run at the end, even if this process is killed: by a keeper who waits for the end of a pipe."""
    line = ["sh", "-c", f"cat >/dev/null; {clean}"]
    keeper = subprocess.Popen(line, stdin=subprocess.PIPE, start_new_session=True, cwd="/")
    try:
        yield
    finally:
        keeper.communicate()
