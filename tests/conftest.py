"""Owns what happens to tests of what may not be installed: they are skipped, and that is said in the very last lines.

Those marked `slurm` need Slurm, and fail without it where REPSIM_REQUIRE_SLURM=1; those marked `accounting` need a database
besides, and are always skipped without. Those marked `browser` need Chromium and its driver, and fail where
REPSIM_REQUIRE_BROWSER=1.
"""

import os
import shutil

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small tensors: two threads that compete for busy cores are five times slower

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch")
ACCOUNTING = ("mariadbd", "mariadb-install-db", "slurmdbd", "sacct")
BROWSER = ("chromium", "chromedriver")
SKIPPED = pytest.StashKey[dict[str, list[str]]]()


def pytest_configure(config):
    config.stash[SKIPPED] = {}


def pytest_runtest_setup(item):
    if item.get_closest_marker("slurm") is not None:
        base = _why_not(NEEDED, "slurm/testcluster/install")
        more = item.get_closest_marker("accounting") and _why_not(ACCOUNTING, "slurm/testcluster/install --accounting")
        _skip_or_fail(item, "Slurm", base or more, os.environ.get("REPSIM_REQUIRE_SLURM") == "1" and bool(base))
    if item.get_closest_marker("browser") is not None:
        required = os.environ.get("REPSIM_REQUIRE_BROWSER") == "1"
        _skip_or_fail(item, "Browser", _why_not(BROWSER, "tests/browser/install"), required)


def _skip_or_fail(item, kind: str, reason: str | None, required: bool) -> None:
    if not reason:
        return
    if required:
        pytest.fail(f"REPSIM_REQUIRE_{kind.upper()}=1, but {reason}", pytrace=False)
    item.config.stash[SKIPPED].setdefault(kind, []).append(reason)
    pytest.skip(reason)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session):
    """Outside of pytest's own hook, which ends with the count of passed tests: only so our lines are the last ones."""
    result = yield
    for kind, skipped in session.config.stash[SKIPPED].items():
        terminal = session.config.pluginmanager.get_plugin("terminalreporter")
        terminal.write_line(f"{kind} tests were SKIPPED: {skipped[0]} ({len(skipped)} tests)", yellow=True)
    return result


def _why_not(needed: tuple[str, ...], install: str) -> str | None:
    """Why there is none of that here, None when there is."""
    path = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
    missing = [name for name in needed if shutil.which(name, path=path) is None]
    return f"not installed: {', '.join(missing)}; run {install}" if missing else None
