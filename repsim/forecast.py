"""Owns forecasts: what the groups of a plan are expected to cost by kind of run, and how far off that was once they are done."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from repsim.measured import KIND, Source
from repsim.plan import Group


@dataclass(frozen=True)
class Expected:
    """Runs of one kind: seconds that they should take, and at the slow end; what that rests on, of how many runs."""

    job: str
    kind: str
    source: Source
    n: int
    runs: int
    seconds: float
    worst: float

    def as_json(self) -> dict[str, Any]:
        """With hours for seconds."""
        hours = {"hours": round(self.seconds / 3600, 4), "hours_worst": round(self.worst / 3600, 4)}
        return {"job": self.job, "kind": self.kind, "source": self.source, "measured_runs": self.n, "runs": self.runs} | hours


@dataclass(frozen=True)
class Done:
    """A group that is stored: what it should have taken, and what it took (seconds)."""

    job: str
    kind: str
    source: str
    runs: int
    expected: float
    worst: float
    took: float


@dataclass(frozen=True)
class Outcome:
    """Groups of one kind, and from one source of the forecast: sums, and the ratio took/expected of the middle 80 % of groups."""

    job: str
    kind: str
    source: str
    groups: int
    runs: int
    expected: float
    took: float
    low: float
    high: float
    over: int

    @property
    def ratio(self) -> float:
        """Over 1: slower than was said."""
        return self.took / self.expected if self.expected else float("nan")

    def as_json(self) -> dict[str, Any]:
        """With hours for seconds."""
        shown = {"job": self.job, "kind": self.kind, "source": self.source, "groups": self.groups, "runs": self.runs}
        shown |= {"hours_expected": round(self.expected / 3600, 4), "hours": round(self.took / 3600, 4)}
        ratios = {"ratio": round(self.ratio, 3), "ratio_low": round(self.low, 3), "ratio_high": round(self.high, 3)}
        return shown | ratios | {"groups_over_worst": self.over}


def words(config: Mapping[str, Any]) -> str:
    """The kind of a run for people: networks and data set, as in mcnn w16 → resnet20 cifar10."""
    said = {field: config.get(field) for field in KIND}
    archs = list(dict.fromkeys(filter(None, (said["arch"], said["front_arch"], said["end_arch"]))))
    size = [f"{letter}{said[field]}" for letter, field in (("w", "width"), ("d", "depth")) if said[field] is not None]
    return " ".join([*filter(None, [" → ".join(archs)]), *size, *filter(None, [said["dataset"]])])


def expected(groups: Iterable[Group]) -> list[Expected]:
    """What the groups should cost, by kind; in the order in which kinds first occur."""
    found: dict[tuple[str, str, Source, int], list[Group]] = {}
    for group in groups:
        kind = words({field: getattr(group.runs[0].config, field, None) for field in KIND})
        found.setdefault((group.job, kind, group.basis.source, group.basis.n), []).append(group)
    return [
        Expected(*key, sum(len(g.runs) for g in those), sum(g.seconds for g in those), sum(g.worst for g in those))
        for key, those in found.items()
    ]


def outcomes(done: Iterable[Done]) -> list[Outcome]:
    """How far off the forecasts were, by kind and source; in the order in which these first occur."""
    found: dict[tuple[str, str, str], list[Done]] = {}
    for each in done:
        found.setdefault((each.job, each.kind, each.source), []).append(each)
    return [_outcome(*key, those) for key, those in found.items()]


def in_all(found: Sequence[Outcome]) -> float | None:
    """Seconds that all groups took over those that they should have taken; None where nothing was forecast."""
    total = sum(one.expected for one in found)
    return sum(one.took for one in found) / total if total else None


def _outcome(job: str, kind: str, source: str, those: Sequence[Done]) -> Outcome:
    ratios = sorted(one.took / one.expected for one in those if one.expected) or [float("nan")]
    last = len(ratios) - 1
    return Outcome(
        job,
        kind,
        source,
        len(those),
        sum(one.runs for one in those),
        sum(one.expected for one in those),
        sum(one.took for one in those),
        ratios[round(0.1 * last)],
        ratios[round(0.9 * last)],
        sum(one.took > one.worst for one in those),
    )
