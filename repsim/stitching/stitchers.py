"""Owns the list of stitcher families, and how one is built for two layers."""

from typing import Any

from repsim.stitching import alignment
from repsim.stitching.linear import Lasso, Linear, LowRank
from repsim.stitching.orthogonal import Orthogonal
from repsim.stitching.permutations import Birkhoff, Permutation, Wreath, project_gradients
from repsim.stitching.shapes import Joint, check_family
from repsim.stitching.stitcher import Affine, Stitcher, project_all

__all__ = [
    "STITCHERS",
    "Affine",
    "Birkhoff",
    "Lasso",
    "Linear",
    "LowRank",
    "Orthogonal",
    "Permutation",
    "Stitcher",
    "Wreath",
    "build",
    "project_all",
    "project_gradients",
]


def build(kind: str, joint: Joint, **options: Any) -> Stitcher:
    """A stitcher of the family `kind` with the alignment of `joint`; `options` go to its class.

    Raises InputError for an unknown family and one that cannot map the joint's rows; it names both shapes and what would fit.
    """
    check_family(kind, joint, options.get("rank"))
    stitcher = STITCHERS[kind](joint.inputs, joint.outputs, **options)
    stitcher.alignment = alignment.make(joint)
    return stitcher


STITCHERS: dict[str, type[Stitcher]] = {
    family.family: family for family in (Linear, LowRank, Lasso, Orthogonal, Permutation, Wreath, Birkhoff)
}
