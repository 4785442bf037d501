"""Owns the orthogonal stitcher and its projection, the polar factor."""

from collections.abc import Sequence
from itertools import groupby
from typing import ClassVar

import torch
from torch import Tensor, nn

from repsim.stitching.birkhoff import exact
from repsim.stitching.stitcher import Affine, Stitcher

NEAR = 0.5  # ‖WᵀW − I‖_F below which Newton–Schulz is sure to converge, and fast
DONE = 1e-12


class Orthogonal(Stitcher):
    """y = s W x + b with orthonormal columns WᵀW = I (p ≤ q), and a trained scale s if `scales`, else s = 1."""

    family: ClassVar[str] = "orthogonal"
    undecayed: ClassVar[tuple[str, ...]] = ("weight",)  # decay would work against the projection

    def __init__(self, inputs: int, outputs: int, scales: bool = False):
        super().__init__(inputs, outputs)
        self.weight = nn.Parameter(torch.eye(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = nn.Parameter(torch.ones(())) if scales else None

    @property
    def scaled(self) -> bool:
        """Whether a scale is trained."""
        return self.scale is not None

    def affine(self) -> Affine:
        return Affine(self.weight, self.bias, None if self.scale is None else self.scale.expand(self.outputs))

    @torch.no_grad()
    def start_(self, start: Affine) -> None:
        """The polar factor of the start, and the scale that is best for it, ⟨W, start⟩ / p."""
        matrix = exact(start.matrix)
        weight = polar(matrix)
        self.weight.copy_(weight)
        self.bias.copy_(torch.zeros_like(self.bias) if start.bias is None else start.bias)
        if self.scale is not None:
            self.scale.copy_((weight * matrix).sum() / self.inputs)

    @classmethod
    def project_family_(cls, members: Sequence["Orthogonal"]) -> None:
        def shape(stitcher: Orthogonal) -> tuple[int, int]:
            return stitcher.outputs, stitcher.inputs

        for _, group in groupby(sorted(members, key=shape), shape):
            equals = list(group)
            for stitcher, matrix in zip(equals, polar(torch.stack([s.weight for s in equals])), strict=True):
                stitcher.weight.copy_(matrix)


def polar(matrices: Tensor) -> Tensor:
    """argmin ‖Q − A‖_F over QᵀQ = I, for every A (q, p) of a stack (..., q, p) with p ≤ q; fp64, the input is left alone.

    Q = A (AᵀA)^(-1/2) = U Vᵀ of A = U Σ Vᵀ. Near the set, as after a step of training, by Newton–Schulz (Higham 2008,
    "Functions of Matrices", section 8.3), which is matrix products alone; else by singular values. A matrix that is not
    finite gives NaN.
    """
    stack = exact(matrices)
    finite = stack.isfinite().all(-1).all(-1)[..., None, None]
    safe = torch.where(finite, stack, torch.eye(*stack.shape[-2:], dtype=stack.dtype, device=stack.device))
    error = float(torch.linalg.matrix_norm(_gram_error(safe)).max())
    return (_newton_schulz(safe, error) if error < NEAR else _by_svd(safe)).masked_fill(~finite, torch.nan)


def _newton_schulz(stack: Tensor, error: float) -> Tensor:
    """A ← A (3I − AᵀA) / 2 until `error`, which bounds ‖AᵀA − I‖_F, is gone: it falls from e to at most ¾e² + ¼e³."""
    while error > DONE:
        stack = stack - 0.5 * stack @ _gram_error(stack)
        error = 0.75 * error**2 + 0.25 * error**3
    return stack


def _by_svd(stack: Tensor) -> Tensor:
    left, _, right = torch.linalg.svd(stack, full_matrices=False)
    return left @ right


def _gram_error(stack: Tensor) -> Tensor:
    """AᵀA − I."""
    return stack.mT @ stack - torch.eye(stack.shape[-1], dtype=stack.dtype, device=stack.device)
