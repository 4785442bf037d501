"""Owns the data of the matching tests: related rows, and their moments by NumPy's definition."""

import torch

from repsim.stitching.moments import Moments


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def related(n: int = 200, p: int = 6, q: int = 4, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows x (n, p) and y (n, q) with means of their own."""
    x = normal(n, p, seed=seed) @ normal(p, p, seed=seed + 1) + 2
    return x, x @ normal(p, q, seed=seed + 2) + normal(n, q, seed=seed + 3) - 1


def rectified(n: int = 2000, p: int = 64, q: int = 64, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Like two layers after their ReLU: few common causes of falling size, sparse, ill-conditioned, channels of all scales."""
    causes = p // 4
    latent = normal(n, causes, seed=seed) * torch.logspace(0, -3, causes, dtype=torch.float64)

    def layer(width: int, at: int) -> torch.Tensor:
        bias = 0.3 * torch.rand(width, generator=torch.Generator().manual_seed(at), dtype=torch.float64)
        before = latent @ normal(causes, width, seed=at) + 0.01 * normal(n, width, seed=at + 1) - bias
        return before.relu() * torch.logspace(-1, 1, width, dtype=torch.float64)

    return layer(p, seed + 1), layer(q, seed + 3)


def moments(x: torch.Tensor, y: torch.Tensor) -> Moments:
    mean_x, mean_y = x.mean(0), y.mean(0)
    u, v = x - mean_x, y - mean_y
    return Moments(len(x), mean_x, mean_y, u.T @ u, v.T @ v, u.T @ v)
