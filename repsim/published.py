"""Owns what a sweep file says of the figure or table of a paper that it repeats: its numbers, its findings, how they are known.

    published:
      paper: kornblith2019                      # a key of repsim.papers
      place: table 2, section 6.1
      known: printed                            # printed | files | read off | recalled
      source: the table in the paper            # what it was read in
      setting: ten Tiny-10, CIFAR-10 …
      differs: [six networks, not ten]          # what this sweep does otherwise
      numbers:
        - {at: {measure: cka}, value: identity, is: 99.3}
      findings:
        - {say: …, less: [{measure: cca}, {measure: cka}], value: identity}

The block decides nothing about any run. Places say which runs are meant, as `exclude` does; a number is compared with their mean.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from repsim.papers import Key
from repsim.yamlfile import Strict

Scalar = bool | int | float | str | None
Place = dict[str, Scalar | list[Scalar]]
"""Field of a run → the value it has, a glob, or several; `case` is one."""
Known = Literal["printed", "files", "read off", "recalled"]
KNOWN: dict[Known, str] = {
    "printed": "printed in the paper",
    "files": "in the authors' files",
    "read off": "read off a figure",
    "recalled": "recalled, unchecked",
}
IDENTITY = "identity"
"""The value of a number that is a layer-identity score, in percent (see `repsim.counterparts`)."""


class Entry(Strict):
    """What a number and a finding may say otherwise than their block."""

    value: str | None = None
    """A number of the rows, or `identity`; without it the value of the sweep's table."""
    place: str | None = None
    known: Known | None = None


class Number(Entry):
    """One published number, in the unit that a table of this value has (accuracies and penalties: accuracy points)."""

    at: Place = Field(min_length=1)
    is_: float = Field(alias="is")
    spread: float | None = Field(None, ge=0)
    """What stands behind ± in the paper."""
    n: int | None = Field(None, ge=1)
    """Of how many the paper's number is the mean."""


class Finding(Entry):
    """What the paper found, as an order of means that can be checked: each of `less` is less than the next one."""

    say: str = Field(min_length=1)
    less: list[Place | float] = Field(min_length=2)
    """Places, or constants in the unit of the value."""
    each: list[str] = []
    """Fields: the order must hold for each value, or combination of values, that all places have."""

    @model_validator(mode="after")
    def _compares_runs(self) -> "Finding":
        if not self.places:
            raise ValueError("a finding compares runs: at least one of 'less' says which")
        return self

    @property
    def places(self) -> list[Place]:
        return [one for one in self.less if isinstance(one, dict)]


class Published(Strict):
    """One figure or table."""

    paper: Key
    place: str = Field(min_length=1)
    known: Known
    source: str = Field(min_length=1)
    """What the numbers or findings were read in."""
    setting: str = Field(min_length=1)
    """How the paper measured."""
    differs: list[str] = []
    """What this sweep does otherwise."""
    numbers: list[Number] = []
    findings: list[Finding] = []

    @model_validator(mode="after")
    def _says_something(self) -> "Published":
        if not (self.numbers or self.findings):
            raise ValueError("give at least one of its 'numbers' or 'findings'")
        return self


def as_list(value: Any) -> Any:
    """One block stands for a list of one."""
    return value if isinstance(value, list) else [value]


Blocks = Annotated[list[Published], BeforeValidator(as_list)]
