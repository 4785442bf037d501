"""Owns x xᵀ of many rows: on a CPU half of the products are formed.

By BLAS's symmetric rank-k update, which torch does not offer.
"""

import torch
from scipy.linalg import blas
from torch import Tensor

UPDATES = {torch.float32: "ssyrk", torch.float64: "dsyrk"}
FEW = 32  # rows: below, a whole product takes no longer


def own_products(rows: Tensor) -> Tensor:
    """x xᵀ of each x (n, p) of `rows` (…, n, p): (…, n, n), exactly symmetric, in the precision of the rows."""
    if rows.device.type != "cpu" or rows.dtype not in UPDATES or rows.shape[-2] < FEW:
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
