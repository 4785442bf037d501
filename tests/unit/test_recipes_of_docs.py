"""What docs/ tells to write works as it stands there: an experiment of two files, a stitcher and its entries."""

import csv
import os
import re
import shutil
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE = re.compile(r"^`([\w/]+\.(?:py|yaml))`:\n\n```\w+\n(.*?)^```", re.M | re.S)
ENTRY = re.compile(r"^\| \[\w+\.py\]\(\.\./([\w/]+\.py)\) \| `(\w+)` \| `(.*)` \|$", re.M)
COMMAND = re.compile(r"^    (repsim .*?)(?: +#.*)?$", re.M)
CASES = "{diagonal: {stitcher: diagonal, init: eye, epochs: 1}, linear: {stitcher: linear, init: matched, epochs: 0}}"


def files(page: str) -> dict[str, str]:
    """Path → text of the files that a page tells to write."""
    return dict(FILE.findall((ROOT / "docs" / page).read_text()))


def project(folder: Path) -> Path:
    """A copy of what a project needs: its jobs, profiles and package, no sweep and no result."""
    for name in ("jobs", "repsim"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("slurm", "sweeps"):
        (folder / name).mkdir()
    shutil.copy(ROOT / "slurm/local.yaml", folder / "slurm")
    return folder


def write(folder: Path, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        assert not (ROOT / name).exists(), f"{name} exists: the page would have it overwritten"
        (folder / name).write_text(text)


def repsim(folder: Path, *words: str) -> str:
    """What a command prints in the project, with the package that lies there, on one thread."""
    more = {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    command = [sys.executable, "-c", "from repsim.cli.main import main; main()", *words]
    answer = subprocess.run(command, cwd=folder, env=os.environ | more, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, (words, answer.stdout, answer.stderr)
    return answer.stdout


def test_the_experiment_of_the_docs_runs_and_has_a_table(tmp_path):
    """Its own commands, on its own files; the stronger the noise, the less is left."""
    texts = files("experiment.md")
    assert set(texts) == {"jobs/noise.py", "sweeps/noise.yaml"}
    write(project(tmp_path), texts)
    page = (ROOT / "docs/experiment.md").read_text()
    printed = {line: repsim(tmp_path, *line.split()[1:], *one_worker(line)) for line in COMMAND.findall(page)}
    table = printed["repsim results table noise"]
    assert re.search(r"^arch +0 +0\.2 +0\.4$", table, re.M), table
    for arch in ("dense-w16", "mcnn-w16"):
        means = [float(mean) for mean in re.findall(r"([\d.]+) ± [\d.]+ \(6/6\)", re.findall(rf"^{arch} .*", table, re.M)[0])]
        assert len(means) == 3
        assert means[0] > means[1] > means[2]


def one_worker(line: str) -> tuple[str, ...]:
    return ("--workers", "1") if line.startswith("repsim sweep run") else ()


def entered(text: str, name: str, entry: str) -> str:
    """`text` with `entry` added to the dictionary, tuple or Literal `name`."""
    found = re.search(rf"^{name}\b[^=\n]*= (?:Literal)?[\[{{(]", text, re.M)
    assert found, f"there is no {name}"
    where = found.end()
    if name == "STITCHERS":  # a comprehension over the classes
        where = text.index(" in (", where) + len(" in (")
    return f"{text[:where]}{entry}, {text[where:]}"


def test_the_stitcher_of_the_docs_stitches_once_its_entries_are_made(tmp_path):
    page = (ROOT / "docs/stitcher.md").read_text()
    entries = ENTRY.findall(page)
    assert len(entries) == 7
    write(project(tmp_path), files("stitcher.md"))
    for name, where, entry in entries:
        path = tmp_path / name
        path.write_text(entered(path.read_text(), where, entry))
    imports(tmp_path, page)
    (tmp_path / "sweeps/diagonal.yaml").write_text(
        "job: stitch\nprofile: local\nzoo: {arch: mcnn, width: 4, dataset: digits, recipe: quick, epochs: 1, seeds: 0..1}\n"
        f"pairs: ordered\nlayers: [relu1, relu4]\ncases: {CASES}\n"
        "fixed: {validation_images: 100, train_images: 500}\n"
    )
    assert "done" in repsim(tmp_path, "sweep", "run", "diagonal", "--workers", "1")
    asked = ("--rows", "case", "--cols", "front_layer", "--value", "matched_residual", "--format", "csv")
    rows = list(csv.DictReader(StringIO(repsim(tmp_path, "results", "table", "diagonal", *asked))))
    found = {(row["case"], row["layer"]): float(row["mean"]) for row in rows}
    for layer in ("relu1", "relu4"):  # every diagonal map is a linear one; the best constant scores 1
        assert 0 < found["linear", layer] < found["diagonal", layer] < 1.1
    (line,) = [line for line in COMMAND.findall(page) if line.startswith("repsim stitch")]
    assert "diagonal" in repsim(tmp_path, *line.split()[1:])


def imports(folder: Path, page: str) -> None:
    """The imports that the page tells of: the class everywhere, in matching.py its optimum too."""
    (told,) = re.findall(r"`(from repsim\.stitching\.diagonal import [^`]*)`", page)
    for name, line in (("matching", told), ("inits", told.partition(",")[0]), ("stitchers", told.partition(",")[0])):
        path = folder / f"repsim/stitching/{name}.py"
        head, mark, rest = path.read_text().partition("\nfrom repsim.")
        path.write_text(f"{head}\n{line}{mark}{rest}")


@pytest.mark.parametrize("page", ["experiment.md", "stitcher.md"])
def test_python_of_the_docs_keeps_the_style_of_the_project(page, tmp_path):
    for name, text in files(page).items():
        if name.endswith(".py"):
            path = tmp_path / Path(name).name
            path.write_text(text)
            for rule in (["check"], ["format", "--check"]):
                command = [sys.executable, "-m", "ruff", *rule, "--config", str(ROOT / "pyproject.toml"), str(path)]
                answer = subprocess.run(command, capture_output=True, text=True, check=False)
                assert answer.returncode == 0, answer.stdout + answer.stderr
