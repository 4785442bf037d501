"""Owns x xᵀ of many rows: on one core half of the products are formed.

By BLAS's symmetric rank-k update, which torch does not offer and NumPy takes for a matrix times its own transpose. NumPy's
threads and torch's wait for each other: with more than one of either, a small product took 8 ms in place of 0.3, so that
several cores take a whole product each (see `cores`).
"""

import numpy as np
import torch
from torch import Tensor

FEW = 32  # rows: below, a whole product takes no longer
UPDATED = (torch.float32, torch.float64)


def own_products(rows: Tensor) -> Tensor:
    """x xᵀ of each x (n, p) of `rows` (…, n, p): (…, n, n), in the precision of the rows."""
    alone = rows.device.type == "cpu" and torch.get_num_threads() == 1
    if not alone or rows.dtype not in UPDATED or rows.shape[-2] < FEW:
        return rows @ rows.mT
    if rows.ndim == 2:
        x = rows.numpy()
        with np.errstate(over="ignore", invalid="ignore"):  # a status says so; torch does not warn either
            return torch.from_numpy(x @ x.T)
    return torch.stack([own_products(x) for x in rows])
