"""Owns how each daemon is started, asked and stopped."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess

from cluster import Cluster, Refused
from processes import is_running, kill, pid_of, wait_until

PATH = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"  # an ordinary user's PATH lacks the daemons
NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "sinfo", "scancel", "scontrol")
NEEDED_FOR_ACCOUNTING = ("mariadbd", "mariadb-install-db", "mariadb", "slurmdbd", "sacctmgr")


class Failed(Exception):
    """A daemon did not start or did not answer; the message ends with what it wrote in its log."""


def missing(accounting: bool) -> list[str]:
    """Programs that are not installed."""
    needed = NEEDED + (NEEDED_FOR_ACCOUNTING if accounting else ())
    return [name for name in needed if shutil.which(name, path=PATH) is None]


def slurm_version() -> tuple[int, int]:
    text = subprocess.run([_program("slurmctld"), "-V"], capture_output=True, text=True, timeout=10).stdout
    found = re.search(r"(\d+)\.(\d+)", text)
    if found is None:
        raise Refused(f"slurmctld -V says {text!r}, which is no version")
    return int(found[1]), int(found[2])


def names(cluster: Cluster) -> list[str]:
    """All daemons of a cluster in the order of their start."""
    database = ["mariadbd", "slurmdbd"] if cluster.accounting else []
    return ["munged", *database, "slurmctld", *(f"slurmd.{node}" for node in cluster.node_names)]


def environment(cluster: Cluster) -> dict[str, str]:
    """Ours without another cluster's or job's variables, with this cluster's."""
    foreign = ("SLURM", "SBATCH_", "SRUN_", "SALLOC_", "SQUEUE_", "SINFO_", "SCANCEL_", "SACCT_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    return kept | {"PATH": PATH, "SLURM_CONF": str(cluster.conf), "MYSQL_UNIX_PORT": str(cluster.mariadb_socket)}


def ask(cluster: Cluster, *command: str, timeout_s: float = 10) -> str:
    """What a client command prints; with no controller each of Slurm's takes 9 s to say so.

    Raises:
        Failed: it failed or did not answer in time.
    """
    try:
        done = subprocess.run(
            [_program(command[0]), *command[1:]],
            env=environment(cluster),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"{command[0]} did not answer within {timeout_s} s") from None
    if done.returncode:
        raise Failed(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def start(cluster: Cluster, daemon: str) -> None:
    """Start one daemon and see it alive. It puts itself in the background and keeps none of our files open.

    Raises:
        Failed: it is not alive after 10 s, or died at once.
    """
    with cluster.log(daemon).open("ab") as log:
        begun = subprocess.Popen(
            _command(cluster, daemon),
            env=environment(cluster),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    wait_until(lambda: pid_of(cluster, daemon) or begun.poll(), seconds=10)
    if pid_of(cluster, daemon) is None:
        raise Failed(f"{daemon} did not start\n{tail(cluster, daemon)}")


def stop(cluster: Cluster, daemon: str) -> None:
    """Ask it to leave; after 5 s make it."""
    if pid := pid_of(cluster, daemon):
        kill([pid], signal.SIGTERM)
        if not wait_until(lambda: not is_running(pid, daemon), seconds=5):
            kill([pid])


def tail(cluster: Cluster, daemon: str, lines: int = 12) -> str:
    log = cluster.log(daemon)
    text = log.read_text(errors="replace") if log.exists() else ""
    return "\n".join(f"  {log.name}: {line}" for line in text.splitlines()[-lines:])


def _command(cluster: Cluster, daemon: str) -> list[str]:
    program, _, node = daemon.partition(".")
    return [_program(program), *(["-N", node] if node else []), *_arguments(cluster).get(program, [])]


def _arguments(cluster: Cluster) -> dict[str, list[str]]:
    folder = cluster.folder
    files = [
        f"--pid-file={cluster.pid_file('munged')}",
        f"--log-file={cluster.log('munged')}",
        f"--seed-file={folder}/run/munge.seed",
    ]
    small = ["--innodb-buffer-pool-size=128M", "--innodb-log-file-size=32M", "--innodb-flush-log-at-trx-commit=2"]
    private = ["--skip-networking", f"--socket={cluster.mariadb_socket}", f"--pid-file={cluster.pid_file('mariadbd')}"]
    return {
        "munged": ["--force", f"--key-file={folder}/etc/munge.key", f"--socket={cluster.munge_socket}", *files],
        "mariadbd": [
            "--no-defaults",
            f"--user={cluster.user}",
            f"--datadir={folder}/mysql",
            *private,
            *small,
            "--innodb-lock-wait-timeout=900",
        ],
    }


def _program(name: str) -> str:
    path = shutil.which(name, path=PATH)
    if path is None:
        raise Refused(f"{name} is not installed: run slurm/testcluster/install")
    return path
