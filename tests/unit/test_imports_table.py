"""Who may import whom: a module imports only from rows below its own, the halves never meet, a library has one owner."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
import toy

ROOT = Path(__file__).parents[2]
ORCHESTRATION = [
    "cli.main",
    "cli.sweep",
    "cli.asked",
    "cli.going cli.stitch cli.compare cli.judge cli.zoo cli.results cli.models cli.data cli.doctor",
    "cli.report",
    "cli.papers",
    "cli.again cli.dry cli.evaluate cli.train cli.matrices cli.tidy cli.seeing cli.steer cli.status cli.halt cli.costs cli.scan",
    "cli.pictures",
    "cli.tables",
    "cli.send",
    "cli.here",
    "cli.tableoptions",
    "cli.output",
    "cli.lazily",
    "report.page.gathered",
    "spending",
    "budget",
    "reconcile",
    "emit",
    "sending",
    "local report.places",
    "report.drawing",
    "report.gathered",
    "report.plotoptions",
    "report.matrix report.scatter report.pareto report.learning report.weights",
    "report.animation report.points report.against report.papers",
    "report.page.document",
    "report.page.sections",
    "report.live report.costs report.page.pictured report.page.methods",
    "report.page.jobwords report.page.trainwords",
    "report.page.comparewords report.page.controlwords report.page.stitchwords report.page.statwords",
    "report.page.lines report.page.scatters report.page.heats report.page.tabled",
    "report.page.vector",
    "report.page.cells report.page.figures",
    "report.page.numbers report.page.coverage",
    "report.page.about report.page.citations report.page.saying report.page.scales report.page.origins",
    "report.page.markup report.page.printing",
    "report.halts report.queue report.logs report.faults",
    "report.judgeplot",
    "report.dictionary report.differences",
    "report.checks report.curves report.heatmaps report.identity report.comparisons report.judgement",
    "report.plots report.bars",
    "report.bylayer",
    "report.strips report.valueaxis",
    "report.plans report.tables report.rows report.evaluations report.networks worker",
    "lanes",
    "pack",
    "attempt stored",
    "measuring",
    "report.plain report.markdown report.latex",
    "report.sheets",
    "report.versus",
    "report.matrixwords report.player",
    "report.style report.saving",
    "report.wording report.bycase report.grid report.reasons",
    "pieces planfile ceiling dropped cards",
    "intents shares",
    "hindsight occupancy",
    "forecast",
    "judging.suite",
    "judging.groups judging.outputs judging.layers judging.sensitivity",
    "judging.statistics judging.score sweep.judged",
    "against_paper",
    "selected",
    "plan imports checking compaction scanning retry nodes cleaning exports counterparts judging.readings",
    "differences",
    "compared tidytables",
    "widened matched flatfiles",
    "described tidy",
    "plotdefinition keptmaps",
    "tabulating",
    "tablefiles table frames",
    "pairing",
    "bests",
    "tablecells tablefilter tablecontrols",
    "tableruns paired",
    "tabledefinition spreads",
    "sweep.evaluations sweep.comparisons sweep.grids",
    "sweep.single sweep.flags sweep.curves sweep.explain",
    "sweep.filters sweep.known sweep.shown sweep.mirrored",
    "sweep.expand",
    "sweep.kept",
    "sweep.points sweep.refusals sweep.layers sweep.run sweep.words",
    "sweep.coded sweep.forming",
    "sweep.exclude sweep.networks",
    "sweep.spec cost queued traces",
    "published",
    "state tried accounting",
    "measured",
    "resampling",
    "catalog interval pace matrices tablekeys",
    "limits batchscript sbatch",
    "profile",
    "dictionary",
    "identity store cluster hardware code child matrix answers",
    "gathering",
    "overview",
    "written",
    "manifest quarantine",
    "parts",
    "schema vectors claims",
    "units meanings",
    "notify breaker",
    "progress log orders restarts",
    "journal",
    "submission",
    "project yamlfile job patience lock",
    "sbatchoptions processes records papers",
    "errors signature cause columns thrift report.counts",
]
SCIENCE = {
    "probing": {"similarity", "robustness", "stitching", "models", "data"},
    "rotation": {"stitching", "models", "data"},
    "similarity": {"stitching", "robustness", "models", "data"},
    "robustness": {"models", "data"},
    "stitching": {"robustness", "models", "data"},
    "models": set(),
    "data": set(),
}
"""Package → the packages of its half that it may import."""
STORE = ("store", "frames", "checking", "compaction", "gathering", "overview", "parts", "schema", "vectors", "written")
TABLES = ("table", "tidytables", "tablekeys", "tablecontrols", "tablefilter", "tableruns")
TIDY = ("tidy", "widened", "flatfiles", "matched", "compared")
OWNERS = {
    "pyarrow": (*STORE, *TIDY, "data.hf_parquet"),  # of results; of image files
    "submitit": ("batchscript",),
    "typer": ("cli",),
    "rich": ("cli", "report"),
    "yaml": ("yamlfile",),
    "matplotlib": ("report",),
    "pandas": (*TABLES, "selected", "frames", "tabulating", "report"),
    "torch": tuple(SCIENCE),
    "safetensors": ("models.tensorfile",),
    "torchvision": ("data", "models.inception"),
    "timm": ("models.vit",),
}

Import = tuple[str, str, int]
"""Importing module, imported module, line."""


def within(module: str, owners) -> bool:
    return any(module == owner or module.startswith(f"{owner}.") for owner in owners)


def modules() -> dict[str, Path]:
    found = {".".join(p.relative_to(ROOT / "repsim").with_suffix("").parts): p for p in (ROOT / "repsim").rglob("*.py")}
    return {name: path for name, path in found.items() if name.split(".")[-1] != "__init__"}


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """Every module that a file imports anywhere in it; names of `repsim` itself without that prefix."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name.removeprefix("repsim."), node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            whole = [f"{node.module}.{alias.name}".removeprefix("repsim.") for alias in node.names]
            yield from ((name if name in KNOWN else str(node.module).removeprefix("repsim."), node.lineno) for name in whole)


