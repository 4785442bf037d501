"""Owns the stitchers whose weights are free: all of them, those of a mask, those of a rank, few of them."""

import copy
from typing import ClassVar

import torch
from torch import Tensor, nn

from repsim.stitching import birkhoff
from repsim.stitching.stitcher import Affine, Stitcher

CUT = 1e-4  # lasso: entries below it are none (Godfrey et al. 2022)


class Linear(Stitcher):
    """y = (M ⊙ W) x + b with a mask M (q, p) of zeros and ones, or without one."""

    family: ClassVar[str] = "linear"
    late: ClassVar[tuple[str, ...]] = (*Stitcher.late, "mask")
    mask: Tensor | None

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs)
        self.weight = nn.Parameter(torch.zeros(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def mask_(self, mask: Tensor) -> None:
        """From now on use only the weights where `mask` (q, p) is true."""
        assert mask.shape == self.weight.shape, f"a mask of {tuple(mask.shape)} for weights of {tuple(self.weight.shape)}"
        self.mask = mask.to(device=self.weight.device, dtype=torch.bool)

    def affine(self) -> Affine:
        return Affine(self.weight if self.mask is None else self.weight * self.mask, self.bias)

    @torch.no_grad()
    def start_(self, start: Affine) -> None:
        self.weight.copy_(start.matrix)
        self.bias.copy_(torch.zeros_like(self.bias) if start.bias is None else start.bias)

    def parameter_count(self) -> int:
        """Number of trained values; what the mask leaves out is not trained."""
        masked = 0 if self.mask is None else int((~self.mask).sum())
        return super().parameter_count() - masked


class Lasso(Linear):
    """y = W x + b, and lasso_weight · Σ|W| is added to the loss; evaluated without the entries below 1e-4."""

    family: ClassVar[str] = "lasso"

    def __init__(self, inputs: int, outputs: int, lasso_weight: float = 1e-3):
        super().__init__(inputs, outputs)
        self.lasso_weight = lasso_weight

    def penalty(self) -> Tensor | None:
        return self.lasso_weight * self.affine().weight.abs().sum() if self.lasso_weight else None

    @torch.no_grad()
    def rounded(self) -> Stitcher:
        cut = copy.deepcopy(self)
        cut.weight[cut.weight.abs() < CUT] = 0.0
        return cut


class LowRank(Stitcher):
    """y = W2 W1 x + b, W1 (r, p), W2 (q, r)."""

    family: ClassVar[str] = "lowrank"

    def __init__(self, inputs: int, outputs: int, rank: int):
        super().__init__(inputs, outputs, rank)
        self.inner = nn.Parameter(torch.zeros(rank, inputs))
        self.outer = nn.Parameter(torch.zeros(outputs, rank))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def affine(self) -> Affine:
        return Affine(self.outer @ self.inner, self.bias)

    @torch.no_grad()
    def start_(self, start: Affine) -> None:
        """The best rank-r approximation of the start, split evenly between the two factors."""
        rank = len(self.inner)
        left, values, right = torch.linalg.svd(birkhoff.exact(start.matrix), full_matrices=False)
        root = values[:rank].sqrt()
        self.outer.copy_(left[:, :rank] * root)
        self.inner.copy_(root[:, None] * right[:rank])
        self.bias.copy_(torch.zeros_like(self.bias) if start.bias is None else start.bias)
