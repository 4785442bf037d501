"""Owns what all stitchers share: the affine map of rows, a fixed subspace before it, and the alignment around it.

Parameters are fp32; projections are computed in fp64.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from repsim.stitching.alignment import Alignment, make
from repsim.stitching.shapes import Joint, check_widths


@dataclass(frozen=True)
class Affine:
    """y = diag(scales) · weight · x + bias; weight (q, p), bias and scales (q,) or None."""

    weight: Tensor
    bias: Tensor | None = None
    scales: Tensor | None = None

    @property
    def matrix(self) -> Tensor:
        """diag(scales) · weight (q, p)."""
        return self.weight if self.scales is None else self.scales[:, None] * self.weight


class Stitcher(nn.Module):
    """y = after(S(before(x))): S maps rows of p = `inputs` to rows of q = `outputs` values, `alignment` makes and places them.

    With `restrict_`, S sees x̄ + VVᵀ(x − x̄) instead of x. Without an alignment of its own (see `stitchers.build`) it maps
    (n, p, h, w) to (n, q, h, w) and (n, p) to (n, q).
    """

    family: ClassVar[str]  # its key in `stitchers.STITCHERS`
    undecayed: ClassVar[tuple[str, ...]] = ()  # parameters that the optimizer's weight decay spares
    late: ClassVar[tuple[str, ...]] = ("basis", "mean")  # buffers that some have and some have not
    basis: Tensor | None
    mean: Tensor | None

    def __init__(self, inputs: int, outputs: int, rank: int | None = None):
        super().__init__()
        check_widths(self.family, inputs, outputs, rank)
        self.inputs, self.outputs = inputs, outputs
        self.alignment: Alignment = make(Joint("channels", inputs, outputs, (inputs,), (outputs,)))
        for name in self.late:
            self.register_buffer(name, None)

    def affine(self) -> Affine:
        """The family's map of rows as it is now."""
        raise NotImplementedError

    def start_(self, start: Affine) -> None:
        """Take over `start` as the parameters, by the nearest map of the family."""
        raise NotImplementedError

    def restrict_(self, basis: Tensor, mean: Tensor) -> None:
        """From now on see only the subspace of orthonormal columns `basis` (p, r) around `mean` (p,)."""
        own = next(iter(self.state_dict().values()))  # moments may live on another device
        self.basis, self.mean = basis.to(own.device, torch.float32), mean.to(own.device, torch.float32)

    def applied(self) -> Affine:
        """The map that rows go through: `affine`, after the subspace if there is one."""
        affine = self.affine()
        if self.basis is None or self.mean is None:
            return affine
        seen = affine.matrix @ self.basis
        offset = affine.matrix @ self.mean - seen @ (self.basis.mT @ self.mean)
        return Affine(seen @ self.basis.mT, offset if affine.bias is None else affine.bias + offset)

    def forward(self, x: Tensor) -> Tensor:
        applied = self.applied()
        return self.alignment.after(functional.linear(self.alignment.before(x), applied.matrix, applied.bias))

    def penalty(self) -> Tensor | None:
        """What the family adds to the loss, or None."""
        return None

    def begin_step(self, epoch: int, epochs: int, step: int) -> None:
        """Called before step `step` in epoch `epoch` (both from 0) of `epochs`: frees and rests parameters."""

    @classmethod
    def project_family_(cls, members: Sequence[Any]) -> None:
        """Project these stitchers, all of this class."""

    def rounded(self) -> "Stitcher":
        """The stitcher that is evaluated."""
        return self

    def parameter_count(self) -> int:
        """Number of trained values."""
        return sum(parameter.numel() for parameter in self.parameters())

    def surroundings_of_(self, other: "Stitcher") -> None:
        """Stand where `other` stands: copies of its alignment and its subspace."""
        self.alignment = copy.deepcopy(other.alignment)
        self.basis, self.mean = other.basis, other.mean

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        """Make room for the buffers that the state has and a fresh stitcher has not."""
        for name in self.late:
            if prefix + name in state_dict and getattr(self, name) is None:
                setattr(self, name, torch.empty_like(state_dict[prefix + name]))
        super()._load_from_state_dict(state_dict, prefix, *rest)


@torch.no_grad()
def project_all(stitchers: Sequence[Stitcher]) -> None:
    """Project every stitcher onto its family after a step, those of one family and shape together.

    One that cannot be projected (its weights are not finite) becomes or stays NaN: the engine reports it as diverged.
    """
    for family, members in by_class(stitchers).items():
        family.project_family_(members)


AnyStitcher = TypeVar("AnyStitcher", bound=Stitcher)


def by_class(stitchers: Sequence[AnyStitcher]) -> dict[type[AnyStitcher], list[AnyStitcher]]:
    """Stitchers by class, in their order."""
    found: dict[type[AnyStitcher], list[AnyStitcher]] = {}
    for stitcher in stitchers:
        found.setdefault(type(stitcher), []).append(stitcher)
    return found
