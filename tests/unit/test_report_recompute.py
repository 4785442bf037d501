"""The second opinion on a report: another script finds the same numbers in the tidy file, and notices one that was changed."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import toy
from commandline import call
from scipy.stats import t as student

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tests" / "report" / "recompute.py"
AGAIN = SCRIPT.with_name("again.py")
SWEEP = """# Which?
zoo: {arch: net, dataset: d, seeds: 0..4}
layers: relu
cases: {lin: {}, low: {stitcher: lowrank, rank: [1, 2]}}
grid: {seed: [0, 1]}
"""
WITHOUT_PAIRS = "# How good?\njob: measure\nzoo: {arch: net, dataset: d, seeds: 0..3}\ngrid: {steps: [0, 5]}\ntable: {spread: std}"
DISJOINT = SWEEP.replace("layers: relu", "pairs: disjoint\nlayers: [bn1, relu2]")


@pytest.fixture
def here(project, monkeypatch):
    monkeypatch.chdir(project.root)
    monkeypatch.setenv("PATH", "/usr/bin/nowhere")
    return project


def made(project, text: str, limit: int | None = None) -> tuple[Path, Path]:
    """The report and the tidy file of a sweep, of which only so many runs were done."""
    sweep = toy.sweep(project, text, "asked")
    if limit is None:
        toy.run(project, sweep)
    else:
        assert call("sweep", "run", "asked", "--workers", 1, "--limit", limit).code == 0
    report, tidy = project.root / "report.html", project.root / "tidy.parquet"
    assert call("results", "report", "asked", "--out", report).code == 0
    assert call("results", "aggregate", "asked", "--missing", "--out", tidy).code == 0
    return report, tidy


def recomputed(report: Path, tidy: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, report, tidy], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("text", "limit"), [(SWEEP, None), (SWEEP, 30), (DISJOINT, None), (WITHOUT_PAIRS, None)])
def test_the_numbers_of_a_report_are_those_of_the_rows(here, text, limit):
    answer = recomputed(*made(here, text, limit))
    assert answer.returncode == 0, answer.stdout + answer.stderr
    count = int(re.search(r"^([\d,]+) numbers compared", answer.stdout, re.M)[1].replace(",", ""))
    assert count > 50 and "0 differ" in answer.stdout


@pytest.mark.parametrize("field", ["mean", "std", "low", "high", "n", "expected", "n_pairs", "n_units"])
def test_one_number_that_was_changed_is_found(here, field):
    report, tidy = made(here, SWEEP)
    page = report.read_text()
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])
    table = data["tables"][0]
    table["cells"][3][table["fields"].index(field)] += 1e-6 if field in ("mean", "std", "low", "high") else 1
    report.write_text(re.sub(r'(id="data">).*?(</script>)', lambda m: m[1] + json.dumps(data) + m[2], page, flags=re.S))
    answer = recomputed(report, tidy)
    assert answer.returncode == 1 and f" {field}: the report says" in answer.stdout


def test_a_word_of_the_page_that_was_changed_is_found_and_so_is_a_point_that_was_moved(here):
    report, tidy = made(here, SWEEP)
    page = report.read_text()
    for old, new, kind in (
        (r'(class="v">)([\d.]+)', lambda m: f"{m[1]}{float(m[2]) + 0.01:.2f}", "words"),
        (r'(<use href="#m0" x="[\d.]+" y=")([\d.]+)', lambda m: f"{m[1]}{float(m[2]) + 0.5:.1f}", "points"),
    ):
        start = page.index('class="gathered"') if kind == "words" else page.index("<svg viewBox")
        report.write_text(page[:start] + re.sub(old, new, page[start:], count=1))
        answer = recomputed(report, tidy)
        assert answer.returncode == 1 and answer.stdout.startswith(f"{kind}, penalty cell 0"), answer.stdout


def test_the_script_shares_nothing_with_what_it_checks():
    nodes = [node for path in (SCRIPT, AGAIN) for node in ast.walk(ast.parse(path.read_text()))]
    parts = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    imported = [alias.name if isinstance(node, ast.Import) else str(node.module) for node in parts for alias in node.names]
    assert set(imported) <= {"html", "json", "re", "sys", "collections", "fnmatch", "math", "again", "pathlib", "numpy", "pandas"}


def test_its_quantile_is_that_of_students_t():
    namespace: dict = {"__name__": "again"}
    exec(AGAIN.read_text(), namespace)
    for freedom in (1, 2, 3, 4, 5, 10, 29, 100):
        assert namespace["student"](freedom) == pytest.approx(student.ppf(0.975, freedom), rel=1e-10)


def test_the_report_that_is_kept_says_what_the_rows_beside_it_say():
    kept = ROOT / "results" / "tables" / "tiny10_stitchers.html"
    answer = recomputed(kept, kept.with_suffix(".parquet"))
    assert answer.returncode == 0 and ": 0 differ" in answer.stdout, answer.stdout + answer.stderr
    assert kept.stat().st_size < 500_000
