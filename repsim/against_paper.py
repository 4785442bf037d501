"""Owns the comparison of a sweep with the paper that it repeats: each published number beside ours, each finding checked."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

from repsim import selected
from repsim.errors import UserError
from repsim.project import Project
from repsim.published import Entry, Finding, Known, Number, Place, Published
from repsim.selected import Asked, Mean
from repsim.sweep.exclude import condition
from repsim.sweep.expand import Run, Sweep

Verdict = Literal["holds", "does not hold", "not enough runs"]
VERDICTS: tuple[Verdict, ...] = ("does not hold", "not enough runs", "holds")
"""A finding is as its worst check: one that fails refutes it, one that is missing leaves it open."""


@dataclass(frozen=True)
class Line:
    """One published number beside ours."""

    number: Number
    place: str
    known: Known
    value: str
    ours: Mean

    @property
    def difference(self) -> float:
        """Ours − theirs; nan where we have none."""
        return self.ours.mean - self.number.is_

    @property
    def inside(self) -> bool | None:
        """Whether theirs lies in our 95 % interval; None where there is none."""
        return self.ours.low <= self.number.is_ <= self.ours.high if isfinite(self.ours.low) else None


@dataclass(frozen=True)
class Check:
    """A finding at one combination of values of `each`: its means, in the order that it claims."""

    at: Mapping[str, Any]
    means: tuple[Mean, ...]

    @property
    def verdict(self) -> Verdict:
        if not all(one.whole for one in self.means):
            return "not enough runs"
        return "holds" if all(first.mean < second.mean for first, second in self._pairs()) else "does not hold"

    @property
    def apart(self) -> bool:
        """Whether the intervals do not overlap either."""
        return self.verdict == "holds" and all(first.high < second.low for first, second in self._pairs())

    def _pairs(self) -> Iterator[tuple[Mean, Mean]]:
        return zip(self.means, self.means[1:], strict=False)


@dataclass(frozen=True)
class Claim:
    """One finding of the paper, and how it fares here."""

    finding: Finding
    place: str
    known: Known
    value: str
    checks: tuple[Check, ...]

    @property
    def verdict(self) -> Verdict:
        return VERDICTS[min(VERDICTS.index(check.verdict) for check in self.checks)]

    def count(self, verdict: Verdict) -> int:
        return sum(check.verdict == verdict for check in self.checks)

    @property
    def apart(self) -> int:
        """At how many checks the intervals do not overlap."""
        return sum(check.apart for check in self.checks)


@dataclass(frozen=True)
class Comparison:
    """One figure or table of a paper, as it is published and as a sweep has it."""

    sweep: str
    block: Published
    lines: tuple[Line, ...]
    claims: tuple[Claim, ...]

    @property
    def begun(self) -> bool:
        """Whether there is any number of ours."""
        ours = [line.ours for line in self.lines] + [
            mean for claim in self.claims for check in claim.checks for mean in check.means
        ]
        return any(mean.expected and mean.n for mean in ours)


class Plan:
    """What must be known of a sweep's runs, asked at once: each place with its runs."""

    def __init__(self, sweep: Sweep):
        """Raises UserError for a sweep that repeats no paper, SpecError for a place that is none of its runs."""
        if not sweep.spec.published:
            do = "name one of sweeps/papers, or give it a block 'published' (see repsim/published.py)"
            raise UserError("repeats no figure or table of a paper", where=str(sweep.path), do=do)
        self.sweep, self.usual = sweep, selected.usual(sweep)
        self.asked: list[Asked] = []
        blocks = enumerate(sweep.spec.published)
        self.drafts = [_drafted(self, block, f"{sweep.path}: published.{index}") for index, block in blocks]

    def ask(self, place: Place | float, value: str, where: str) -> int | Mean:
        """The number of what is asked; a constant is known."""
        if not isinstance(place, dict):
            return Mean(place, place, place, n=1, done=0, expected=0, unit="")
        self.asked.append(Asked(tuple(selected.runs_at(self.sweep, place, where)), value))
        return len(self.asked) - 1

    def value(self, entry: Entry) -> str:
        return entry.value or self.usual


def compare(project: Project, sweep: Sweep) -> list[Comparison]:
    """What the sweep's file publishes, beside what is stored. Raises as `Plan` does."""
    plan = Plan(sweep)
    means = selected.means(project, sweep, plan.asked)
    return [_made(plan, block, *draft, means) for block, draft in zip(sweep.spec.published, plan.drafts, strict=True)]


def _drafted(plan: Plan, block: Published, where: str) -> tuple[list, list]:
    """Of one block: what is asked for each number, and for each check of each finding."""
    numbers = [plan.ask(one.at, plan.value(one), f"{where}.numbers.{i}.at") for i, one in enumerate(block.numbers)]
    findings = [_checks(plan, one, f"{where}.findings.{i}") for i, one in enumerate(block.findings)]
    return numbers, findings


def _checks(plan: Plan, finding: Finding, where: str) -> list[tuple[dict[str, Any], list[int | Mean]]]:
    found = []
    for at in _combinations(plan.sweep, finding, where):
        whole = [{**one, **at} if isinstance(one, dict) else one for one in finding.less]
        found.append((at, [plan.ask(one, plan.value(finding), f"{where}.less.{i}") for i, one in enumerate(whole)]))
    return found


def _combinations(sweep: Sweep, finding: Finding, where: str) -> list[dict[str, Any]]:
    """The values of `each` that all places have, in the order of the sweep."""
    runs = [selected.runs_at(sweep, place, f"{where}.less") for place in finding.places]
    keys = list(condition({key: [] for key in finding.each}, sweep.jobs[sweep.spec.job], f"{where}.each"))
    there = [dict.fromkeys(tuple(_value(run, key) for key in keys) for run in mine) for mine in runs]
    common = [one for one in there[0] if all(one in other for other in there[1:])]
    if not common:
        raise UserError(f"its places have no {' and '.join(finding.each)} in common", where=where, do="mend 'each' or 'less'")
    return [dict(zip(keys, one, strict=True)) for one in common]


def _value(run: Run, key: str) -> Any:
    return run.label(key, run.value(key))


def _made(plan: Plan, block: Published, numbers: list, findings: list, means: Sequence[Mean]) -> Comparison:
    def mean(one: int | Mean) -> Mean:
        return means[one] if isinstance(one, int) else one

    def told(entry: Entry) -> tuple[str, Known, str]:
        return entry.place or block.place, entry.known or block.known, plan.value(entry)

    lines = [Line(number, *told(number), mean(asked)) for number, asked in zip(block.numbers, numbers, strict=True)]
    claims = [
        Claim(finding, *told(finding), tuple(Check(at, tuple(map(mean, asked))) for at, asked in checks))
        for finding, checks in zip(block.findings, findings, strict=True)
    ]
    return Comparison(plan.sweep.name, block, tuple(lines), tuple(claims))
