"""Owns the kernels: a number for every pair of images of one layer, of all layers of a side at once.

All are up to functions of one image alone, k(x, x') + f(x) + f(x'), which every centred measure ignores: see `Rbf`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import e
from typing import Literal

import torch
from torch import Tensor

from repsim.similarity.accumulator import Facts, Ready, Source, Tile
from repsim.similarity.footprint import CHANNEL_ROOM

Statistic = Literal["max", "median"]


@dataclass(frozen=True)
class Inner:
    """k(x, x') = ⟨x, x'⟩ of rows made ready in some way."""

    ready: Ready = "shifted"
    wants: Literal["channels"] | None = None

    @property
    def centred(self) -> bool:
        return self.ready in ("shifted", "flat channels")

    def of(self, tile: Tile, sources: Sequence[Source]) -> Tensor:
        return tile.inner(self.ready, sources)

    def moved(self, facts: Facts, source: Source) -> Tensor:
        """Mean square of what the rounding of activations changes in an entry, at most: twice the mean ⟨δ, x⟩² of ready rows."""
        if self.ready != "flat channels":
            return 2 * facts.aligned[source] * facts.blurred(source) * facts.spread[source] / facts.images
        known, eps = facts.channels[source], facts.blur(source)
        living = known.centred > 0
        blurred = (eps * known.plain / known.centred)[living].square().sum()
        return 2 * blurred / facts.images**2


@dataclass(frozen=True)
class Squared:
    """k(x, x') = ‖x − x'‖², never below 0, and 0 of an image with itself."""

    ready: Ready = "shifted"
    wants: None = None
    centred: bool = False

    def of(self, tile: Tile, sources: Sequence[Source]) -> Tensor:
        first = torch.stack([tile.first.norms(source) for source in sources])
        second = torch.stack([tile.second.norms(source) for source in sources])
        squared = (first[:, :, None] + second[:, None, :]).sub_(tile.inner("shifted", sources), alpha=2).clamp_(min=0)
        if tile.diagonal:
            squared.diagonal(dim1=1, dim2=2).zero_()
        return squared


@dataclass(frozen=True)
class MinusHalfDistance:
    """k(x, x') = −‖x − x'‖ / 2: the kernel whose HSIC is the distance covariance (Sejdinovic et al. 2013)."""

    ready: Ready = "shifted"
    wants: None = None
    centred: bool = False

    def of(self, tile: Tile, sources: Sequence[Source]) -> Tensor:
        return Squared().of(tile, sources).sqrt_().mul_(-0.5)

    def moved(self, facts: Facts, source: Source) -> Tensor:
        """Mean square of what the rounding of activations changes in an entry, at most."""
        return facts.aligned[source] * facts.blurred(source) / 2


@dataclass(frozen=True)
class Rbf:
    """k(x, x') = exp(−‖x − x'‖² / 2σ²) − 1 with σ = `bandwidth` · √(median of all n² squared distances).

    The constant −1 changes no centred measure and keeps the digits of a wide kernel, which is all but 1.
    """

    bandwidth: float
    ready: Ready = "shifted"
    wants: Literal["median"] = "median"
    centred: bool = False

    def of(self, tile: Tile, sources: Sequence[Source]) -> Tensor:
        squared = Squared().of(tile, sources)
        sigma = torch.stack([self.sigma(tile.facts, source) for source in sources])
        scale = torch.where(sigma > 0, -0.5 / sigma.square(), torch.zeros_like(sigma))
        return squared.mul_(scale.to(squared)[:, None, None]).expm1_()

    def moved(self, facts: Facts, source: Source) -> Tensor:
        """Mean square of what the rounding of activations changes in an entry, at most: the slope is 1/σ√e at most."""
        sigma = self.sigma(facts, source).square()
        return torch.where(sigma > 0, 2 / e * facts.aligned[source] * facts.blurred(source) / sigma, torch.zeros_like(sigma))

    def sigma(self, facts: Facts, source: Source) -> Tensor:
        """σ of one layer, 0-d; 0 where more than half of all images are equal."""
        median = facts.median[source]
        return self.bandwidth * torch.where(median > 2 * facts.blurred(source), median, torch.zeros_like(median)).sqrt()


@dataclass(frozen=True)
class Wreath:
    """k(x, x') = max (or median) over channels c of Σ_hw x_chw x'_chw, of channels of unit norm (Godfrey et al. 2022, §5).

    `centred`: each channel less its mean over images and positions before its norm is taken. A dead channel stays 0 and
    takes part. The median of an even number of channels is the lower one.
    """

    statistic: Statistic = "max"
    centred_channels: bool = True
    wants: Literal["channels"] = "channels"
    centred: bool = False

    @property
    def ready(self) -> Ready:
        return "centred channels" if self.centred_channels else "unit channels"

    def of(self, tile: Tile, sources: Sequence[Source]) -> Tensor:
        reduce = _greatest if self.statistic == "max" else _median
        return torch.stack([reduce(tile.first.ready(self.ready, s), tile.second.ready(self.ready, s)) for s in sources])

    def moved(self, facts: Facts, source: Source) -> Tensor:
        """Mean square of what the rounding of activations changes in an entry, at most: that of its least certain channel."""
        known, eps = facts.channels[source], facts.blur(source)
        norms = known.centred if self.centred_channels else known.plain
        relative = torch.where(norms > 0, eps * known.plain / norms, 0.0)
        return 2 * relative.max().square() / facts.images**2


HsicKernel = Inner | MinusHalfDistance | Rbf | Wreath
"""The kernels that measures are ratios of."""


def _greatest(x: Tensor, y: Tensor) -> Tensor:
    """The greatest over channels of the products of (c, a, m) and (c, b, m): (a, b)."""
    step = max(1, CHANNEL_ROOM // (x.shape[1] * y.shape[1]))
    found = torch.bmm(x[:step], y[:step].mT).amax(0)
    for start in range(step, len(x), step):
        product = torch.bmm(x[start : start + step], y[start : start + step].mT)
        torch.maximum(found, product.amax(0), out=found)
    return found


def _median(x: Tensor, y: Tensor) -> Tensor:
    """The lower median over channels, in strips of images."""
    step = max(1, CHANNEL_ROOM // (len(x) * y.shape[1]))
    return torch.cat([torch.bmm(strip, y.mT).median(0).values for strip in x.split(step, dim=1)])
