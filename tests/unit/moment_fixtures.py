"""Owns the layers that the tests of moment measures compare: the fixtures with published values, and random ones."""

import itertools
from collections.abc import Iterator

import numpy as np
import similarity_data
import torch
from similarity_data import fixture_a, fixture_b
from torch import Tensor

__all__ = ["centred", "fixture_a", "fixture_b", "fixture_c", "normal", "related", "rotation", "shuffles"]


def fixture_c() -> tuple[Tensor, Tensor]:
    """The published maps, as 25 rows of 6 channels per image."""
    x, y = (maps.flatten(2).mT.contiguous() for maps in similarity_data.fixture_c())
    return x, y


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
