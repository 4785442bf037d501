"""Owns what a plan of a comparison says: each step's form, operations, bytes, passes and exactness, to be read and printed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from repsim.similarity.pieces import Piece
from repsim.similarity.request import Request, Value

Form = Literal["feature", "gram", "tiled", "minibatch", "sums"]


@dataclass(frozen=True)
class Step:
    """What is done for the requests of one family, view and form.

    Attributes:
        family, view, form: see `known` and above.
        requests: how many numbers.
        flops: floating-point operations, those of `factors` among them.
        factors: operations once all images are seen: eigenvectors, singular values, assignments.
        bytes: held at most.
        passes: over the images, of both networks; steps share them.
        exactness: what the numbers are exact over, or estimate.
    """

    family: str
    view: str
    form: Form
    requests: int
    flops: float
    factors: float
    bytes: int
    passes: int
    exactness: str

    def __str__(self) -> str:
        share = f" ({short(self.factors, 'FLOP')} in factors of matrices)" if self.factors else ""
        cost = f"{short(self.flops, 'FLOP')}{share}, {short(self.bytes, 'B')}"
        counts = f"{_counted(self.requests, 'number')}, {cost}, {_counted(self.passes, 'pass', 'passes')}"
        return f"{self.family} · {self.view} · {self.form}: {counts}, {self.exactness}"


@dataclass(frozen=True)
class Plan:
    """How the requests of one pair of networks are computed.

    Attributes:
        images: n.
        steps: what is done, to be read.
        ranked: values that are projections, of f and of g: a first pass finds their principal components.
        streams: pieces from moments, rows and outputs; each is one pass over the images; at least one.
        walks: pieces from pairs of images; each reads blocks of `block` images, again and again unless they are `kept`.
        batch: images that the networks see at once.
        bytes: held at most.
        forms: how each request is computed.
        rows: of one image, as each request compares them.
    """

    images: int
    steps: tuple[Step, ...]
    ranked: tuple[frozenset[Value], frozenset[Value]]
    streams: tuple[tuple[Piece, ...], ...]
    walks: tuple[tuple[Piece, ...], ...]
    batch: int
    block: int
    kept: bool
    bytes: int
    forms: Mapping[Request, Form] = field(repr=False)
    rows: Mapping[Request, int] = field(repr=False)

    def lines(self) -> list[str]:
        """One line for each step, as a person reads it."""
        return [str(step) for step in self.steps]

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {"images": self.images, "bytes": self.bytes, "steps": [asdict(step) for step in self.steps]}


def short(number: float, unit: str) -> str:
    """1.2e9 → "1.2 GFLOP"."""
    for prefix in ("", "k", "M", "G", "T", "P"):
        if number < 1000 or prefix == "P":
            break
        number /= 1000
    return f"{number:.3g} {prefix}{unit}"


def _counted(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
