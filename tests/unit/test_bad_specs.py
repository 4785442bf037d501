"""A sweep file with something wrong in it gives a sweep that holds or one error for people; nothing else, and no file.

A few hundred files by default. Ten thousand of another seed:  BAD_SPECS=10000 BAD_SPECS_SEED=7 pytest tests/unit/test_bad_specs.py
"""

import json
import os
import re
import shutil
from dataclasses import asdict
from functools import cache
from itertools import islice
from pathlib import Path

import mangled
import pytest
import toy

from repsim import catalog, job, reconcile, yamlfile
from repsim.data import sources
from repsim.errors import UserError
from repsim.job import NAME, NetworkFacts
from repsim.models.layers import describe
from repsim.models.network import Facts
from repsim.project import Project
from repsim.report import plans
from repsim.state import Standing, State
from repsim.sweep import networks, refusals
from repsim.sweep.expand import IMPORT, Sweep, open_sweep
from repsim.sweep.shown import table_of
from repsim.table import TableDefinition

ROOT = Path(__file__).parents[2]
COUNT, SEED = int(os.environ.get("BAD_SPECS", "400")), int(os.environ.get("BAD_SPECS_SEED", "1"))
LONGEST = 3000  # characters of an error


@cache
def _layers(facts: NetworkFacts) -> list[dict] | UserError:
    try:
        return json.loads(json.dumps([asdict(layer) for layer in describe(Facts.of(facts))]))
    except UserError as error:
        return error


def sheet(facts: NetworkFacts) -> list[dict]:
    """What the child process would answer."""
    found = _layers(facts)
    if isinstance(found, UserError):
        raise found
    return found


@pytest.fixture
def project(tmp_path, monkeypatch):
    """This project, with every data set there, every published network imported, and room for few runs."""
    root = tmp_path / "project"
    (root / "sweeps").mkdir(parents=True)
    shutil.copytree(ROOT / "jobs", root / "jobs", ignore=shutil.ignore_patterns("__pycache__"))
    importer, real = job.load(root / "jobs", IMPORT), networks.networks
    monkeypatch.setattr(catalog, "_ask", sheet)
    monkeypatch.setattr(refusals, "MAX_RUNS", 1000)
    monkeypatch.setattr(refusals, "MAX_NETWORKS", 100)
    monkeypatch.setattr(sources, "find", lambda name, folders: sources.get(name))
    monkeypatch.setattr(networks, "networks", lambda spec, train, _, __, where: real(spec, train, importer, imports, where))

    def imports() -> list[dict]:
        none = dict.fromkeys(importer.config.model_fields)
        said = {"arch": "tiny10", "dataset": "cifar10", "name": "frankenstein"}
        return [none | said | {"run_id": f"{seed:012}", "seed": seed, "digest": f"{seed:064x}"} for seed in range(10)]

    return Project(root)


def tree(folder: Path) -> list[tuple[str, int]]:
    """Every file and folder with its time; caches aside."""
    return sorted((str(path), path.lstat().st_mtime_ns) for path in folder.rglob("*") if "cache" not in str(path))


def holds(project: Project, sweep: Sweep) -> None:
    """What whoever packs, sends and stores the runs of a sweep relies on."""
    assert 0 < len(sweep.runs) <= refusals.MAX_RUNS
    for run in sweep.all_runs:
        assert re.fullmatch("[0-9a-f]{12}|[0-9]{12}", run.id) and re.fullmatch("[0-9a-f]{12}", run.group)
        assert re.fullmatch(NAME, run.dataset)
        assert "\n" not in run.slug
        values = run.config.model_dump(mode="json")
        json.dumps(values, allow_nan=False).encode()
        assert all(abs(value) < 2**63 for value in values.values() if isinstance(value, int)), values
        json.dumps(run.labels, ensure_ascii=False).encode()
    yamlfile.validate(TableDefinition, {"job": sweep.spec.job, **table_of(sweep), **sweep.spec.table}, str(sweep.path), "table")
    states = {run.id: Standing(State.NEW) for run in sweep.all_runs}
    plan = reconcile.make_plan(project, sweep, states, toy.LOCAL, "cpu")
    json.dumps(plans.plan_json(plan, sweep, "local", states), allow_nan=False)
    assert plans.plan_text(plan, sweep, "local", states)


def judge(project: Project, text: bytes) -> bool:
    """Whether `text` is a sweep; AssertionError, or whatever else comes, where it is neither that nor a decent error."""
    path = project.sweeps / "s.yaml"
    path.write_bytes(text)
    try:
        holds(project, open_sweep(path, project))
    except UserError as error:
        message = str(error)
        assert message.startswith(str(path)), message[:LONGEST]
        assert len(message) - len(str(path)) < LONGEST, message[:LONGEST]
        assert all(one.isprintable() or one == "\n" for one in message), ascii(message[:LONGEST])
        assert not toy.PYDANTIC.search(message.replace(str(path), "")) or "None" in message, message
        return False
    return True


def test_a_file_with_something_wrong_gives_a_sweep_or_one_error_and_writes_nothing(project):
    short = [mangled.short(path) for path in sorted((ROOT / "sweeps").glob("*.yaml"))]
    goods = [tree for tree in short if judge(project, mangled.dumped(tree))]  # cut short, a rule may have nothing left to do
    assert len(goods) > len(short) / 2
    before, fine, escaped = tree(project.root), 0, {}
    for index, text in enumerate(islice(mangled.specs(SEED, goods), COUNT)):
        try:
            fine += judge(project, text)
        except Exception as error:
            escaped.setdefault(f"{type(error).__name__}: {error}"[:300], (index, text[:1500]))
    assert [one[0] for one in before] == [one[0] for one in tree(project.root)]
    assert not escaped, f"seed {SEED}: {len(escaped)} kinds\n" + "\n\n".join(f"{e}\n{i}: {t}" for e, (i, t) in escaped.items())
    assert 0.1 * COUNT < fine < 0.6 * COUNT, fine  # what is all refused at the door tests no room behind it


def test_a_huge_file_is_refused_unread(project):
    for text in mangled.huge():
        assert not judge(project, text)
