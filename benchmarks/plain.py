"""Owns minibatch CKA as one writes it down: forward hooks and a loop over pairs; and the same in double, to check the others."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


@torch.no_grad()
def loop(front: nn.Module, end: nn.Module, names: Sequence[str], batches: Any, device: str) -> Tensor:
    """(front, end): for every pair of layers of every batch both Gram matrices and three HSICs, in single precision."""
    sums = torch.zeros(3, len(names), len(names), device=device)
    with _captured(front, names) as x, _captured(end, names) as y:
        for (batch,) in batches:
            front(batch.to(device)), end(batch.to(device))
            for i, one in enumerate(names):
                for j, other in enumerate(names):
                    k, m = _gram(x[one]), _gram(y[other])
                    sums[:, i, j] += torch.stack([hsic(k, m), hsic(k, k), hsic(m, m)])
    return (sums[0] / (sums[1] * sums[2]).sqrt()).cpu()


@torch.no_grad()
def reference(front: nn.Module, end: nn.Module, names: Sequence[str], batches: Any, device: str) -> Tensor:
    """The same sums in double precision, each Gram matrix made and centred once."""
    cross = torch.zeros(len(names), len(names), dtype=torch.double, device=device)
    own = torch.zeros(2, len(names), dtype=torch.double, device=device)
    with _captured(front, names) as x, _captured(end, names) as y:
        for (batch,) in batches:
            front(batch.to(device)), end(batch.to(device))
            k, m = (torch.stack([_centred(_gram(side[name].double())) for name in names]) for side in (x, y))
            images = k.shape[1]
            cross += torch.einsum("aij,bij->ab", k, m) / (images * (images - 3))
            own += torch.stack([k.square().sum((1, 2)), m.square().sum((1, 2))]) / (images * (images - 3))
    return (cross / (own[0, :, None] * own[1]).sqrt()).cpu()


def hsic(k: Tensor, m: Tensor) -> Tensor:
    """Unbiased HSIC of Gram matrices (n, n) with zero diagonals: ⟨U(k), U(m)⟩ / (n (n − 3)) (Székely & Rizzo 2014)."""
    images = len(k)
    return (_centred(k) * _centred(m)).sum() / (images * (images - 3))


def _gram(values: Tensor) -> Tensor:
    """(n, …) → inner products of centred rows (n, n), zero on the diagonal."""
    rows = values.flatten(1)
    rows = rows - rows.mean(0)
    return (rows @ rows.T).fill_diagonal_(0)


def _centred(k: Tensor) -> Tensor:
    images, rows = len(k), k.sum(0)
    means = rows / (images - 2)
    return (k - means - means[:, None] + rows.sum() / ((images - 1) * (images - 2))).fill_diagonal_(0)


@contextmanager
def _captured(module: nn.Module, names: Sequence[str]) -> Iterator[Mapping[str, Tensor]]:
    """The outputs of submodules of the latest forward, by name."""
    values: dict[str, Tensor] = {}

    def keep(name: str):
        return lambda part, inputs, output: values.__setitem__(name, output.detach())

    handles = [module.get_submodule(name).register_forward_hook(keep(name)) for name in names]
    try:
        yield values
    finally:
        for handle in handles:
            handle.remove()
