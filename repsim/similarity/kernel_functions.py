"""Owns the kernel measures of pairs of images as functions of two tensors. Linear CKA from moments is in `linear`."""

from torch import Tensor

from repsim.similarity.alone import check, measured
from repsim.similarity.kernel_measures import BANDWIDTH, KernelMeasures
from repsim.similarity.kernels import Statistic
from repsim.similarity.minibatch import BATCH, MinibatchPass
from repsim.similarity.options import checked
from repsim.similarity.products import rounding, summable
from repsim.similarity.request import Request, Sample, Value
from repsim.similarity.similarity import Similarity


@checked
def cka_minibatch(x: Tensor, y: Tensor, *, batch: int = BATCH) -> Similarity:
    """Minibatch CKA Σ_b HSIC₁(K_b, L_b) / √(Σ_b HSIC₁(K_b, K_b) · Σ_b HSIC₁(L_b, L_b)) of linear kernels, rows x (n, p), y (n, q).

    Nguyen et al. (2021), equations 2 to 4: over consecutive batches, HSICs are averaged and then one ratio is taken. The
    last batch, where it is smaller, counts by n_b (n_b − 3), as in the authors' own sums; with fewer than 4 images it is left
    out. An estimate of `cka_debiased`: each of the three sums is right on average for any batch, their ratio nearly so where
    there are many batches; the images must be in a random order.
    In [−1, 1], symmetric; unchanged by translations, isotropic scales and orthogonal maps of either side; null 0. Undefined for
    n < 4, for a constant layer, and where the images of every batch are equally alike.

    Raises:
        InputError: a batch of fewer than 4.
    """
    check(x, y, (2,))
    request = Request("cka_minibatch", Value("x"), Value("y"), "flatten", options=(("batch", batch),))
    gatherer = MinibatchPass([request], Sample(len(x)), {"front": rounding(x), "end": rounding(y)})
    gatherer.add({request.front: summable(x)}, {request.end: summable(y)})
    return gatherer.results()[request]


@checked
def cka_rbf(x: Tensor, y: Tensor, *, bandwidth: float = BANDWIDTH) -> Similarity:
    """CKA, HSIC₀ of kernels exp(−‖x_i − x_j‖² / 2σ²), σ = `bandwidth` · median distance; rows x (n, p), y (n, q).

    Kornblith et al. (2019), section 3: the median is over all n² squared distances, zeros of the diagonal included; above 2,000
    images over the first 2,000 (`details` has σ of both, and of how many images). In [0, 1], symmetric; unchanged by translations,
    isotropic scales and orthogonal maps of either side; tends to linear `cka` as the bandwidth grows (Alvarez 2022). Biased: near 1
    for any two layers where the bandwidth is small, so read it beside its null. Undefined for n < 2, for a constant layer, and
    where most distances are 0.
    """
    return measured(KernelMeasures, "cka_rbf", x, y, bandwidth=bandwidth)


@checked
def cka_rbf_debiased(x: Tensor, y: Tensor, *, bandwidth: float = BANDWIDTH) -> Similarity:
    """As `cka_rbf`, of HSIC₁ (Song et al. 2012, equation 5); in [−1, 1], never clamped, null 0. Undefined also for n < 4."""
    return measured(KernelMeasures, "cka_rbf_debiased", x, y, bandwidth=bandwidth)


@checked
def wreath_cka(x: Tensor, y: Tensor, *, statistic: Statistic = "max", centred: bool = True) -> Similarity:
    """CKA, HSIC₁ of kernels max_c Σ_hw x_chw x'_chw over channels c of unit norm; maps (n, c, h, w), tokens (n, m, c), rows (n, c).

    Godfrey et al. (2022), section 5: what is left of linear CKA for a layer behind a ReLU, which commutes with permutations and
    positive scales of channels only. Each channel is centred over images and positions (unless not `centred`), then divided
    by its norm. `statistic` median takes the (lower) median over channels. Dead channels stay 0, take part, and are counted
    in `details`. The kernel may have negative directions; the ratio lies in [−1, 1] all the same, and a negative one is right where
    nothing is shared. Symmetric; unchanged by permutations and positive scales of channels of either side, and by translations
    of channels where centred. The grids of the sides may differ. Null 0. Undefined for n < 4 and for a constant layer.
    """
    return measured(KernelMeasures, "wreath_cka", x, y, view="channel", statistic=statistic, centred=centred)


@checked
def wreath_cka_biased(x: Tensor, y: Tensor, *, statistic: Statistic = "max", centred: bool = True) -> Similarity:
    """As `wreath_cka`, of HSIC₀: in [−1, 1], near 1 for any two layers of few images; read it beside its null."""
    return measured(KernelMeasures, "wreath_cka_biased", x, y, view="channel", statistic=statistic, centred=centred)


@checked
def ortho_cka(x: Tensor, y: Tensor) -> Similarity:
    """Debiased linear CKA of flattened maps whose channels are centred and of unit norm; (n, c, h, w), (n, m, c) or (n, c).

    What the code of Godfrey et al. (2022) calls so: `cka_debiased` of x_chw / ‖x_c‖. In [−1, 1], never clamped, symmetric;
    unchanged by permutations, positive scales and translations of channels of either side, and by permutations of its
    positions; not by orthogonal maps, despite its name. Dead channels are 0, and counted in `details`. Null 0. Undefined for
    n < 4 and for a constant layer.
    """
    return measured(KernelMeasures, "ortho_cka", x, y, view="channel")


@checked
def distance_correlation(x: Tensor, y: Tensor) -> Similarity:
    """Distance correlation √(dCov²_xy / √(dCov²_xx dCov²_yy)) of rows x (n, p), y (n, q) (Székely, Rizzo & Bakirov 2007).

    dCov² is HSIC₀ of the kernels −‖x_i − x_j‖ / 2, up to a factor (Sejdinovic et al. 2013). In [0, 1], symmetric; unchanged by
    translations, isotropic scales and orthogonal maps of either side. Biased as `cka` is; its null is the root of the exact
    mean of its square over permutations. Undefined for n < 2 and for a constant layer.
    """
    return measured(KernelMeasures, "distance_correlation", x, y)


@checked
def distance_correlation_debiased(x: Tensor, y: Tensor) -> Similarity:
    """Bias-corrected squared distance correlation (Székely & Rizzo 2013): the ratio of U-centred distances, a square by name only.

    In [−1, 1], negative where nothing is shared, never clamped, symmetric; unchanged as `distance_correlation`; null 0. Undefined
    for n < 4, for a constant layer, and where all images are equally far apart.
    """
    return measured(KernelMeasures, "distance_correlation_debiased", x, y)


KERNEL_FUNCTIONS = {
    "cka_minibatch": cka_minibatch,
    "cka_rbf": cka_rbf,
    "cka_rbf_debiased": cka_rbf_debiased,
    "wreath_cka": wreath_cka,
    "wreath_cka_biased": wreath_cka_biased,
    "ortho_cka": ortho_cka,
    "distance_correlation": distance_correlation,
    "distance_correlation_debiased": distance_correlation_debiased,
}
