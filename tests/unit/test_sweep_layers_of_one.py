"""Sweeps of jobs that look at one layer of one network: one run per network and layer, seeds first, words checked as elsewhere."""

import pytest
import toy

from repsim.errors import SpecError
from repsim.report import grid
from repsim.state import Standing, State
from repsim.sweep import explain, shown

LOOK = '''
"""Looks at one layer."""
from typing import ClassVar
from pydantic import Field
from repsim.job import NAME, JobConfig, JobRow

VERSION = 1
ALSO_LAYERS = ("logits",)

class Config(JobConfig):
    labels: ClassVar[frozenset[str]] = frozenset({"arch", "seed"})
    network: str = Field(pattern=NAME)
    arch: str | None = None
    seed: int | None = None
    dataset: str = Field(pattern=NAME)
    layer: str
    rank: int | None = None

class Row(JobRow):
    accuracy: float

def inputs(config): return [config.network]
def group_key(config): return config.network
def run(configs, context): return iter(())
'''
ZOO = "job: look\nzoo: {arch: net, dataset: d, seeds: 0..1}\n"


@pytest.fixture
def look(project):
    (project.jobs / "look.py").write_text(LOOK)
    return project


def test_every_network_is_looked_at_in_every_layer_that_is_meant(look):
    found = toy.sweep(look, ZOO + "layers: [relu, logits]\ngrid: {rank: [1, null]}")
    assert [(r.config.seed, r.config.layer, r.config.rank) for r in found.runs] == [
        (seed, layer, rank) for seed in (0, 1) for layer in ("relu1", "relu2", "logits") for rank in (1, None)
    ]
    assert len({run.group for run in found.runs}) == 2 and len(found.networks) == 2


def test_its_table_stands_by_layer_and_its_status_too(look):
    found = toy.sweep(look, ZOO + "layers: bn\ngrid: {rank: [1, 2]}")
    assert shown.table_of(found) == {"rows": ["layer"], "cols": ["rank"], "value": "accuracy"}
    said = grid.grid_json(found, {run.id: Standing(State.NEW) for run in found.runs}, None, None)
    assert said["grid_axes"] == {"rows": "case", "cols": "layer"} and {cell["col"] for cell in said["grid"]} == {"bn1", "bn2"}


def test_conditions_and_explanations_know_the_layer_by_its_name(look):
    found = toy.sweep(look, ZOO + "layers: [bn, fc]\ngrid: {rank: [1, 2]}\nexclude: [{layer: bn*, rank: 2}]")
    assert {(run.config.layer, run.config.rank) for run in found.runs} == {("bn1", 1), ("bn2", 1), ("fc", 1), ("fc", 2)}
    said = explain.why(look.sweeps / "toy.yaml", look, [found.runs[0].id])
    assert said.point and said.point["fields"]["layer"] == {"value": "bn1", "block": "layers"}


@pytest.mark.parametrize(
    "more, message",
    [
        ("", "say which layers are meant"),
        ("layers: relu3", "did you mean 'relu' or 'relu2'"),
        ("layers: {front: relu, end: relu}", "front and end are of pairs of networks"),
        ("layers: relu\npairs: self", "joins no two networks, so 'pairs' says nothing"),
        ("layers: relu\nfixed: {layer: bn1}", "'layer' is set by the zoo"),
    ],
)
def test_what_says_nothing_to_such_a_job_is_refused(look, more, message):
    with pytest.raises(SpecError, match=message):
        toy.sweep(look, ZOO + more)
