"""Owns the closed-form detectors: Gaussians fitted to pooled activations, and how far an activation lies from them.

Moments are streamed and summed in fp64; nothing is trained. Covariances are divided by the number of images and shrunk:
(1 − s)·Σ + s·tr(Σ)/p·I. Sources: Lee et al. (2018) (Mahalanobis distance to the nearest class), Ren et al. (2021), eq. 3
(relative: minus the distance to one Gaussian of all classes).
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from repsim.errors import InputError
from repsim.stitching.alignment import make
from repsim.stitching.moments import Moments, Stream
from repsim.stitching.shapes import Joint


def pooled(value: Tensor) -> Tensor:
    """(n, p) fp64: the mean over positions of a map (n, p, h, w) or of tokens (n, t, p), class token and all; (n, p) as it is."""
    value = value.double() if value.device.type != "mps" else value.cpu().double()
    return value.mean((2, 3)) if value.dim() == 4 else value.mean(1) if value.dim() == 3 else value


class ClassMoments:
    """Streams the moments of activations beside their classes; the rest follows from them."""

    def __init__(self, classes: int):
        self._classes = classes
        self._stream: Stream | None = None

    def add(self, value: Tensor, labels: Tensor) -> None:
        """Add activations (n, …) and their labels (n,)."""
        rows = pooled(value)
        if self._stream is None:
            joint = Joint("channels", rows.shape[1], self._classes, (rows.shape[1],), (self._classes,))
            self._match = ("value", "class", joint)
            self._stream = Stream([self._match], {joint: make(joint)}, products=torch.float64)
        classes = functional.one_hot(labels.to(rows.device), self._classes).double()
        self._stream.add({"value": rows}, {"class": classes})

    def fitted(self) -> "Gaussians":
        """The Gaussians of all that was added."""
        assert self._stream is not None, "nothing was added"
        moments = self._stream.moments(self._match)
        moments.need_finite()
        return _gaussians(moments)


@dataclass(frozen=True)
class Gaussians:
    """One Gaussian per class with a covariance in common, and one of all classes together; fp64.

    Attributes:
        means: (C, p), of the C classes that were seen; `classes` (C,) says which.
        within: (p, p), covariance around the class means.
        mean, total: (p,) and (p, p), of all activations.
    """

    classes: Tensor
    means: Tensor
    within: Tensor
    mean: Tensor
    total: Tensor


def _gaussians(moments: Moments) -> Gaussians:
    counts = moments.mean_y * moments.rows
    seen = counts.round() > 0
    offsets = (moments.xy[:, seen] / counts[seen]).mT  # Σ (x − x̄)(1[y = c] − share) is n_c (x̄_c − x̄)
    between = offsets.mT @ (counts[seen, None] * offsets)
    within, total = (moments.xx - between) / moments.rows, moments.xx / moments.rows
    return Gaussians(seen.nonzero()[:, 0], moments.mean_x + offsets, within, moments.mean_x, total)


class Mahalanobis:
    """score(x) = min_c (x − μ_c)ᵀ Σ⁻¹ (x − μ_c), minus (x − μ)ᵀ Σ_all⁻¹ (x − μ) where it is `relative`."""

    def __init__(self, gaussians: Gaussians, shrinkage: float, relative: bool):
        """Raises InputError where a covariance is singular even so."""
        self._gaussians, self._relative = gaussians, relative
        self._within = _factor(gaussians.within, shrinkage)
        self._total = _factor(gaussians.total, shrinkage) if relative else None

    @torch.no_grad()
    def look(self, value: Tensor, carried: tuple[Tensor, ...] = ()) -> tuple[Tensor, Tensor]:
        """Scores (n,) fp64 of activations (n, …), and the class (n,) of the nearest mean."""
        rows, found = pooled(value), self._gaussians
        nearest = _distances(rows, found.means, self._within).min(1)
        score = nearest.values
        if self._total is not None:
            score = score - _distances(rows, found.mean[None], self._total)[:, 0]
        return score, found.classes[nearest.indices]


def _factor(covariance: Tensor, shrinkage: float) -> Tensor:
    """The lower Cholesky factor of the shrunk covariance."""
    p = len(covariance)
    spread = covariance.trace() / p
    shrunk = (1 - shrinkage) * covariance + shrinkage * spread * torch.eye(p, dtype=covariance.dtype, device=covariance.device)
    factor, failed = torch.linalg.cholesky_ex(shrunk)
    diagonal = factor.diagonal()
    if int(failed) or bool((diagonal.min() / diagonal.max()) ** 2 <= p * torch.finfo(factor.dtype).eps):
        what = f"the covariance of {p} channels is singular with a shrinkage of {shrinkage:g}"
        raise InputError(what, where="shrinkage", do="raise it, or take more training images")
    return factor


def _distances(rows: Tensor, means: Tensor, factor: Tensor) -> Tensor:
    """(n, C) squared Mahalanobis distances; differences are taken before they are squared."""
    white = torch.linalg.solve_triangular(factor, torch.cat([rows, means]).mT, upper=False).mT
    return torch.cdist(white[: len(rows)], white[len(rows) :], compute_mode="donot_use_mm_for_euclid_dist").square()
