"""Owns the accounting database: a private MariaDB, slurmdbd, and the first entries.

MariaDB listens on a socket only and asks the kernel who calls, so there is no port and no password.
"""

from __future__ import annotations

import daemons
from cluster import Cluster
from processes import wait_until


def start(cluster: Cluster) -> None:
    """From an empty folder to a slurmdbd that knows the cluster. To be called before slurmctld starts, which asks it."""
    _install(cluster)
    daemons.start(cluster, "mariadbd")
    client = ["mariadb", "--no-defaults", f"--user={cluster.user}", f"--socket={cluster.mariadb_socket}"]
    _wait_for_answer(cluster, *client, "-e", "CREATE DATABASE IF NOT EXISTS slurm_acct")
    daemons.start(cluster, "slurmdbd")
    _wait_for_answer(cluster, "sacctmgr", "-n", "show", "cluster")
    for entry in ("cluster testcluster", "account test", f"user {cluster.user} Account=test"):
        daemons.ask(cluster, "sacctmgr", "-i", "add", *entry.split())


def _install(cluster: Cluster) -> None:
    known = ["--auth-root-authentication-method=socket", f"--auth-root-socket-user={cluster.user}"]
    where = ["--no-defaults", f"--user={cluster.user}", f"--datadir={cluster.folder}/mysql"]
    daemons.ask(cluster, "mariadb-install-db", *where, *known, "--skip-test-db", timeout_s=120)


def _wait_for_answer(cluster: Cluster, *command: str) -> None:
    if not wait_until(lambda: _answers(cluster, *command), seconds=30):
        logs = "\n".join(daemons.tail(cluster, name) for name in ("mariadbd", "slurmdbd"))
        raise daemons.Failed(f"{command[0]} gets no answer\n{logs}")


def _answers(cluster: Cluster, *command: str) -> bool:
    try:
        daemons.ask(cluster, *command)
    except daemons.Failed:
        return False
    return True
