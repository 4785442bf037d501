"""What is said of many configs is judged once, and only where it must be the same for all of them."""

from pathlib import Path
from typing import Any, ClassVar

import pytest
import toy
from pydantic import ValidationError

from repsim import job
from repsim.errors import SpecError
from repsim.job import JobConfig

JOBS = Path(__file__).parents[2] / "jobs"
PLACE = {"front_network": "a" * 12, "end_network": "b" * 12, "dataset": "cifar10", "front_layer": "bn1", "end_layer": "bn2"}
GOOD = [
    ("stitch", PLACE | {"stitcher": "linear", "init": "matched"}),
    ("stitch", PLACE | {"stitcher": "birkhoff", "epochs": 2, "crossval": "0.1 1", "seed": 3}),
    ("stitch", PLACE | {"stitcher": "lowrank", "rank": 2, "epochs": 1, "target": "latents", "latents": "cut 1"}),
    ("compare", PLACE | {"measure": "cka"}),
    ("compare", PLACE | {"measure": "svcca", "align": "pool", "images": 2000}),
    ("evaluate", {"network": "c" * 12, "dataset": "cifar10", "attack": "pgd", "seed": 3}),
    ("rotate", {"network": "c" * 12, "dataset": "cifar10", "layer": "relu1", "matrix": "g_relu", "matrix_seed": 3}),
]


class Reading:
    """A config that remembers what was read of it."""

    def __init__(self, config: JobConfig):
        self._config, self.read = config, set()
        self.__class__ = type("Reading", (Reading,), {"model_fields": type(config).model_fields})

    def __getattr__(self, name: str) -> Any:
        self.read.add(name)
        return getattr(self._config, name)


@pytest.mark.parametrize(("name", "fields"), GOOD)
def test_no_rule_reads_what_the_job_says_stands_apart(name, fields):
    config = job.load(JOBS, name).config.model_validate(fields)
    reading = Reading(config)
    assert not any(refused for refused, _ in type(config).refusals(reading))  # type: ignore[arg-type]
    assert len(reading.read) > 3
    assert not reading.read & (config.labels | config.apart)


class Config(JobConfig):
    labels: ClassVar[frozenset[str]] = frozenset({"nick"})
    apart: ClassVar[frozenset[str]] = frozenset({"seed"})
    asked: ClassVar[list[int]] = []
    rate: float
    seed: int = 0
    nick: str | None = None

    def refusals(self):
        self.asked.append(self.seed)
        yield self.rate > 1, f"rate: {self.rate} is too much"


def test_configs_that_differ_only_in_what_stands_apart_are_judged_once():
    made = [Config(rate=0.25, seed=seed, nick=str(seed)) for seed in range(5)]
    assert [config.seed for config in made] == [0, 1, 2, 3, 4]
    assert Config.asked == [0]
    Config(rate=0.75)
    assert Config.asked == [0, 0]


def test_what_was_refused_once_is_refused_again():
    for seed in range(3):
        with pytest.raises(ValidationError, match=r"rate: 1.5 is too much"):
            Config(rate=1.5, seed=seed)


def test_a_check_is_asked_once_for_networks_that_are_alike_and_again_for_others(project, monkeypatch):
    """Of two architectures each pair of layers is looked at; a network of another width is another matter."""
    text = "zoo: {arch: [net, other], dataset: d, seeds: 0..3}\nlayers: relu1\ngrid: {seed: 0..4}\n"
    text += "cases: {a: {}, b: {stitcher: permutation}}"
    sweep = toy.sweep(project, text)
    module, asked = sweep.jobs["stitch"].module, []
    real = module.check
    monkeypatch.setattr(module, "check", lambda config, catalog: (asked.append(config), real(config, catalog)))
    assert len(toy.sweep(project, text).runs) == 2 * 12 * 5 * 2
    assert len(asked) == 2 * 2
    wide = "zoo: [{arch: net, dataset: d, seeds: 0..1}, {arch: net, width: 8, dataset: d, seeds: 0..1}]\nlayers: relu1\n"
    with pytest.raises(SpecError, match="a permutation needs equal widths"):
        toy.sweep(project, wide + "cross: true\ncases: {b: {stitcher: permutation}}")
