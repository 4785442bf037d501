"""Owns linear CKA from moments: biased, debiased, as an angle. From pairs of images the same numbers come by `tiles`."""

from math import acos

from torch import Tensor

from repsim.similarity.measure import moment_measure
from repsim.similarity.moments import PairMoments
from repsim.similarity.similarity import SAFETY, Similarity, undefined
from repsim.similarity.ustatistic import FEWEST


def _null(m: PairMoments) -> float:
    """The mean of ‖S_xy‖² over permutations of the images is tr S_xx · tr S_yy / (n − 1)."""
    scale = m.once_x(_concentration) * m.once_y(_concentration)
    return (1 / scale).item() / (m.rows - 1)


@moment_measure(null=_null, rotations=True)
def cka(m: PairMoments) -> Similarity:
    """Linear CKA ‖S_xy‖_F² / (‖S_xx‖_F ‖S_yy‖_F) (Kornblith et al. 2019, section 3), S centred sums over rows x (p), y (q).

    In [0, 1], symmetric; unchanged by translations, isotropic scales and orthogonal maps of either side. The biased (HSIC₀)
    value: near 1 for anything where p, q ≫ n, so read it beside its null, tr S_xx tr S_yy / ((n − 1) ‖S_xx‖ ‖S_yy‖) for one row
    per image. A few outlying images can change it much (Davari et al. 2023). Undefined for a constant layer.
    """
    if (why := m.constant()) is not None:
        return undefined(why)
    return Similarity((m.xy.square().sum() / (m.once_x(_norm) * m.once_y(_norm))).clamp(max=1.0).item())


@moment_measure(null=lambda m: 0.0, unbiased=True, rotations=True)
def cka_debiased(m: PairMoments) -> Similarity:
    """Debiased linear CKA h_xy / √(h_xx h_yy), h unbiased estimates of ‖Cov‖_F² over distinct images (see `ustatistic`).

    With one row per image h is HSIC₁ (Song et al. 2012, equation 5; Nguyen et al. 2021, equation 3), the value lies in [−1, 1]
    and equals U-statistic distance correlation of exponent 2, squared; its mean over permutations is 0. With m rows per image
    (channel view) rows of one image never meet: all of its m × m block is left out, not only the diagonal of all rows, which
    is the other number known as debiased; noise may then push the value out of [−1, 1]. A negative value is right where nothing
    is shared; never clamped.
    Symmetric; unchanged as `cka`. Undefined for n < 4, for a constant layer and where h_xx or h_yy is not above 0.
    """
    if (why := m.constant()) is not None:
        return undefined(why)
    if m.images < FEWEST:
        return undefined(f"{m.images} images, and cka_debiased takes {FEWEST}")
    assert m.unbiased is not None, "moments without their unbiased estimates"
    x = _above(m.unbiased.xx, m.xx.diagonal() / m.rows, m.mean_x, m.noise, m.noise_x)
    y = _above(m.unbiased.yy, m.yy.diagonal() / m.rows, m.mean_y, m.noise, m.noise_y)
    if not (x and y):
        return undefined(f"all images are equally alike ({'end' if x else 'front' if y else 'both'})")
    return Similarity((m.unbiased.xy / (m.unbiased.xx * m.unbiased.yy).sqrt()).item())


@moment_measure(null=lambda m: acos(min(1.0, _null(m))), rotations=True)
def cka_angular(m: PairMoments) -> Similarity:
    """arccos(CKA) of the biased linear `cka`, in radians: a metric (Williams et al. 2021, supplement).

    A distance in [0, π/2], symmetric; unchanged as `cka`. Null: the angle of the mean CKA. Undefined for a constant layer.
    """
    found = cka.of(m)
    return found if found.value is None else Similarity(acos(min(1.0, found.value)))


def _above(own: Tensor, variance: Tensor, mean: Tensor, products: float, values: float) -> bool:
    """Whether ‖Cov‖² is more than what the rounding of products, and of values around `mean` (p), makes of `variance` (p)."""
    moved = (SAFETY * values) ** 2 * (variance * mean.square()).sum()
    return bool(own > SAFETY * products * variance.sum().square() + moved)


def _norm(gram: Tensor) -> Tensor:
    return gram.norm()


def _concentration(gram: Tensor) -> Tensor:
    """‖S‖_F / tr S: 1 for one direction, 1/√p for p equal ones."""
    return gram.norm() / gram.trace()
