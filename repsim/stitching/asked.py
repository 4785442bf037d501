"""Owns what is asked of a group: the stitchers by family, start, training and measures, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from repsim.stitching.attacked import Attack
from repsim.stitching.runs import Select, Training
from repsim.stitching.shapes import Joint, join
from repsim.stitching.targets import Objective

Cut = tuple[str, str, Joint]  # front layer, end layer, and how they are joined
REGULARISERS = {"birkhoff": "alpha", "lasso": "lasso_weight"}  # what `crossval` chooses
MATCHED_BY = ("rank", "lasso_weight", "scales")  # the options that a direct-matching optimum depends on


@dataclass(frozen=True)
class Family:
    """All that makes a stitcher's family besides its start.

    Attributes:
        stitcher: a key of `STITCHERS`.
        options: what its class is given, in a fixed order.
        joint: what `shapes.join` is given besides the shapes.
        mask: a key of `masks.MASKS`: the weights that may differ from zero.
        ridge: λ of matching, relative to the mean variance of a row's values.
        stitch_rank: S sees f's rows on this many principal components only.
        match_rank: the same for direct matching alone.
    """

    stitcher: str
    options: tuple[tuple[str, Any], ...] = ()
    joint: tuple[tuple[str, Any], ...] = ()
    mask: str | None = None
    ridge: float = 0.0
    stitch_rank: int | None = None
    match_rank: int | None = None

    def matched(self) -> "Family":
        """The family without what its direct-matching optimum does not depend on."""
        return replace(self, options=tuple(option for option in self.options if option[0] in MATCHED_BY))


@dataclass(frozen=True)
class Asked:
    """A stitcher to be started, trained and measured.

    `crossval` are values of the family's own regulariser: one stitcher is trained with each, and the validation images
    choose. `controls`: also score the family's direct-matching optimum and that of shuffled pairs. `attack`: what f, g and
    the stitched network meet at the end. `truncations`: also score the map at parts of its rank.
    """

    key: str
    front_layer: str
    end_layer: str
    family: Family
    init: str = "random"
    seed: int = 0
    training: Training = field(default_factory=Training)
    select: Select = "last"
    objective: Objective = field(default_factory=Objective)
    crossval: tuple[float, ...] = ()
    controls: bool = False
    attack: Attack | None = None
    truncations: bool = False

    def cut(self, front_shapes: Mapping[str, tuple[int, ...]], end_shapes: Mapping[str, tuple[int, ...]]) -> Cut:
        """Raises InputError for shapes that cannot be joined so."""
        joint = join(front_shapes[self.front_layer], end_shapes[self.end_layer], **dict(self.family.joint))
        return self.front_layer, self.end_layer, joint

    def candidates(self) -> list[Family]:
        """The families to train, one for each value of `crossval`."""
        if not self.crossval:
            return [self.family]
        name, options = REGULARISERS[self.family.stitcher], dict(self.family.options)
        return [replace(self.family, options=tuple({**options, name: value}.items())) for value in self.crossval]
