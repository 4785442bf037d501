"""Owns the singular values of a stitcher's map, its rank, and the map cut to a part of that rank."""

import copy
from dataclasses import replace

import torch

from repsim.stitching.birkhoff import exact
from repsim.stitching.evaluation import Entry
from repsim.stitching.stitchers import Affine, Linear

WIDEST = 2048  # no singular values of maps that are wider on both sides: they take minutes
SHARES = (90, 80, 70, 60, 50, 40, 30, 20, 10)  # percent of the rank


def singular_values(affine: Affine) -> torch.Tensor | None:
    """Of diag(s) W, descending, fp64 on the CPU; None where both sides are wider than 2,048."""
    matrix = exact(affine.matrix).cpu()
    return torch.linalg.svdvals(matrix) if min(matrix.shape) <= WIDEST else None


def rank(values: torch.Tensor, affine: Affine) -> int:
    """How many singular values are more than the rounding of fp32 weights."""
    smallest = float(values[0]) * max(affine.weight.shape) * torch.finfo(torch.float32).eps
    return int((values > smallest).sum())


def truncations(entry: Entry) -> dict[int, Entry]:
    """By percent of the rank (to the nearest, at least 1): the entry with diag(s) W at its best approximation of that rank.

    Eckart and Young 1936, in the Frobenius norm; the bias stays. Empty where `singular_values` is None.
    """
    applied = entry.stitcher.applied()
    values = singular_values(applied)
    if values is None:
        return {}
    full = rank(values, applied)
    left, values, right = torch.linalg.svd(exact(applied.matrix).cpu(), full_matrices=False)
    kept = {share: max(1, round(share / 100 * full)) for share in SHARES}
    return {share: _with(entry, left[:, :r] * values[:r] @ right[:r], applied.bias) for share, r in kept.items()}


def _with(entry: Entry, matrix: torch.Tensor, bias: torch.Tensor | None) -> Entry:
    """The entry with another map of rows; values are made rows, and put back, as before."""
    twin = Linear(entry.stitcher.inputs, entry.stitcher.outputs)
    twin.alignment = copy.deepcopy(entry.stitcher.alignment)
    twin.start_(Affine(matrix.float(), None if bias is None else bias.detach().cpu()))
    return replace(entry, stitcher=twin.to(next(entry.stitcher.parameters()).device))
