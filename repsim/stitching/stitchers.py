"""Owns the stitchers: the layers between front and end network, all of which act on the channel axis only.

A stitcher maps (n, p, h, w) to (n, q, h, w) and (n, p) to (n, q) by y = W x + b at every position: a 1×1
convolution for maps, a linear layer for vectors. Parameters are fp32; projections are computed in fp64.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from repsim.errors import InputError
from repsim.stitching import birkhoff

LOST = 1e-6  # a row or column sum that is off by more is no projection


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
    """What all stitchers share; p input channels and q output channels."""

    decays = True  # False: the optimizer's weight decay is left out

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.inputs, self.outputs = inputs, outputs

    def affine(self) -> Affine:
        """The map that is applied now."""
        raise NotImplementedError

    def start_(self, start: Affine) -> None:
        """Take over `start` as the parameters."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        affine = self.affine()
        return functional.linear(x.movedim(1, -1), affine.matrix, affine.bias).movedim(-1, 1)

    def penalty(self) -> Tensor | None:
        """What is added to the loss, or None."""
        return None

    def project_(self) -> None:
        """Back onto the family after a step of the optimizer; `project_all` does many at once."""
        project_all([self])

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Called before epoch `epoch` (from 0) of `epochs`."""

    def rounded(self) -> "Stitcher":
        """The stitcher that is evaluated."""
        return self

    def parameter_count(self) -> int:
        """Number of trained values."""
        return sum(parameter.numel() for parameter in self.parameters())


class Linear(Stitcher):
    """y = W x + b."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs)
        self.weight = nn.Parameter(torch.zeros(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def affine(self) -> Affine:
        return Affine(self.weight, self.bias)

    @torch.no_grad()
    def start_(self, start: Affine) -> None:
        self.weight.copy_(start.matrix)
        self.bias.copy_(torch.zeros_like(self.bias) if start.bias is None else start.bias)


class LowRank(Stitcher):
    """y = W2 W1 x + b, W1 (r, p), W2 (q, r)."""

    def __init__(self, inputs: int, outputs: int, rank: int):
        super().__init__(inputs, outputs)
        if not 1 <= rank <= min(inputs, outputs):
            what = f"rank {rank} does not fit a stitcher from {inputs} to {outputs} channels"
            raise InputError(what, where="rank", do=f"choose 1 to {min(inputs, outputs)}")
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


class Permutation(Stitcher):
    """y_j = s_j x_π(j): fixed, no bias; the scales are 1 unless the start brings its own (G_ReLU)."""

    index: Tensor
    scales: Tensor

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs)
        _need_square("permutation", inputs, outputs)
        self.register_buffer("index", torch.arange(inputs))
        self.register_buffer("scales", torch.ones(outputs))

    def affine(self) -> Affine:
        weight = functional.one_hot(self.index, self.inputs).to(self.scales.dtype)
        return Affine(weight, scales=self.scales)

    @torch.no_grad()
    def start_(self, start: Affine) -> None:
        self.index.copy_(birkhoff.best_permutation(start.weight))
        if start.scales is not None:
            self.scales.copy_(start.scales)


class Birkhoff(Stitcher):
    """y = diag(s) W x with W doubly stochastic, rounded to a permutation for evaluation (Godfrey et al. 2022, section 4).

    The loss gains −alpha‖W‖_F, which pushes W to a vertex. `scales` trains non-negative s (G_ReLU): in the first
    half of the epochs they are fixed at their start. `projection`: euclidean (nearest point) or sinkhorn (the paper's).
    """

    decays = False  # decay would pull W out of the polytope's vertices, and s to 0

    def __init__(self, inputs: int, outputs: int, alpha: float = 0.1, projection: str = "euclidean", scales: bool = False):
        super().__init__(inputs, outputs)
        _need_square("birkhoff", inputs, outputs)
        self.alpha, self.projection, self.scaled = alpha, projection, scales
        self.weight = nn.Parameter(torch.full((outputs, inputs), 1.0 / inputs))
        self.scales = nn.Parameter(torch.ones(outputs)) if scales else None
        self.duals: Tensor | None = None

    def affine(self) -> Affine:
        return Affine(self.weight, scales=self.scales)

    @torch.no_grad()
    def start_(self, start: Affine) -> None:
        self.weight.copy_(start.weight)
        if self.scales is not None and start.scales is not None:
            self.scales.copy_(start.scales)

    def penalty(self) -> Tensor | None:
        return -self.alpha * torch.linalg.matrix_norm(self.weight) if self.alpha else None

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        if self.scales is not None:
            self.scales.requires_grad_(epoch >= epochs // 2)

    def rounded(self) -> Permutation:
        fixed = Permutation(self.inputs, self.outputs).to(self.weight.device)
        fixed.start_(Affine(self.weight.detach(), scales=None if self.scales is None else self.scales.detach()))
        return fixed


@torch.no_grad()
def project_all(stitchers: Sequence[Stitcher]) -> None:
    """Project every Birkhoff stitcher after a step, those of one width and kind together."""
    families: dict[tuple, list[Birkhoff]] = {}
    for stitcher in stitchers:
        if isinstance(stitcher, Birkhoff):
            families.setdefault((stitcher.inputs, stitcher.projection), []).append(stitcher)
            if stitcher.scales is not None:
                stitcher.scales.clamp_(min=0.0)
    for (_, projection), family in families.items():
        PROJECTIONS[projection](family)


def _project_euclidean(family: list[Birkhoff]) -> None:
    """The nearest doubly stochastic matrices; one that cannot be projected becomes NaN, which the engine reports as diverged."""
    duals = None if any(s.duals is None for s in family) else torch.stack([s.duals for s in family if s.duals is not None])
    projected = birkhoff.euclidean(torch.stack([s.weight for s in family]), duals)
    matrices = projected.matrix.masked_fill((projected.error > LOST)[:, None, None], torch.nan)
    for stitcher, matrix, dual in zip(family, matrices, projected.duals, strict=True):
        stitcher.weight.copy_(matrix)
        stitcher.duals = dual


def _project_sinkhorn(family: list[Birkhoff]) -> None:
    for stitcher, matrix in zip(family, birkhoff.sinkhorn(torch.stack([s.weight for s in family])), strict=True):
        stitcher.weight.copy_(matrix)


def _need_square(kind: str, inputs: int, outputs: int) -> None:
    if inputs != outputs:
        what = f"a {kind} stitcher needs as many channels in front as behind, not {inputs} and {outputs}"
        raise InputError(what, where="stitcher", do="choose layers of equal width, or a linear or lowrank stitcher")


PROJECTIONS = {"euclidean": _project_euclidean, "sinkhorn": _project_sinkhorn}
STITCHERS: dict[str, type[Stitcher]] = {"linear": Linear, "lowrank": LowRank, "permutation": Permutation, "birkhoff": Birkhoff}
