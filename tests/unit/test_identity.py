"""A run's id depends on what decides its result, and on nothing else."""

from pathlib import Path
from typing import Annotated, ClassVar

import pytest
from pydantic import BeforeValidator, PlainSerializer, create_model

from repsim import identity, job
from repsim.identity import canonical, group_id, id_of, run_id
from repsim.job import JobConfig

JOBS = Path(__file__).parents[2] / "jobs"

GOLDEN = [
    ("train", 1, {"arch": "mcnn", "dataset": "cifar10", "seed": 3}, "7d16822a4673"),
    (
        "train",
        1,
        {"arch": "resnet20", "width": 2, "dataset": "digits", "recipe": "quick", "seed": 0, "lr": 0.1, "epochs": 5},
        "9e70bd035036",
    ),
    (
        "import_network",
        1,
        {"arch": "tiny10", "dataset": "cifar10", "name": "frankenstein", "seed": 4, "data_seed": 2, "digest": "0" * 64},
        "d08e308113d0",
    ),
    (
        "stitch",
        2,
        {
            "front_network": "a" * 12,
            "end_network": "b" * 12,
            "front_arch": "mcnn",
            "dataset": "cifar10",
            "front_layer": "relu1",
            "end_layer": "relu2",
            "stitcher": "birkhoff",
            "alpha": 0.2,
            "epochs": 20,
            "optimizer": "sgd",
            "lr": 0.01,
        },
        "ff040e8c87a1",
    ),
    (
        "compare",
        2,
        {
            "front_network": "a" * 12,
            "end_network": "b" * 12,
            "dataset": "cifar10",
            "front_layer": "bn1",
            "end_layer": "bn2",
            "measure": "svcca",
            "align": "pool",
            "images": 2000,
        },
        "514b36885ca4",
    ),
    (
        "ood",
        1,
        {
            "front_network": "a" * 12,
            "end_network": "b" * 12,
            "dataset": "cifar10",
            "front_layer": "layer1.0",
            "end_layer": "layer2.0",
            "resize": "bilinear",
            "stitcher": "linear",
            "init": "matched",
            "detector": "energy",
            "outliers": "svhn mixed",
        },
        "62029a0c4491",
    ),
    ("evaluate", 1, {"network": "c" * 12, "dataset": "digits"}, "afd8d4af0f57"),
    (
        "evaluate",
        1,
        {"network": "c" * 12, "dataset": "cifar10", "attack": "pgd", "epsilon": "8/255", "attack_steps": 50, "restarts": 2},
        "436a05acb5fb",
    ),
    ("probe", 1, {"network": "c" * 12, "dataset": "digits", "layer": "relu2"}, "8cdc84fd3fee"),
    (
        "probe",
        1,
        {"network": "c" * 12, "dataset": "cifar10", "layer": "bn4", "rank": 8, "fit": "sgd", "lr": 0.01, "view": "flatten"},
        "3e33d112a6c0",
    ),
    (
        "low_rank",
        1,
        {
            **{"front_network": "a" * 12, "end_network": "b" * 12, "dataset": "cifar10", "front_layer": "bn1", "end_layer": "bn1"},
            **{"measure": "task", "rank": 4, "init": "ps_inv", "epochs": 2},
        },
        "be3995fba4d8",
    ),
    (
        "rotate",
        1,
        {"network": "c" * 12, "dataset": "cifar10", "layer": "conv2", "matrix": "orthogonal", "matrix_seed": 3},
        "88fd87d4993b",
    ),
    (
        "rotate",
        1,
        {
            "network": "c" * 12,
            "dataset": "digits",
            "layer": "relu1",
            "matrix": "g_relu",
            "sigma": 0.5,
            "start": "fresh",
            "select": "last",
            "epochs": 3,
        },
        "9011f390c266",
    ),
]


class Config(JobConfig):
    labels: ClassVar[frozenset[str]] = frozenset({"nick"})

    rate: float
    count: int = 3
    flag: bool = False
    nick: str | None = None


@pytest.mark.parametrize(("name", "version", "fields", "golden"), GOLDEN)
def test_ids_of_stored_runs_never_change(name, version, fields, golden):
    """If this fails, results in every store lose their runs: raise VERSION of the job on purpose, then pin again."""
    loaded = job.load(JOBS, name)
    assert loaded.version == version
    assert id_of(loaded, loaded.config.model_validate(fields)) == golden


def test_every_job_has_a_golden_id():
    assert {name for name, *_ in GOLDEN} == {path.stem for path in JOBS.glob("*.py")}


@pytest.mark.parametrize(("name", "version", "fields", "golden"), GOLDEN)
def test_a_new_field_with_a_default_leaves_the_ids_of_every_job_alone(name, version, fields, golden):
    later = create_model("Later", __base__=job.load(JOBS, name).config, fresh=(float, 0.5))
    assert run_id(name, version, later.model_validate(fields)) == golden
    assert run_id(name, version, later.model_validate({**fields, "fresh": 1.5})) != golden


