"""Owns the stitchers that match channels one to one: a permutation, and its two relaxations that can be trained."""

from collections.abc import Sequence
from itertools import groupby
from math import floor
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from repsim.errors import InputError, nearest
from repsim.stitching import birkhoff
from repsim.stitching.stitcher import Affine, Stitcher, by_class

LOST = 1e-6  # a row or column sum that is off by more is no projection
GAP = 5.0  # between neighbouring scores of a wreath that starts at a permutation, in units of tau: it is 99 % of each row


class Permutation(Stitcher):
    """y_j = s_j x_π(j): fixed, no bias; the scales are 1 unless the start brings its own (G_ReLU)."""

    family: ClassVar[str] = "permutation"
    index: Tensor
    scales: Tensor

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs)
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


class Wreath(Stitcher):
    """y = diag(s) P x, s ≥ 0, with P_ij ∝ exp(−|sort(v)_i − v_j| / tau) of scores v (SoftSort, Prillo & Eisenschlos 2020).

    v is sorted downwards and every row of P sums to 1: as tau goes to 0, P becomes the permutation that sorts v.
    """

    family: ClassVar[str] = "wreath"
    undecayed: ClassVar[tuple[str, ...]] = ("scores",)  # decay would pull them together

    def __init__(self, inputs: int, outputs: int, tau: float = 1.0):
        super().__init__(inputs, outputs)
        _need_positive(tau)
        self.tau = tau
        self.scores = nn.Parameter(torch.zeros(inputs))
        self.scales = nn.Parameter(torch.ones(outputs))

    def affine(self) -> Affine:
        ordered = self.scores.sort(descending=True).values
        weight = torch.softmax(-(ordered[:, None] - self.scores).abs() / self.tau, -1)
        return Affine(weight, scales=self.scales)

    @torch.no_grad()
    def start_(self, start: Affine) -> None:
        """The permutation nearest to the start: evenly spaced scores around 0 in its order."""
        index = birkhoff.best_permutation(start.weight).to(self.scores.device)
        ranks = torch.arange(self.inputs, device=index.device, dtype=self.scores.dtype)
        self.scores[index] = GAP * self.tau * ((self.inputs - 1) / 2 - ranks)
        if start.scales is not None:
            self.scales.copy_(start.scales)

    @classmethod
    def project_family_(cls, members: Sequence["Wreath"]) -> None:
        for stitcher in members:
            stitcher.scales.clamp_(min=0.0)

    def rounded(self) -> Stitcher:
        """The permutation that sorts the scores, which is the largest entry of every row of P."""
        index = self.scores.detach().argsort(descending=True)
        return _fixed(self, functional.one_hot(index, self.inputs), self.scales)


class Birkhoff(Stitcher):
    """y = diag(s) W x with W doubly stochastic, rounded to a permutation for evaluation (Godfrey et al. 2022, section 4).

    Args:
        alpha: the loss gains −alpha‖W‖_F, which pushes W to a vertex.
        projection: "euclidean" (nearest point) or "sinkhorn" (the paper's).
        scales: also train s ≥ 0 (G_ReLU), else s = 1.
        warmup: share of the epochs in which the scales rest at their start.
        alternating: after the warm-up even steps move W alone and odd steps the scales alone.
        pgd: "projection" after the optimizer's step, or "gradient": before it, see `project_gradients`.
    """

    family: ClassVar[str] = "birkhoff"
    undecayed: ClassVar[tuple[str, ...]] = (
        "weight",
    )  # decay would pull W off the vertices; the scales have it (Godfrey et al. 2022)

    def __init__(
        self,
        inputs: int,
        outputs: int,
        alpha: float = 0.1,
        projection: str = "euclidean",
        scales: bool = False,
        warmup: float = 0.5,
        alternating: bool = False,
        pgd: str = "projection",
    ):
        super().__init__(inputs, outputs)
        _need_known("projection", projection, PROJECTIONS)
        _need_known("pgd", pgd, ("projection", "gradient"))
        self.alpha, self.projection, self.scaled = alpha, projection, scales
        self.warmup, self.alternating, self.pgd = warmup, alternating, pgd
        self.weight = nn.Parameter(torch.full((outputs, inputs), 1.0 / inputs))
        self.scales = nn.Parameter(torch.ones(outputs)) if scales else None
        self.duals: Tensor | None = None  # of the last projection: the next one starts there

    def affine(self) -> Affine:
        return Affine(self.weight, scales=self.scales)

    @torch.no_grad()
    def start_(self, start: Affine) -> None:
        self.weight.copy_(start.weight)
        if self.scales is not None and start.scales is not None:
            self.scales.copy_(start.scales)

    def penalty(self) -> Tensor | None:
        return -self.alpha * torch.linalg.matrix_norm(self.weight) if self.alpha else None

    def begin_step(self, epoch: int, epochs: int, step: int) -> None:
        if self.scales is None:
            return
        warm = epoch >= floor(self.warmup * epochs + 1e-9)  # 0.29 · 100 is 28.999…
        self.scales.requires_grad_(warm and (step % 2 == 1 or not self.alternating))
        self.weight.requires_grad_(not warm or step % 2 == 0 or not self.alternating)

    @classmethod
    def project_family_(cls, members: Sequence["Birkhoff"]) -> None:
        for stitcher in members:
            if stitcher.scales is not None:
                stitcher.scales.clamp_(min=0.0)
        for equals in _alike(members):
            for stitcher, matrix in zip(equals, _projected(equals, torch.stack([s.weight for s in equals])), strict=True):
                stitcher.weight.copy_(matrix)

    def rounded(self) -> Stitcher:
        return _fixed(self, self.weight, self.scales)