KNOWN = modules()
IMPORTS: list[Import] = [(name, other, line) for name, path in KNOWN.items() for other, line in imported(path)]
OURS = [(one, other, line) for one, other, line in IMPORTS if other in KNOWN]
ROW = {module: index for index, row in enumerate(ORCHESTRATION) for module in row.split()}


def show(broken: list[Import]) -> str:
    return "\n".join(f"repsim/{one.replace('.', '/')}.py:{line} imports {other}" for one, other, line in broken)


def test_every_module_has_its_place():
    orchestration = {name for name in KNOWN if not within(name, SCIENCE)}
    assert orchestration == ROW.keys()


def test_a_module_imports_only_from_rows_below_its_own():
    broken = [i for i in OURS if i[0] in ROW and i[1] in ROW and ROW[i[1]] <= ROW[i[0]]]
    assert not broken, show(broken)


def test_the_two_halves_never_import_each_other():
    broken = [i for i in OURS if within(i[0], SCIENCE) != within(i[1], SCIENCE) and i[1] != "errors"]
    assert not broken, show(broken)


def test_the_packages_of_science_import_only_what_they_stand_on():
    packages = [(i, i[0].split(".")[0], i[1].split(".")[0]) for i in OURS if within(i[0], SCIENCE) and within(i[1], SCIENCE)]
    broken = [i for i, one, other in packages if one != other and other not in SCIENCE[one]]
    assert not broken, show(broken)


def test_no_two_modules_need_each_other():
    order = TopologicalSorter({name: {other for one, other, _ in OURS if one == name} for name in KNOWN})
    assert len(list(order.static_order())) == len(KNOWN)


