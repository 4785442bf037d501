"""Owns direct matching channel to channel: the best permutation, and the best permutation with scales (G_ReLU).

Neither family has a bias, so the sums are not centred. The assignment is solved exactly (Hungarian algorithm).
"""

import torch
from torch import Tensor

from repsim.errors import InputError
from repsim.stitching import birkhoff
from repsim.stitching.moments import Moments
from repsim.stitching.stitcher import Affine


def permutation(moments: Moments) -> Affine:
    """argmax_π Σ_j ⟨x_π(j), y_j⟩ (linear assignment on the uncentred Σxyᵀ)."""
    need_square(moments)
    index = birkhoff.best_permutation(moments.raw()[2].mT)
    return Affine(_one_hot(index, moments.xx))


def g_relu(moments: Moments) -> Affine:
    """A permutation with non-negative scales: assignment on max(0, ⟨x_i, y_j⟩)² / ‖x_i‖², s_j = max(0, ⟨x_i, y_j⟩) / ‖x_i‖².

    Godfrey et al. 2022: the intertwiner group of ReLU. Dead inputs (‖x_i‖ ≤ ε max‖x‖, ε of fp64) gain nothing and scale by 0.
    """
    need_square(moments)
    xx, _, xy = moments.raw()
    power = xx.diagonal()[:, None]
    inner = xy.clamp(min=0.0)
    # not moments.noise: each sum of squares is exact to that share of itself, however large the channels beside it
    alive = power > power.max() * torch.finfo(power.dtype).eps ** 2
    gain = torch.where(alive, inner.square() / power, torch.zeros_like(inner))
    scale = torch.where(alive, inner / power, torch.zeros_like(inner))
    index = birkhoff.best_permutation(gain.mT)
    return Affine(_one_hot(index, xx), scales=scale[index, torch.arange(len(index), device=xx.device)])


def need_square(moments: Moments) -> None:
    """Raise InputError where there are not as many channels in front as behind."""
    p, q = moments.xy.shape
    if p != q:
        what = f"channels cannot be matched one to one: {p} in front, {q} behind"
        raise InputError(what, where="front_layer, end_layer", do="choose layers of equal width, or a linear stitcher")


def _one_hot(index: Tensor, like: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(index, len(index)).to(like.dtype)
