"""Owns what happens to tests marked `slurm` where Slurm is not installed: skipped, and said so in the very last line.

With REPSIM_REQUIRE_SLURM=1 they fail instead. Those marked `accounting` need a database besides: without it they are skipped.
"""

import os
import shutil

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small tensors: two threads that compete for busy cores are five times slower

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch")
ACCOUNTING = ("mariadbd", "mariadb-install-db", "slurmdbd", "sacct")
SKIPPED = pytest.StashKey[list[str]]()


def pytest_configure(config):
    config.stash[SKIPPED] = []


def pytest_runtest_setup(item):
    if item.get_closest_marker("slurm") is None:
        return
    base = _why_not(NEEDED, "install")
    reason = base or (item.get_closest_marker("accounting") and _why_not(ACCOUNTING, "install --accounting"))
    if not reason:
        return
    if base and os.environ.get("REPSIM_REQUIRE_SLURM") == "1":
        pytest.fail(f"REPSIM_REQUIRE_SLURM=1, but {reason}", pytrace=False)
    item.config.stash[SKIPPED].append(reason)
    pytest.skip(reason)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session):
    """Outside of pytest's own hook, which ends with the count of passed tests: only so our line is the last one."""
    result = yield
    if skipped := session.config.stash[SKIPPED]:
        terminal = session.config.pluginmanager.get_plugin("terminalreporter")
        terminal.write_line(f"Slurm tests were SKIPPED: {skipped[0]} ({len(skipped)} tests)", yellow=True)
    return result


def _why_not(needed: tuple[str, ...], install: str) -> str | None:
    """Why there is none of that here, None when there is."""
    path = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
    missing = [name for name in needed if shutil.which(name, path=path) is None]
    return f"not installed: {', '.join(missing)}; run slurm/testcluster/{install}" if missing else None
