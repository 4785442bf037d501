"""Owns the shape of a sweep file: which blocks there are, and what each may hold."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, PrivateAttr, field_validator

from repsim import yamlfile
from repsim.errors import SpecError, nearest
from repsim.job import NAME
from repsim.published import Blocks
from repsim.yamlfile import Strict

Scalar = bool | int | float | str | None
RANGE = re.compile(r"^(\d+)\.\.(\d+)$")
MAX_AXIS, MAX_RULES, MAX_BLOCKS = 100_000, 100, 1000
MAX_VALUES = 1_000_000
"""Of all ranges of a file together: a few thousand lines of ranges would unfold into more than a machine holds."""
LIKE = "like"
"""Key of a case that names the case it inherits from."""
CASE_NAME = r"[^\W_][\w.-]{0,99}"
"""A case names no file, so its letters may be of any script."""
Judged = Literal["label", "shortcut", "augmentation", "outputs", "layers", "ranks"]
MAX_LINE = 20  # cases from one to the first that it inherits from


def as_values(value: Any) -> Any:
    """`0..31` → [0, …, 31]; a single value → [value]; a list as it is, never empty."""
    if isinstance(value, str) and (match := RANGE.fullmatch(value)):
        first, last = int(match[1]), int(match[2])
        if last < first or last - first >= MAX_AXIS:
            raise ValueError(f"the range {value} is empty or too long")
        return list(range(first, last + 1))
    values = value if isinstance(value, list) else [value]
    if not values:
        raise ValueError("the axis is empty: give at least one value")
    return values


def as_axis(value: Any) -> Any:
    """The same, with no value twice."""
    values, seen = as_values(value), set()
    for one in values:
        key = (isinstance(one, bool), one if isinstance(one, Scalar) else repr(one))  # 1 == True in Python, not here
        if key in seen:
            raise ValueError(f"the axis holds {one!r} twice")
        seen.add(key)
    return values


def as_names(value: Any) -> Any:
    """The same of names, of which `0..31` is one: no range of numbers is meant."""
    return [value] if isinstance(value, str) else as_axis(value)


def as_blocks(value: Any) -> Any:
    """One block of networks stands for a list of one."""
    blocks = value if isinstance(value, list) else [value]
    if not blocks:
        raise ValueError("the zoo is empty: name at least one block of networks")
    if len(blocks) > MAX_BLOCKS:
        raise ValueError(
            f"the zoo has {len(blocks):,} blocks, more than {MAX_BLOCKS:,}: name several architectures or seeds in one"
        )
    return blocks


Axis = Annotated[list[Scalar], BeforeValidator(as_axis)]
Column = Annotated[list[Scalar], BeforeValidator(as_values)]
"""One of several zipped axes: its values may repeat."""
Names = Annotated[list[str], BeforeValidator(as_names)]
Seeds = Annotated[list[Annotated[int, Field(ge=0)]], BeforeValidator(as_axis)]


class Zoo(Strict):
    """Networks of some architectures, one per seed; further keys are fields of jobs/train.py."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)
    arch: Names
    dataset: str
    seeds: Seeds
    imported: str | None = None
    """Name that the networks were imported under; without it they are trained."""

    @property
    def training(self) -> dict[str, Any]:
        """What the block says to jobs/train.py beside architecture, data set and seed."""
        return dict(self.__pydantic_extra__ or {})


class LayerGrid(Strict):
    """Front and end layers by name, glob or kind, and how they combine."""

    front: Names
    end: Names
    combine: Literal["all", "same"] = "all"


class When(Strict):
    """Values for the points that meet a condition; lists make several points of each."""

    met: dict[str, Axis] = Field(alias="if", min_length=1)
    then: dict[str, Axis] = Field(min_length=1)


class Shuffle(Strict):
    """Runs in an order drawn by a seed."""

    shuffle: int = Field(ge=0)