@torch.no_grad()
def project_gradients(stitchers: Sequence[Stitcher], lrs: Sequence[float]) -> None:
    """Replace the gradient G of W by (W − Π(W − lr·G)) / lr, so that a plain SGD step of that rate lands on the projection Π.

    Only for Birkhoff stitchers with `pgd="gradient"` whose W has a gradient; call it between backward and step. Other
    optimizers take it as the gradient that it is, and `project_all` sees to it that W stays in the polytope.
    """
    rates = dict(zip(stitchers, lrs, strict=True))
    members = [s for s in by_class(stitchers).get(Birkhoff, []) if isinstance(s, Birkhoff)]
    for equals in _alike([s for s in members if s.pgd == "gradient" and s.weight.grad is not None]):
        _project_gradients(equals, [rates[s] for s in equals])


def _project_gradients(equals: list[Birkhoff], lrs: list[float]) -> None:
    weights = torch.stack([birkhoff.exact(s.weight) for s in equals])
    gradients = torch.stack([birkhoff.exact(s.weight.grad) for s in equals if s.weight.grad is not None])
    rates = weights.new_tensor(lrs)[:, None, None]
    steps = (weights - _projected(equals, weights - rates * gradients)) / rates
    for stitcher, step in zip(equals, steps, strict=True):
        stitcher.weight.grad = step.to(device=stitcher.weight.device, dtype=stitcher.weight.dtype)


def _alike(members: Sequence[Birkhoff]) -> list[list[Birkhoff]]:
    """In groups that are projected together."""

    def key(stitcher: Birkhoff) -> tuple[int, str]:
        return stitcher.inputs, stitcher.projection

    return [list(group) for _, group in groupby(sorted(members, key=key), key)]


def _projected(equals: Sequence[Birkhoff], points: Tensor) -> Tensor:
    """The points (k, n, n) projected as their stitchers want it."""
    return PROJECTIONS[equals[0].projection](equals, points)


def _euclidean(equals: Sequence[Birkhoff], points: Tensor) -> Tensor:
    """The nearest doubly stochastic matrices; one that cannot be projected becomes NaN."""
    known = [s.duals for s in equals if s.duals is not None]
    projected = birkhoff.euclidean(points, torch.stack(known) if len(known) == len(equals) else None)
    for stitcher, duals in zip(equals, projected.duals, strict=True):
        stitcher.duals = duals
    return projected.matrix.masked_fill((projected.error > LOST)[:, None, None], torch.nan)


def _sinkhorn(equals: Sequence[Birkhoff], points: Tensor) -> Tensor:
    return birkhoff.sinkhorn(points)


def _fixed(stitcher: Stitcher, weight: Tensor, scales: Tensor | None) -> Permutation:
    """The permutation nearest to `weight` with these scales, in the place of `stitcher`."""
    fixed = Permutation(stitcher.inputs, stitcher.outputs).to(weight.device)
    fixed.surroundings_of_(stitcher)
    fixed.start_(Affine(weight.detach(), scales=None if scales is None else scales.detach()))
    return fixed


def _need_known(field: str, word: str, choices: Sequence[str] | dict) -> None:
    if word not in choices:
        raise InputError(f"there is no {field} '{word}'", where=field, do=nearest(word, choices))


def _need_positive(tau: float) -> None:
    if not tau > 0:
        raise InputError(f"a temperature of {tau} sorts nothing", where="tau", do="choose a value above 0")


PROJECTIONS = {"euclidean": _euclidean, "sinkhorn": _sinkhorn}
