"""Configurations formed together are those that are formed alone, whatever points before them had in common with them."""

import json
from itertools import product
from typing import ClassVar, Literal

import pytest
from pydantic import Field, ValidationError, field_validator

from repsim import identity
from repsim.job import JobConfig
from repsim.sweep.forming import Former


class Config(JobConfig):
    labels: ClassVar[frozenset[str]] = frozenset({"nick"})
    apart: ClassVar[frozenset[str]] = frozenset({"network", "seed"})

    network: str = Field(pattern="^[a-z]+$")
    seed: int = Field(0, ge=0)
    nick: str | None = None
    rate: float = Field(0.5, le=1.0)
    either: int | float | bool = 0
    count: int = Field(3, ge=1)
    how: Literal["a", "b"] = "a"

    def refusals(self):
        yield self.how == "b" and self.count > 3, "b counts to 3"


POINTS = [
    {"network": network, "nick": nick, "seed": seed, **more}
    for network, (nick, seed), more in product(
        ("a", "b"),
        ((None, 0), ("x", 0), ("x", 1)),
        ({}, {"rate": 0.5}, {"rate": 1}, {"either": 1}, {"either": 1.0}, {"either": True}, {"how": "b", "count": 2}),
    )
]
BAD = [{"seed": -1}, {"seed": "1"}, {"seed": True}, {"network": "A"}, {"rate": 2.0}, {"count": 4, "how": "b"}, {"nick": 1}]
BAD += [{"seed": [1]}, {"either": {}}, {"no_such": 1}, {"rate": "0.5"}, {"seed": 1.5}]


def test_what_is_formed_after_others_is_what_is_formed_alone():
    former = Former(Config)
    for point in [*POINTS, *POINTS]:
        formed, alone = former.form(point).config, Config.model_validate(point)
        assert repr(formed) == repr(alone)
        assert formed == alone
        assert formed.model_fields_set == alone.model_fields_set


def test_a_field_whose_validator_looks_at_others_is_judged_with_them():
    class Seeded(JobConfig):
        apart: ClassVar[frozenset[str]] = frozenset({"seed"})

        how: Literal["none", "some"] = "none"
        seed: int = 0

        @field_validator("seed")
        @classmethod
        def _none_has_no_seed(cls, seed, info):
            return 0 if info.data["how"] == "none" else seed

    former = Former(Seeded)
    points = [{"how": how, "seed": seed} for how, seed in product(("none", "some"), range(3))]
    assert [former.form(point).config.seed for point in points] == [0, 0, 0, 0, 1, 2]


def test_the_pieces_of_a_form_are_those_of_its_id():
    former = Former(Config)
    for point in [*POINTS, *POINTS]:
        formed = former.form(point)
        assert formed.pieces is not None
        said = "{" + ",".join(sorted(formed.pieces)) + "}"
        assert json.loads(said) == identity.canonical(formed.config)
        assert said == json.dumps(json.loads(said), sort_keys=True, separators=(",", ":"))


@pytest.mark.parametrize("bad", BAD)
def test_what_cannot_be_meant_is_refused_though_like_it_was_formed_before(bad):
    former, good = Former(Config), POINTS[0]
    for _ in range(2):
        former.form(good)
        former.form({**good, "how": "b", "count": 3})
        former.form({**good, "how": "a", "count": 4})
        with pytest.raises(ValidationError) as refused:
            former.form({**good, **bad})
        with pytest.raises(ValidationError) as alone:
            Config.model_validate({**good, **bad})
        assert refused.value.errors(include_url=False, include_context=False) == alone.value.errors(
            include_url=False, include_context=False
        )


def test_thousands_of_points_that_differ_in_seeds_alone_are_one_kind():
    former = Former(Config)
    assert len({id(former.form({"network": "a", "seed": seed, "how": "b"}).kind) for seed in range(2000)}) == 1
    assert former.form({"network": "a", "how": "a"}).kind is not former.form({"network": "a", "how": "b"}).kind


def test_fields_that_are_no_single_values_are_formed_one_by_one():
    class Listed(JobConfig):
        many: list[int] = []

    formed = Former(Listed).form({"many": [1]})
    assert (formed.config, formed.kind, formed.pieces) == (Listed(many=[1]), None, None)