@pytest.mark.parametrize("library", OWNERS)
def test_a_library_has_one_owner(library):
    users = [i for i in IMPORTS if i[1].split(".")[0] == library and i[1] not in KNOWN]
    broken = [i for i in users if not within(i[0], OWNERS[library])]
    assert users
    assert not broken, show(broken)


def test_packages_import_nothing_when_they_are_imported():
    for path in (ROOT / "repsim").rglob("__init__.py"):
        assert not list(imported(path)), path


def test_jobs_know_of_orchestration_only_their_contract_and_errors():
    for path in (ROOT / "jobs").glob("*.py"):
        ours = {name for name, _ in imported(path) if name in KNOWN and not within(name, SCIENCE)}
        assert ours <= {"job", "errors"}, path


COMMANDS = """
import json, sys
import toy, repsim.catalog
from typer.testing import CliRunner
from repsim.cli.main import app

repsim.catalog._ask = toy.sheet
found = {}
for words in (["--help"], ["stitch", "--help"], ["sweep", "plan", "toy"], ["sweep", "status", "toy"], ["sweep", "status"]):
    result = CliRunner().invoke(app, ["--project", sys.argv[1], *words])
    assert result.exit_code == 0, (words, result.output, result.exception)
    found[" ".join(words)] = [name for name in ("torch", "pandas", "submitit", "matplotlib", "scipy") if name in sys.modules]
print(json.dumps(found))
"""


def test_what_people_ask_often_imports_nothing_heavy(project):
    sweep = toy.sweep(project, "profile: local\nzoo: {arch: net, dataset: d, seeds: 0..2}\nlayers: relu\ngrid: {seed: [0, 1]}")
    toy.run(project, sweep)
    (project.sweeps / "toy.yaml").write_text((project.sweeps / "toy.yaml").read_text().replace("[0, 1]", "[0, 1, 2]"))
    path = f"{Path(toy.__file__).parent}:{ROOT}"
    command = [sys.executable, "-c", COMMANDS, str(project.root)]
    answer = subprocess.run(command, capture_output=True, text=True, env={"PATH": "/nowhere", "PYTHONPATH": path}, check=False)
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    assert len(found) == 5
    assert not any(found.values()), found


LOADING = """
import sys
from pathlib import Path
from repsim import job

for path in Path("jobs").glob("*.py"):
    job.load(path.parent, path.stem)
assert not {"torch", "pandas", "numpy"} & sys.modules.keys()
"""


def test_loading_the_jobs_imports_no_torch():
    answer = subprocess.run([sys.executable, "-c", LOADING], capture_output=True, text=True, cwd=ROOT, check=False)
    assert answer.returncode == 0, answer.stderr


def test_help_of_sweeps_and_results_is_given_before_anything_that_reads_one_is_imported():
    asking = """
import sys
from typer.testing import CliRunner
from repsim.cli.main import app
for words in (["sweep", "--help"], ["sweep", "status", "--help"]):
    assert CliRunner().invoke(app, words).exit_code == 0
print([name for name in ("numpy", "yaml", "pyarrow", "repsim.reconcile") if name in sys.modules])
for words in (["results", "--help"], *(["results", name, "--help"] for name in ("table", "report", "plot", "diff"))):
    assert CliRunner().invoke(app, words).exit_code == 0
assert not {"numpy", "pandas", "pyarrow", "matplotlib", "scipy", "torch"} & sys.modules.keys(), "of results"
"""
    assert subprocess.run([sys.executable, "-c", asking], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_list_of_commands_says_of_each_what_its_own_help_says_first():
    from typer.main import get_command

    from repsim.cli.sweep import COMMANDS, app

    commands = get_command(app).commands
    assert list(commands) == list(COMMANDS)
    assert {name: commands[name].get_short_help_str(limit=1000) for name in commands} == {
        name: place.help for name, place in COMMANDS.items()
    }
