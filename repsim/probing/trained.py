"""Owns the probes that are trained by gradient descent: all layers, ranks and seeds of one network on shared batches.

Probes at one site that are trained alike are one stack, and one product of their rows; this equals training each alone.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from repsim.probing.asked import Asked
from repsim.probing.basis import Basis
from repsim.probing.ridge import Heads
from repsim.probing.rows import Eye, Seen, Site
from repsim.stitching.optimizers import Optimizers
from repsim.stitching.runs import Training

Epoch = Callable[[], Iterable[tuple[Tensor, Tensor, Tensor]]]  # (x, y, positions) of each batch


class Stack(nn.Module):
    """K linear probes at one site, and behind them their K twins that are shown the labels of other images.

    logits = Wᵀx_r + b of the approximated rows x_r = m + V_rV_rᵀ(x − m). W is trained as it stands, not in coordinates of V: an
    optimizer that looks at single weights (Adam) steps as it would on the rows x_r themselves.
    """

    undecayed: ClassVar[tuple[str, ...]] = ("bias",)

    def __init__(self, asked: Sequence[Asked], basis: Basis, width: int, classes: int, device: torch.device):
        super().__init__()
        self.asked, self.site, self.training_of = list(asked), asked[0].site, _training(asked[0])
        starts = [_start(one.seed, width, classes) for one in asked] * 2
        self.weight = nn.Parameter(torch.stack([weight for weight, _ in starts]).to(device))
        self.bias = nn.Parameter(torch.stack([bias for _, bias in starts]).to(device))
        self.losses: list[Tensor] = []  # of the steps of an epoch, summed over images
        self.images = 0
        self._basis = replace(basis, vectors=basis.vectors.to(device, torch.float32))
        self._middle = basis.middle().to(device, torch.float32)
        kept = torch.tensor([basis.kept(one.rank) for one in asked] * 2, device=device)
        self._kept = torch.arange(width, device=device) < kept[:, None]
        self._whole = all(one.rank is None for one in asked)

    def effective(self) -> tuple[Tensor, Tensor]:
        """Weights (2K, p, C) and biases (2K, C) for rows as they are: the approximation is part of the map."""
        if self._whole:
            return self.weight, self.bias
        inner = self._basis.turn(self.weight.mT) * self._kept[:, None]
        weight = self._basis.back(inner).mT
        return weight, self.bias + self._middle @ (self.weight - weight)

    def forward(self, rows: Tensor) -> Tensor:
        """Logits (2K, n, C) of rows (n, p)."""
        return Heads(*self.effective())(rows)

    def pairs(self) -> dict[Asked, Heads]:
        """Of each probe its head and that of its twin, as they are now, in fp64."""
        weight, bias = (value.detach().double().unflatten(0, (2, -1)) for value in self.effective())
        return {one: Heads(weight[:, place], bias[:, place]) for place, one in enumerate(self.asked)}

    def notes(self) -> dict[Asked, tuple[float, bool]]:
        """Of each probe the mean loss over the images of the last epoch, and whether it diverged."""
        finite = self.weight.isfinite().all(2).all(1) & self.bias.isfinite().all(1)
        whole = finite.unflatten(0, (2, -1)).all(0).tolist()
        losses = (torch.stack(self.losses).double().sum(0) / self.images)[: len(self.asked)].tolist()
        return {one: (loss, not ok) for one, loss, ok in zip(self.asked, losses, whole, strict=True)}


def stacks(
    asked: Iterable[Asked], bases: Mapping[Site, Basis], widths: Mapping[Site, int], classes: int, device: torch.device
) -> list[Stack]:
    """Those that are asked for, packed: full rank apart from lower ranks, which cost a product more."""
    alike: dict[tuple[Site, Training, bool], list[Asked]] = {}
    for one in asked:
        alike.setdefault((one.site, _training(one), one.rank is None), []).append(one)
    return [Stack(some, bases[some[0].site], widths[some[0].site], classes, device) for some in alike.values()]


def train(found: Sequence[Stack], epoch: Epoch, see: Callable[[Tensor, Tensor], Mapping[Site, Tensor]], others: Tensor) -> None:
    """Train all stacks, each for its own number of epochs.

    Args:
        see: (x, positions) → rows (n, p) fp32 of every site.
        others: by position of an image the label of another one (n,).
    """
    optimizers = Optimizers([_Run(stack) for stack in found])
    for number in range(max((stack.training_of.epochs for stack in found), default=0)):
        active = [stack for stack in found if number < stack.training_of.epochs]
        for stack in active:
            stack.losses, stack.images = [], 0
        for x, y, index in epoch():
            rows = see(x, index)
            optimizers.clear()
            with torch.enable_grad():
                total = sum(_loss(stack, rows[stack.site], y, others[index]) for stack in active)
            assert isinstance(total, Tensor)
            total.backward()
            optimizers.step(number)


def kept_rows(see: Callable[[Tensor], Seen], batches: Iterable[tuple[Tensor, Tensor]], sites: Sequence[Site]) -> dict[Site, Tensor]:
    """The rows (n, p) fp32 of all images in the order of `batches`."""
    parts: dict[Site, list[Tensor]] = {site: [] for site in sites}
    for x, _ in batches:
        seen = see(x)
        for site in sites:
            parts[site].append(seen.rows(site).to(x.device, torch.float32))
    return {site: torch.cat(some) for site, some in parts.items()}


def reader(
    eye: Eye, batches: Callable[[], Iterable[tuple[Tensor, Tensor]]], sites: Sequence[Site], room: bool
) -> Callable[[Tensor, Tensor], Mapping[Site, Tensor]]:
    """(x, positions) → rows (n, p) fp32 of every site: kept from one pass where there is `room`, else made from each batch."""
    see = eye.reader()
    if room:
        kept = kept_rows(see, batches(), sites)
        return lambda x, index: {site: rows[index] for site, rows in kept.items()}

    def fresh(x: Tensor, index: Tensor) -> Mapping[Site, Tensor]:
        seen = see(x)
        return {site: seen.rows(site).to(x.device, torch.float32) for site in sites}

    return fresh


class _Run:
    """A stack as an optimizer sees it."""

    def __init__(self, stack: Stack):
        self.stitcher, self.training = stack, stack.training_of


def _loss(stack: Stack, rows: Tensor, y: Tensor, others: Tensor) -> Tensor:
    """Sum over the probes of their mean cross-entropies: each has its own gradient."""
    logits = stack(rows)
    half = len(stack.asked)
    targets = torch.cat((y.expand(half, -1), others.expand(half, -1)))
    found = functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
    sums = found.unflatten(0, targets.shape).sum(1)
    stack.losses.append(sums.detach())
    stack.images += len(y)
    return sums.sum() / len(y)


def _start(seed: int, width: int, classes: int) -> tuple[Tensor, Tensor]:
    """U(−1/√p, 1/√p): the default of torch's Linear."""
    generator, bound = Generator().manual_seed(seed), width**-0.5
    weight = torch.empty(width, classes).uniform_(-bound, bound, generator=generator)
    return weight, torch.empty(classes).uniform_(-bound, bound, generator=generator)


def _training(one: Asked) -> Training:
    assert one.training is not None, "a closed form is not trained"
    return one.training
