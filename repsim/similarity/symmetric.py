"""Owns x xᵀ of many rows: on one core half of the products are formed.

By BLAS's symmetric rank-k update, which torch does not offer. It comes with SciPy, whose threads and torch's wait for each
other: with more than one of either, a small product took 8 ms in place of 0.3.
"""

import torch
from scipy.linalg import blas
from torch import Tensor

UPDATES = {torch.float32: "ssyrk", torch.float64: "dsyrk"}
FEW = 32  # rows: below, a whole product takes no longer


def own_products(rows: Tensor) -> Tensor:
    """x xᵀ of each x (n, p) of `rows` (…, n, p): (…, n, n), in the precision of the rows."""
    alone = rows.device.type == "cpu" and torch.get_num_threads() == 1
    if not alone or rows.dtype not in UPDATES or rows.shape[-2] < FEW:
        return rows @ rows.mT
    if rows.ndim == 2:
        return _updated(rows)
    return torch.stack([own_products(x) for x in rows])


def _updated(x: Tensor) -> Tensor:
    """Of one x (n, p). The transpose of contiguous rows is what BLAS calls columns: nothing is copied."""
    update = getattr(blas, UPDATES[x.dtype])
    half = torch.from_numpy(update(1.0, x.contiguous().numpy().T, trans=1))  # one triangle, 0 in the other
    whole = half + half.mT
    whole.diagonal().mul_(0.5)
    return whole
