"""Owns the facts of one test cluster: its folder, its names, its ports, its limits."""

from __future__ import annotations

import json
import os
import pwd
import random
import re
import socket
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

MARKER = "repsim-testcluster.json"
SOCKET_PATH_LIMIT = 107
LONGEST_SOCKET = "/spool/n16/n16_9999999.4294967291"  # one per job step, made by slurmstepd
# slurmd takes only character devices for GPUs; nobody opens these, they are only counted.
DEVICES = tuple(f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty", "ptmx"))


class Refused(Exception):
    """What cannot be done, and what to do about it, in words for a person."""


@dataclass(frozen=True)
class Cluster:
    """A cluster of `nodes` virtual nodes n1, n2, … with `gpus` fake GPUs each, all under `folder`."""

    folder: Path
    host: str
    user: str
    nodes: int
    gpus: int
    accounting: bool
    controller_port: int
    database_port: int
    node_ports: tuple[int, ...]

    @property
    def conf(self) -> Path:
        return self.folder / "etc" / "slurm.conf"

    @property
    def munge_socket(self) -> Path:
        return self.folder / "run" / "munge.sock"

    @property
    def mariadb_socket(self) -> Path:
        return self.folder / "run" / "mariadb.sock"

    @property
    def node_names(self) -> list[str]:
        return [f"n{i + 1}" for i in range(self.nodes)]

    def pid_file(self, daemon: str) -> Path:
        """`daemon` is a program's name, for slurmd with its node: `slurmctld`, `slurmd.n1`."""
        return self.folder / "run" / f"{daemon}.pid"

    def log(self, daemon: str) -> Path:
        return self.folder / "log" / f"{daemon}.log"


def default_folder() -> Path:
    return Path(tempfile.gettempdir()) / f"repsim-testcluster-{os.getuid()}"


def plan(folder: Path, nodes: int, gpus: int, accounting: bool) -> Cluster:
    """A cluster that could be started now: names checked, ports free. Touches nothing."""
    _check_folder(folder)
    if not 1 <= nodes <= 16:
        raise Refused(f"--nodes must be between 1 and 16, not {nodes}")
    if not 1 <= gpus <= len(DEVICES):
        raise Refused(f"--gpus must be between 1 and {len(DEVICES)}, not {gpus}")
    controller, database, *of_nodes = free_ports(2 + nodes)
    return Cluster(
        folder,
        socket.gethostname().split(".")[0],
        _user(),
        nodes,
        gpus,
        accounting,
        controller,
        database,
        tuple(of_nodes),
    )


def save(cluster: Cluster) -> None:
    """Write the marker: the folder is ours from now on, and `down` may remove it."""
    facts = asdict(cluster) | {"folder": str(cluster.folder)}
    (cluster.folder / MARKER).write_text(json.dumps(facts, indent=1) + "\n")


def load(folder: Path) -> Cluster | None:
    """The cluster that was started in `folder`, alive or dead; None where there is none.

    Raises:
        Refused: the folder holds something else, or belongs to somebody else.
    """
    if not folder.exists():
        return None
    if not folder.is_dir() or folder.stat().st_uid != os.getuid():
        raise Refused(f"{folder} is not a folder of yours: name another one")
    if not (folder / MARKER).exists():
        if any(folder.iterdir()):
            raise Refused(f"{folder} holds no test cluster (no {MARKER}) and is not empty: name another one")
        return None
    facts = json.loads((folder / MARKER).read_text())
    return Cluster(**facts | {"folder": folder, "node_ports": tuple(facts["node_ports"])})


def free_ports(count: int) -> list[int]:
    """Distinct TCP ports that nobody listens on, from below the range the kernel gives to outgoing connections.

    All are bound at once, then let go. Drawn at random, so that two clusters started together do not meet.
    """
    held: list[socket.socket] = []
    try:
        for port in random.sample(range(15000, 32000), 2000):
            if len(held) == count:
                break
            probe = socket.socket()
            try:
                probe.bind(("", port))
            except OSError:
                probe.close()
            else:
                held.append(probe)
        return [probe.getsockname()[1] for probe in held]
    finally:
        for probe in held:
            probe.close()


def _check_folder(folder: Path) -> None:
    if not re.fullmatch(r"[\w./+-]+", str(folder)):
        raise Refused(f"{folder}: Slurm's files take only letters, digits and . _ + - in a path: name another folder")
    room = SOCKET_PATH_LIMIT - len(LONGEST_SOCKET)
    if len(str(folder)) > room:
        raise Refused(f"{folder} is too long for the sockets below it ({room} characters at most): name a shorter folder")


def _user() -> str:
    """From the user id, since LOGNAME may be another's after sudo or su."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        raise Refused(f"user id {os.getuid()} has no name here (no line in /etc/passwd), and Slurm needs one") from None
