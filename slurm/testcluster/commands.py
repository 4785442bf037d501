"""Owns the command lines of up, down, status and fault. Text for people on stderr, what programs read on stdout.

Exit codes: 0 done, 1 it failed, 2 it cannot be done as asked.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import faults
import lifecycle
from cluster import Cluster, Refused, default_folder, load
from daemons import Failed
from lifecycle import say


def up() -> int:
    parser = _parser("Start a Slurm cluster on this machine", 'Use it with: eval "$(slurm/testcluster/up)"')
    parser.add_argument("--nodes", type=int, default=4, help="virtual nodes, 4 by default")
    parser.add_argument("--gpus", type=int, default=2, help="fake GPUs of each node, 2 by default")
    parser.add_argument("--accounting", action="store_true", help="with sacct: a private MariaDB and slurmdbd")
    asked = parser.parse_args()

    def start() -> int:
        cluster = lifecycle.up(_absolute(asked.folder), asked.nodes, asked.gpus, asked.accounting)
        print(f"export SLURM_CONF={cluster.conf}")
        return 0

    return _told(start)


def down() -> int:
    folder = _absolute(_parser("Stop the cluster, kill its jobs, remove its folder").parse_args().folder)

    def stop() -> int:
        was_up = lifecycle.down(folder)
        say(f"down, {folder} is removed" if was_up else f"nothing is up in {folder}")
        return 0

    return _told(stop)


def status() -> int:
    folder = _absolute(_parser("Show daemons, nodes and jobs").parse_args().folder)

    def show() -> int:
        cluster = _existing(folder)
        print(lifecycle.status(cluster))
        return 0 if lifecycle.is_alive(cluster) else 1

    return _told(show)


def fault() -> int:
    parser = _parser("Break a part of the cluster, or mend it", folder_is_needed=True)
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, action in faults.OF_NODES.items():
        actions.add_parser(name, help=action.__doc__).add_argument("node", metavar="NODE")
    for name, action in faults.OF_CONTROLLER.items():
        actions.add_parser(name, help=action.__doc__)
    asked = parser.parse_args()

    def make() -> int:
        cluster = _existing(_absolute(asked.folder))
        if asked.action in faults.OF_CONTROLLER:
            say(faults.OF_CONTROLLER[asked.action](cluster))
        elif asked.node in cluster.node_names:
            say(faults.OF_NODES[asked.action](cluster, asked.node))
        else:
            raise Refused(f"there is no node {asked.node}; there are {', '.join(cluster.node_names)}")
        return 0

    return _told(make)


def _parser(what: str, how: str = "", folder_is_needed: bool = False) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=what, epilog=how)
    where = f"the cluster's folder, {default_folder()} by default"
    if folder_is_needed:
        parser.add_argument("folder", metavar="DIR", type=Path, help="the cluster's folder")
    else:
        parser.add_argument("folder", metavar="DIR", type=Path, nargs="?", default=default_folder(), help=where)
    return parser


def _absolute(folder: Path) -> Path:
    return folder.resolve()


def _existing(folder: Path) -> Cluster:
    cluster = load(folder)
    if cluster is None:
        raise Refused(f"no test cluster in {folder}: start one with slurm/testcluster/up")
    return cluster


def _told(act: Callable[[], int]) -> int:
    """Run it; what goes wrong is told in its own words, without a traceback."""
    try:
        return act()
    except Refused as error:
        say(f"testcluster: {error}")
        return 2
    except (Failed, OSError) as error:
        say(f"testcluster: {error}")
        return 1
