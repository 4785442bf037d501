"""Owns the k nearest neighbours of every image in one layer, kept while blocks of distances go by."""

import torch
from torch import Tensor


class Nearest:
    """The k images nearest to each image, itself left out; of equally near ones those that come first in the stream.

    Which blocks come in which order does not matter. Holds two (images, k) tensors.
    """

    def __init__(self, images: int, k: int, like: Tensor):
        self.k = k
        self.distance = torch.full((images, k), torch.inf, dtype=like.dtype, device=like.device)
        self.index = torch.full((images, k), images, device=like.device)

    def offer(self, first_row: int, first_column: int, distance: Tensor) -> None:
        """Distances (rows, columns) of images from `first_row` on to others from `first_column` on; inf of each to itself."""
        rows, columns = distance.shape
        mine = slice(first_row, first_row + rows)
        coming = torch.arange(first_column, first_column + columns, device=distance.device).expand(rows, columns)
        self.distance[mine], self.index[mine] = _least(
            torch.cat([self.distance[mine], distance], 1), torch.cat([self.index[mine], coming], 1), self.k
        )

    def sorted(self) -> tuple[Tensor, Tensor]:
        """Their indices in ascending order, and the distances that belong to them: both (images, k)."""
        index, order = self.index.sort(1)
        return index, self.distance.gather(1, order)


def _least(distance: Tensor, index: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Of each row the k least distances and their indices; of equal ones the lower indices."""
    near, at = distance.topk(k, dim=1, largest=False, sorted=False)
    border = near.amax(1, keepdim=True)
    tied = ((distance == border).sum(1) > (near == border).sum(1)) & border.squeeze(1).isfinite()
    rows = tied.nonzero().squeeze(1)
    by_index = index[rows].argsort(1)
    by_distance = distance[rows].gather(1, by_index).argsort(dim=1, stable=True)[:, :k]
    at[rows] = by_index.gather(1, by_distance)
    return distance.gather(1, at), index.gather(1, at)


def found_in(index: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Whether each of `index` is in the same row of `other`, and at which column there; (n, k) both, rows ascending."""
    at = torch.searchsorted(other, index).clamp_(max=other.shape[1] - 1)
    return other.gather(1, at) == index, at