class Spec(Strict):
    """A sweep file."""

    job: str = Field("stitch", pattern=NAME)
    profile: str | None = Field(default=None, pattern=NAME)
    budget: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Hours that it may cost in all, of GPUs where tasks hold some; `submit` refuses more. No part of any run."""
    zoo: Annotated[list[Zoo], BeforeValidator(as_blocks)] = []
    pairs: Literal["ordered", "unordered", "disjoint", "self"] | list[list[int]] = "ordered"
    cross: bool = False
    layers: LayerGrid | Names | None = None
    cases: dict[str, dict[str, Axis]] = {}
    grid: dict[str, Axis] = {}
    zip: dict[str, Column] = {}
    fixed: dict[str, Scalar] = {}
    when: list[When] = Field(default=[], max_length=MAX_RULES)
    include: list[dict[str, Axis]] = []
    exclude: list[dict[str, Axis]] = []
    order: Literal["seeds", "shuffle"] | Shuffle = "seeds"
    """In what order runs are packed and sent. seeds: every cell has one seed, or pair, before any has two."""
    judge: Annotated[list[Judged], BeforeValidator(as_axis)] = []
    """Tests of measures and stitchers that `repsim judge` reads this sweep for."""
    table: dict[str, Any] = {}
    """How `results table` shows this sweep when nothing else is said (rows, cols, value)."""
    plot: dict[str, Any] = {}
    """The same of a picture against a number: see `repsim.report.against`."""
    published: Blocks = []
    """The figures and tables of papers that this sweep repeats: see `repsim.published`. No part of any run."""
    _origins: dict[str, dict[str, str]] = PrivateAttr(default_factory=dict)
    """By case and key: key path of what says it, where that is the case of another."""

    def inherited(self, block: str, key: str | None = None) -> list[str]:
        """Key paths of what a block has, in `key` or at all, from cases that it is `like`."""
        found = self._origins.get(block.removeprefix("cases."), {}) if block.startswith("cases.") else {}
        return [path for name, path in found.items() if key in (None, name)]

    @field_validator("cases")
    @classmethod
    def _case_names(cls, cases: dict[str, Any]) -> dict[str, Any]:
        for name in cases:
            if not re.fullmatch(CASE_NAME, name):
                raise ValueError(f"the case name {name!r} may hold only letters, digits and . _ -")
        return cases

    @field_validator("zip")
    @classmethod
    def _same_length(cls, block: dict[str, list[Any]]) -> dict[str, list[Any]]:
        lengths = {key: len(values) for key, values in block.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError("zipped axes must be equally long: " + ", ".join(f"{k} has {n}" for k, n in lengths.items()))
        return block


def load(path: Path) -> Spec:
    """The sweep file at `path`, checked for its shape; SpecError with file and key path."""
    if not re.fullmatch(NAME, path.stem):
        raise SpecError("a sweep's name may hold only letters, digits and . _ -", where=str(path), do="rename the file")
    data = yamlfile.read(path)
    if (values := _unfolded(data)) > MAX_VALUES:
        raise SpecError(
            f"its ranges hold {values:,} values, more than {MAX_VALUES:,}", where=str(path), do="shorten them, or split the sweep"
        )
    spec = yamlfile.validate(Spec, data, str(path))
    cases = spec.cases
    lines = {name: _ancestry(name, cases, str(path)) for name in cases}
    whole = {name: _inherited(line, cases) for name, line in lines.items()}
    spec = spec.model_copy(update={"cases": whole})
    spec._origins = {name: _origins(line, cases) for name, line in lines.items()}
    _refuse_double_axes(spec, str(path))
    return spec


def _unfolded(data: Any) -> int:
    """How many values the ranges in `data` stand for; one that is too long itself is refused where it stands."""
    if isinstance(data, dict | list):
        return sum(map(_unfolded, data.values() if isinstance(data, dict) else data))
    match = RANGE.fullmatch(data) if isinstance(data, str) and len(data) < 20 else None
    return max(0, min(int(match[2]) - int(match[1]) + 1, MAX_AXIS)) if match else 0


def _inherited(line: Sequence[str], cases: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What a case has from those that it is `like`, the first of `line` being itself; what a case says itself wins."""
    return {key: values for one in reversed(line) for key, values in cases[one].items() if key != LIKE}


def _origins(line: Sequence[str], cases: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Key path of each thing that a case does not say itself."""
    said = {key: f"cases.{one}.{key}" for one in reversed(line) for key in cases[one] if key != LIKE}
    return {key: path for key, path in said.items() if key not in cases[line[0]]}


def _ancestry(name: str, cases: dict[str, dict[str, Any]], where: str) -> list[str]:
    """The case, the one that it is like, the one that this is like, …; SpecError for one that is not there, and for a circle."""
    line = [name]
    while LIKE in cases[line[-1]]:
        place, parents = f"{where}: cases.{line[-1]}.{LIKE}", cases[line[-1]][LIKE]
        if len(parents) > 1 or parents[0] not in cases:
            what = "a case is like one other" if len(parents) > 1 else f"there is no case '{parents[0]}'"
            raise SpecError(what, where=place, do=nearest(str(parents[0]), cases))
        if parents[0] in line:
            raise SpecError(f"the case '{parents[0]}' is like itself", where=place, do="remove one of the two")
        if len(line) == MAX_LINE:
            raise SpecError(f"inherits through more than {MAX_LINE} cases", where=place, do="let it be like the first of them")
        line.append(parents[0])
    return line


def _refuse_double_axes(spec: Spec, where: str) -> None:
    """No field may be set by two axes: which one should win?"""
    axes, others = {"grid": spec.grid, "zip": spec.zip}, {f"cases.{name}": case for name, case in spec.cases.items()}
    others |= {"zip": spec.zip} | {f"when.{index}.then": rule.then for index, rule in enumerate(spec.when)}
    for one, first in axes.items():
        for other, second in others.items():
            both = sorted(first.keys() & second.keys())
            if both and one != other:
                said = ", ".join([other, *spec.inherited(other, both[0])])
                what, place = f"'{both[0]}' is set by {one} and by {said}", f"{where}: {other}.{both[0]}"
                raise SpecError(what, where=place, do="keep one of the two")
    clash = sorted(spec.fixed.keys() & (spec.grid.keys() | spec.zip.keys()))
    if clash:
        do = "remove it from 'fixed' (a case may override 'fixed')"
        raise SpecError(f"'{clash[0]}' is fixed and an axis", where=f"{where}: fixed.{clash[0]}", do=do)
