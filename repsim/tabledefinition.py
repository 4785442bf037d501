"""Owns what a table is asked to show: its rows, columns and pages, the number, which runs, the spread, and what is marked."""

from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from repsim.tablekeys import LAYERS
from repsim.yamlfile import Strict

Scalar = bool | int | float | str | None
Spread = Literal["interval", "bootstrap", "std"]
Aim = Literal["min", "max", "none"]
BEST: dict[str, Aim] = {
    "*penalty*": "min",
    "*residual*": "min",
    "*loss": "min",
    "*loss_last": "min",
    "*seconds": "min",
    "brier": "min",
    "ece": "min",
    "*accuracy*": "max",
    "*agreement": "max",
    "*cka*": "max",
    "explained": "max",
    "images_per_second": "max",
}
"""By glob of a value's name: whether less or more is better; the first that matches. Of anything else nothing is best: of the AUROC
of a detector neither, as what it finds is strange activations, and less than one half is as far from native as more."""
NEVER_BEST = ("null_*", "majority_*", "sanity_*", "native_*", "front_*", "end_*", "original_*", "control_*", "network_*")
"""Numbers of what stands beside a run: none of the things compared made them."""


MADE_BY = {"value": "measure", "null": "measure", "auroc": "detector"}
"""Number → the column that says of what it is, where it alone does not."""


def as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


Wanted = Annotated[list[Scalar], BeforeValidator(as_list), Field(min_length=1)]


class TableDefinition(Strict):
    """What a table shows. `rows`, `cols` and `pages` name columns of the expected runs, `value` a column of the job's Row.

    `front_layer` is shown as `layer`: "bn1" where both networks are cut at bn1, "bn1→bn3" where the end layer differs.
    The same holds for `front_arch`. A key `end_layer` (`end_arch`) keeps them apart: a matrix of front × end.

    What only stored rows have (`host`, `gpu`, `commit`, `selected_epoch`) may be a key too: a run that is not stored has no such
    value, and stands under "not run".
    """

    job: str = "stitch"
    title: str | None = Field(default=None, description="said before the caption")
    rows: list[str] = Field(default=["front_layer"], min_length=1)
    cols: list[str] = Field(default=["case"], min_length=1)
    pages: list[str] = Field(default=[], description="one table for each value of these columns")
    value: str = "penalty"
    where: dict[str, Wanted] = Field(default={}, description="only runs that have one of these values there; globs allowed")
    spread: Spread = Field("interval", description="what stands behind ±; interval: jackknife, see `repsim.resampling`")
    best: Aim | None = Field(default=None, description="what is marked in a row; by default as BEST says")
    compare: list[str] = Field(default=[], description="names of two columns, as shown, that are compared pair by pair")
    controls: bool = Field(default=False, description="show negative controls beside the real numbers; else they are left out")
    points: bool | None = Field(default=None, description="show ×100, as accuracy points; by default for accuracies and penalties")

    @model_validator(mode="after")
    def _each_key_once(self) -> "TableDefinition":
        keys = self.keys
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise ValueError(f"'{twice[0]}' stands twice in rows and cols" + (" and pages" if self.pages else ""))
        return self

    @model_validator(mode="after")
    def _two_compared(self) -> "TableDefinition":
        if self.compare and (len(self.compare) != 2 or self.compare[0] == self.compare[1]):
            raise ValueError("compare names two different columns, as in [matched, linear ps_inv]")
        return self

    @property
    def keys(self) -> list[str]:
        """All columns by which runs are told apart; pages first."""
        return [*self.pages, *self.rows, *self.cols]

    @property
    def in_points(self) -> bool:
        """Whether values are fractions to be shown in accuracy points; a relative accuracy is a ratio, so not."""
        if self.points is not None:
            return self.points
        return "relative" not in self.value and ("accuracy" in self.value or "penalty" in self.value)

    @property
    def aim(self) -> Aim:
        """Whether the least or the greatest number of a row is its best; by default none where columns are layers."""
        if self.best is not None:
            return self.best
        if set(self.cols) & set(LAYERS):
            return "none"
        if any(fnmatchcase(self.value, pattern) for pattern in NEVER_BEST):
            return "none"
        found: list[Aim] = [aim for pattern, aim in BEST.items() if fnmatchcase(self.value, pattern)]
        return found[0] if found else "none"