def test_the_form_is_sorted_compact_json_without_defaults_and_labels():
    assert canonical(Config(rate=0.5, count=3, nick="n")) == {"rate": 0.5}
    assert run_id("j", 1, Config(rate=0.5)) == identity.digest({"version": 1, "job": "j", "config": {"rate": 0.5}})
    assert identity.digest({"b": 1, "a": "ü"}) == identity.digest({"a": "ü", "b": 1})


def test_a_new_field_with_a_default_leaves_ids_alone():
    class Later(Config):
        fresh: str = "as before"

    assert run_id("j", 1, Later(rate=0.1)) == run_id("j", 1, Config(rate=0.1))
    assert run_id("j", 1, Later(rate=0.1, fresh="other")) != run_id("j", 1, Config(rate=0.1))


def test_equal_numbers_have_equal_ids_however_they_are_written():
    assert run_id("j", 1, Config(rate=1e-3)) == run_id("j", 1, Config(rate=0.001))
    assert run_id("j", 1, Config(rate=1)) == run_id("j", 1, Config(rate=1.0))
    assert run_id("j", 1, Config(rate=-0.0)) == run_id("j", 1, Config(rate=0.0)) == "9194265d7bc1"


def test_a_label_is_no_part_of_the_id():
    assert run_id("j", 1, Config(rate=1.0, nick="a")) == run_id("j", 1, Config(rate=1.0, nick="b"))


def test_job_version_and_every_field_are_part_of_the_id():
    ids = [
        run_id("j", 1, Config(rate=1.0)),
        run_id("k", 1, Config(rate=1.0)),
        run_id("j", 2, Config(rate=1.0)),
        run_id("j", 1, Config(rate=2.0)),
        run_id("j", 1, Config(rate=1.0, count=4)),
        run_id("j", 1, Config(rate=1.0, flag=True)),
    ]
    assert len(set(ids)) == len(ids)
    assert all(len(one) == 12 and int(one, 16) >= 0 for one in ids)


def test_a_group_is_named_by_its_runs_in_any_order():
    assert group_id("j", ["a", "b"]) == group_id("j", ["b", "a"])
    assert group_id("j", ["a", "b"]) != group_id("j", ["a"]) != group_id("k", ["a"])


def test_a_config_is_strict_and_frozen():
    for bad in (
        {"rate": "1"},
        {"rate": 1.0, "count": 1.0},
        {"rate": 1.0, "flag": 1},
        {"rate": float("nan")},
        {"rate": 1.0, "x": 1},
    ):
        with pytest.raises(ValueError):
            Config.model_validate(bad)
    with pytest.raises(ValueError):
        Config(rate=1.0).rate = 2.0  # type: ignore[misc]


ODD = {"a.b": 1e-07, "ü": "x", "n": 10**15, "m": -0.0, "e": 1e22, "t": True, "l": 'a"b\\c\n', "s": "😀"}


@pytest.mark.parametrize("value", [*ODD.values(), 0, 1, 1.0, False, None, "None"])
def test_the_form_written_piece_by_piece_is_the_canonical_one(value):
    """Equal values of other types, and texts that JSON must escape, are told apart as they always were."""

    class Plain(JobConfig):
        labels: ClassVar[frozenset[str]] = frozenset({"nick"})
        any: bool | int | float | str | None = "default"
        b: int = 3
        nick: str | None = None
        B_: float = 0.5

    assert identity.is_plain(Plain)
    for config in (Plain(any=value), Plain(any=value, b=3, nick="n", B_=1.5)):
        assert identity._form(config) == identity._json(canonical(config))
        assert run_id("j", 1, config) == identity.digest({"job": "j", "version": 1, "config": canonical(config)})


def test_a_config_with_lists_keeps_its_form():
    class Listed(JobConfig):
        widths: list[int] = []

    assert not identity.is_plain(Listed)
    assert run_id("j", 1, Listed(widths=[2, 1])) == identity.digest({"job": "j", "version": 1, "config": {"widths": [2, 1]}})


@pytest.mark.parametrize(("name", "version", "fields", "golden"), GOLDEN)
def test_every_job_is_named_by_the_canonical_form_of_its_configs(name, version, fields, golden):
    config = job.load(JOBS, name).config.model_validate(fields)
    assert identity._form(config) == identity._json(canonical(config))


def test_a_validator_of_a_single_value_leaves_a_job_plain_and_a_serializer_does_not():
    class Checked(JobConfig):
        step: Annotated[float, BeforeValidator(float)] | None = None

    class Rewritten(JobConfig):
        step: Annotated[float, PlainSerializer(str)] | None = None

    assert identity.is_plain(Checked) and not identity.is_plain(Rewritten)


@pytest.mark.parametrize("name", sorted(path.stem for path in JOBS.glob("*.py")))
def test_the_runs_of_every_job_can_be_kept_once_they_were_formed(name):
    assert identity.is_plain(job.load(JOBS, name).config)
