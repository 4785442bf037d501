"""Tests that need Slurm or a browser are never skipped in silence."""

import os
import subprocess
import sys
from pathlib import Path

SLURM_TESTS = Path(__file__).parents[1] / "slurm"


def test_last_line_says_that_slurm_tests_were_skipped(tmp_path):
    done = _pytest_without_slurm(tmp_path)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].startswith("Slurm tests were SKIPPED: not installed: ")


def test_slurm_tests_fail_where_slurm_is_required(tmp_path):
    done = _pytest_without_slurm(tmp_path, REPSIM_REQUIRE_SLURM="1")
    assert done.returncode == 1
    assert "REPSIM_REQUIRE_SLURM=1, but not installed: " in done.stdout
    assert "SKIPPED" not in done.stdout


def _pytest_without_slurm(empty_path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """sbatch is a user's command, looked for on PATH only: an empty PATH is a machine without Slurm."""
    environment = {key: value for key, value in os.environ.items() if key != "REPSIM_REQUIRE_SLURM"}
    environment |= {"PATH": str(empty_path)} | variables
    line = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-k", "four_nodes", str(SLURM_TESTS)]
    return subprocess.run(line, env=environment, capture_output=True, text=True, timeout=60)


BROWSER_TESTS = Path(__file__).parents[1] / "browser"


def test_browser_tests_are_skipped_aloud_and_fail_where_a_browser_is_required(tmp_path):
    for variables, code in (({}, 0), ({"REPSIM_REQUIRE_BROWSER": "1"}, 1)):
        kept = {key: value for key, value in os.environ.items() if key != "REPSIM_REQUIRE_BROWSER"}
        line = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-k", "landmarks", str(BROWSER_TESTS)]
        environment = {**kept, "PATH": str(tmp_path), **variables}
        done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == code, done.stdout
        if code:
            assert "REPSIM_REQUIRE_BROWSER=1, but not installed: chromium, chromedriver" in done.stdout
        else:
            assert done.stdout.splitlines()[-1].startswith("Browser tests were SKIPPED: not installed: chromium")
