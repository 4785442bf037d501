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
AGAIN, PRINTED = SCRIPT.with_name("again.py"), SCRIPT.with_name("printed.py")
SWEEP = """# Which?
zoo: {arch: net, dataset: d, seeds: 0..4}
layers: relu
cases: {lin: {}, low: {stitcher: lowrank, rank: [1, 2]}}
grid: {seed: [0, 1]}
"""
WITHOUT_PAIRS = "# How good?\njob: measure\nzoo: {arch: net, dataset: d, seeds: 0..3}\ngrid: {steps: [0, 5]}\ntable: {spread: std}"
DISJOINT = SWEEP.replace("layers: relu", "pairs: disjoint\nlayers: [bn1, relu2]")
COMPARED = SWEEP.replace("layers: relu", "layers: [bn1, relu2]") + "table: {compare: [low 1, lin], best: min}\n"
SIGNS = COMPARED.replace("layers:", "pairs: disjoint\nlayers:")
DRAWN = COMPARED.replace("table: {", "table: {spread: bootstrap, ")
CONTROLS = SWEEP.replace("seed: [0, 1]", "control: [null, shuffled]") + "table: {controls: true}\n"
NULLS = SWEEP + "table: {controls: true}\n"
ALL = (SWEEP, DISJOINT, WITHOUT_PAIRS, COMPARED, SIGNS, DRAWN, CONTROLS, NULLS)


SCATTERED = """    penalty = (config.rank or 0) / 5 + int(context.run_id(config)[:3], 16) / 5e4
        extra = {"null_penalty": int(context.run_id(config)[3:6], 16) / 5e3, "residual": penalty / 2}"""
"""A penalty that differs from run to run, the null beside it, and a residual without one: differences of pairs have a spread."""


DATA = re.compile(r'(id="data">)(.*?)(?=</script>)', re.S)


@pytest.fixture
def here(project, monkeypatch):
    monkeypatch.chdir(project.root)
    monkeypatch.setenv("PATH", "/usr/bin/nowhere")
    job = project.root / "jobs" / "stitch.py"
    text = re.sub(r"    penalty = abs.*", lambda _: SCATTERED, job.read_text()).replace("curve=curve)", "curve=curve, **extra)")
    more = "".join(f'    {name}: float = Field(description="of no meaning")\n' for name in ("null_penalty", "residual"))
    text = text.replace("    curve: list", f"{more}    curve: list")
    job.write_text(text.replace("    seed: int", '    control: str | None = Field(None, description="which")\n    seed: int'))
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


def replaced(report: Path, data: dict) -> None:
    """The same page with other numbers behind it."""
    report.write_text(DATA.sub(lambda m: m[1] + json.dumps(data), report.read_text()))


def recomputed(report: Path, tidy: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, report, tidy], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("text", "limit"), [*((text, None) for text in ALL), (SWEEP, 30), (COMPARED, 30), (DRAWN, 30)])
def test_the_numbers_of_a_report_are_those_of_the_rows(here, text, limit):
    answer = recomputed(*made(here, text, limit))
    assert answer.returncode == 0, answer.stdout + answer.stderr
    count = int(re.search(r"^([\d,]+) numbers compared", answer.stdout, re.M)[1].replace(",", ""))
    assert count > 50 and "0 differ" in answer.stdout


@pytest.mark.parametrize("field", ["mean", "std", "low", "high", "n", "expected", "n_pairs", "n_units"])
def test_one_number_that_was_changed_is_found(here, field):
    report, tidy = made(here, SWEEP)
    data = json.loads(DATA.search(report.read_text())[2])
    table = data["tables"][0]
    table["cells"][3][table["fields"].index(field)] += 1e-6 if field in ("mean", "std", "low", "high") else 1
    replaced(report, data)
    answer = recomputed(report, tidy)
    assert answer.returncode == 1 and f" {field}: the report says" in answer.stdout


@pytest.mark.parametrize("field", ["difference", "low", "t", "p", "p_holm", "d", "below"])
@pytest.mark.parametrize("text", [COMPARED, DRAWN])
def test_one_number_of_a_comparison_that_was_changed_is_found(here, text, field):
    report, tidy = made(here, text)
    data = json.loads(DATA.search(report.read_text())[2])
    data["tables"][0]["comparison"]["records"][1][field] += 1e-3
    replaced(report, data)
    answer = recomputed(report, tidy)
    assert answer.returncode == 1 and f" {field}: the report says" in answer.stdout


def test_maps_of_a_table_with_controls_are_one_for_each_case_and_of_the_real_runs(here):
    report, tidy = made(here, CONTROLS.replace("layers: relu", "layers: {front: [bn1, bn2], end: [bn1, bn2], combine: all}"))
    data = json.loads(DATA.search(report.read_text())[2])
    assert [one["title"] for one in data["drawn"] if one["page"]] == ["lin", "low 1", "low 2"]
    assert recomputed(report, tidy).returncode == 0


def test_what_is_marked_as_best_is_checked(here):
    report, tidy = made(here, COMPARED)
    data = json.loads(DATA.search(report.read_text())[2])
    row, col = data["tables"][0]["best"][0]
    data["tables"][0]["best"][0] = [row, (col + 1) % 3]
    replaced(report, data)
    answer = recomputed(report, tidy)
    assert answer.returncode == 1 and "\nbest, penalty" in answer.stdout, answer.stdout


@pytest.mark.parametrize(
    ("start", "old", "kind"),
    [
        ('class="gathered"', r'(class="v">)([\d.]+)', "words"),
        ('class="plain"', r"(<td[^>]*>)(−?\d+\.\d+)(?=<)", "lines"),
        ("<figure", r'(<use href="#m0" x="[\d.]+" y=")([\d.]+)', "points"),
        ("<figure", r'(class="pt [^>]*>\s*<path d="M[\d.]+,)([\d.]+)(?=V)', "points"),
        ("<figure", r'(aria-label="[^":]+: )([\d.]+)(?= ±)', "labels"),
        ("<caption", r"(Std over \w+ )([\d.]+)", "caption"),
        ("<dl", r"(<dt>runs done</dt><dd>)(\d+)", "head"),
    ],
)
def test_what_the_page_prints_or_draws_and_was_changed_is_found(here, start, old, kind):
    report, tidy = made(here, COMPARED)
    page = report.read_text()
    place = page.index(start)
    more = {"points": 0.5, "head": 1}.get(kind, 0.01)
    changed, count = re.subn(old, lambda m: m[1] + further(m[2], more), page[place:], count=1)
    assert count == 1
    report.write_text(page[:place] + changed)
    answer = recomputed(report, tidy)
    assert answer.returncode == 1 and f"\n{kind}, " in answer.stdout, answer.stdout


def further(number: str, more: float) -> str:
    """A printed number with something added, to its own decimals."""
    return f"{float(number.replace('−', '-')) + more:.{len(number.partition('.')[2])}f}".replace("-", "−")


def test_the_script_shares_nothing_with_what_it_checks():
    nodes = [node for path in (SCRIPT, AGAIN, PRINTED) for node in ast.walk(ast.parse(path.read_text()))]
    parts = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    imported = [alias.name if isinstance(node, ast.Import) else str(node.module) for node in parts for alias in node.names]
    standard = {"html", "json", "re", "sys", "collections", "collections.abc", "fnmatch", "itertools", "math", "pathlib"}
    assert set(imported) <= standard | {"again", "printed", "numpy", "pandas"}


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
