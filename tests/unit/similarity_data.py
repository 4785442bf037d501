"""Known inputs of similarity measures: the fixtures on which published code was run, and small random ones."""

import numpy as np
import torch
from torch import Tensor


def fixture_a() -> tuple[Tensor, Tensor]:
    """The input of the published demo of CKA: 100 × 10 standard normal, and another such plus the first."""
    drawn = np.random.RandomState(1337)
    x = drawn.randn(100, 10)
    return torch.tensor(x), torch.tensor(drawn.randn(100, 10) + x)


def fixture_b() -> tuple[Tensor, Tensor]:
    """Fewer images than values: 20 × 50 and 20 × 30, unrelated."""
    drawn = np.random.RandomState(0)
    return torch.tensor(drawn.randn(20, 50)), torch.tensor(drawn.randn(20, 30))


def fixture_c() -> tuple[Tensor, Tensor]:
    """Maps: two times 16 × 6 × 5 × 5, uniform, unrelated."""
    drawn = np.random.RandomState(0)
    return torch.tensor(drawn.rand(16, 6, 5, 5)), torch.tensor(drawn.rand(16, 6, 5, 5))
