"""Owns the layers that the tests of moment measures compare: the fixtures with published values, and random ones."""

import itertools
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor


def fixture_a() -> tuple[Tensor, Tensor]:
    """(100, 10) twice, related: the input of the published CKA demonstration."""
    random = np.random.RandomState(1337)
    x = random.randn(100, 10)
    return torch.tensor(x), torch.tensor(random.randn(100, 10) + x)


def fixture_b() -> tuple[Tensor, Tensor]:
    """(20, 50) and (20, 30), unrelated: more channels than images."""
    random = np.random.RandomState(0)
    return torch.tensor(random.randn(20, 50)), torch.tensor(random.randn(20, 30))


def fixture_c() -> tuple[Tensor, Tensor]:
    """Maps (16, 6, 5, 5) twice, unrelated and positive, as 25 rows of 6 channels per image."""
    random = np.random.RandomState(0)
    x, y = (torch.tensor(random.uniform(size=(16, 6, 5, 5))) for _ in range(2))
    return tuple(maps.flatten(2).mT.contiguous() for maps in (x, y))  # pyright: ignore[reportReturnType]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def related(n: int = 60, p: int = 5, q: int = 3, seed: int = 0) -> tuple[Tensor, Tensor]:
    """x (n, p) and y (n, q) with means and correlations of their own, partly of the same cause."""
    x = normal(n, p, seed=seed) @ normal(p, p, seed=seed + 1) + 2
    return x, x @ normal(p, q, seed=seed + 2) + 3 * normal(n, q, seed=seed + 3) - 1


def rotation(width: int, seed: int = 9) -> Tensor:
    return torch.linalg.qr(normal(width, width, seed=seed)).Q


def centred(rows: Tensor) -> np.ndarray:
    return (rows - rows.mean(0)).numpy()


def shuffles(y: Tensor) -> Iterator[Tensor]:
    """y with its images in every possible order."""
    return (y[list(order)] for order in itertools.permutations(range(len(y))))
