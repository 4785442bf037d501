"""Owns representational similarity analysis: how alike two layers are in which images they tell apart."""

from collections.abc import Iterable, Mapping, Sequence

from torch import Tensor

from repsim.errors import InputError, nearest
from repsim.similarity import alone
from repsim.similarity.accumulator import Accumulator, Facts, Source, Tile
from repsim.similarity.options import checked
from repsim.similarity.rdm import KINDS, Rdm
from repsim.similarity.rdm_grids import GRIDS, Grid, comparison
from repsim.similarity.request import Request, Sample
from repsim.similarity.similarity import Similarity


@checked
def rsa(x: Tensor, y: Tensor, *, rdm: str = "correlation", comparison: str = "spearman") -> Similarity:
    """compare(d_x, d_y), where d_x holds the dissimilarity of every two of n images in x, n(n − 1)/2 numbers, and d_y that in y.

    Kriegeskorte, Mur & Bandettini (2008), Representational similarity analysis.

    rdm: `correlation` 1 − Pearson's r of the values of two images, each image less its own mean; `cosine` 1 − cos; `euclidean`
    ‖x_i − x_j‖; `sqeuclidean` its square. An image without variation (correlation), or of zeros (cosine), is at 1 from every
    other; `still_images_front`, `still_images_end` in the details count them.
    comparison: `pearson` r; `spearman` r of the average ranks; `kendall` tau-b, InputError above `ranks.KENDALL_PAIRS` pairs of
    images; `cosine` Σd_x d_y / √(Σd_x² Σd_y²), which is not centred, and near 1 of any two layers.

    Args:
        x, y: (n, p) and (n, q) of the same images; any float type, any device; computed in fp64.

    Returns:
        In [−1, 1]; with `cosine` in [0, 1], for no dissimilarity is below 0. 1 for x = y. The same for y and x.
        Null: 0, the exact mean over all orders of the images; of `cosine` Σd_x Σd_y / (N √(Σd_x² Σd_y²)), N = n(n − 1)/2.
        A bootstrap over groups of images counts a pair of images as often as both are drawn, and no image against its own copy; of
        `spearman` the ranks stay those among all pairs; `kendall` has no interval.
        Undefined for n < 3, for a constant layer, and where all images are equally far apart.

    Unchanged by isotropic scales and permutations of the values, in every kind; by orthogonal maps in all kinds but `correlation`;
    by translations in `euclidean` and `sqeuclidean`; by a factor > 0 for each image in `correlation` and `cosine`; by a number
    added to all values of an image in `correlation`. By `spearman` and `kendall`, `euclidean` and `sqeuclidean` are the same;
    both tie dissimilarities that only rounding parts (see `ranks.snapped`).
    """
    return alone.measured(Rsa, "rsa", x, y, rdm=rdm, comparison=comparison)


class Rsa(Accumulator):
    """`rsa` of many pairs of layers: one grid for each kind of dissimilarity, of their values and of their ranks."""

    def __init__(self, requests: Sequence[Request], sample: Sample):
        members: dict[tuple[Rdm, type[Grid]], list[Request]] = {}
        for request in requests:
            members.setdefault((kernel(request), GRIDS[comparison(request)]), []).append(request)
        self._grids = [grid(of, found, sample) for (of, grid), found in members.items()]

    def needs(self) -> Iterable[tuple[Rdm, Source]]:
        for grid in self._grids:
            yield from ((grid.kernel, source) for source in (*grid.fronts, *grid.ends))

    def add(self, tile: Tile, sweep: int) -> None:
        for grid in self._grids:
            grid.add(tile)

    def results(self, facts: Facts) -> Mapping[Request, Similarity]:
        return {request: found for grid in self._grids for request, found in grid.results(facts).items()}


def kernel(request: Request) -> Rdm:
    """The dissimilarity that is asked; InputError if there is none of that name."""
    kind = request.chosen.get("rdm", "correlation")
    if kind not in KINDS:
        raise InputError(f"there is no dissimilarity '{kind}'", where="rdm", do=nearest(str(kind), KINDS))
    return Rdm(kind)
