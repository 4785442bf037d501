"""Kernel measures of two tensors, against published values, independent packages and definitions written out."""

import dcor
import numpy as np
import pytest
import torch
from similarity_data import fixture_a, fixture_b, fixture_c
from torch import Tensor

from repsim.errors import InputError
from repsim.similarity.alone import measured
from repsim.similarity.kernel_functions import (
    KERNEL_FUNCTIONS,
    cka_minibatch,
    cka_rbf,
    cka_rbf_debiased,
    distance_correlation,
    distance_correlation_debiased,
    ortho_cka,
    wreath_cka,
    wreath_cka_biased,
)
from repsim.similarity.kernel_measures import KERNEL_MEASURES, KernelMeasures
from repsim.similarity.known import KNOWN


def gram(measure: str, x: Tensor, y: Tensor) -> float:
    """A measure in Gram form."""
    return float(measured(KernelMeasures, measure, x, y))


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def u_ratio(k: Tensor, other: Tensor) -> float:
    """HSIC₁ ratio of two matrices, U-centred as Székely and Rizzo (2014) define it."""

    def centred(matrix: Tensor) -> Tensor:
        n, matrix = len(matrix), matrix - matrix.diag().diag()
        rows = matrix.sum(0)
        found = matrix - rows[:, None] / (n - 2) - rows / (n - 2) + matrix.sum() / ((n - 1) * (n - 2))
        return found - found.diag().diag()

    u, v = centred(k), centred(other)
    return ((u * v).sum() / (u.norm() * v.norm())).item()


def wreath_kernel(maps: Tensor, statistic: str = "max", centred: bool = True) -> Tensor:
    """Image by image and channel by channel."""
    if centred:
        maps = maps - maps.mean((0, 2, 3), keepdim=True)
    norms = maps.square().sum((0, 2, 3)).sqrt()
    maps = torch.where(norms[:, None, None] > 0, maps / norms[:, None, None], 0.0)
    by_channel = torch.einsum("ichw,jchw->ijc", maps, maps)
    return by_channel.amax(-1) if statistic == "max" else by_channel.median(-1).values


PUBLISHED = [
    ("cka", 0.5576132566, 0.6718973743),
    ("cka_debiased", 0.5134564895, 0.0240805570),
    ("distance_correlation", 0.7992461851, 0.9432359791),
    ("distance_correlation_debiased", 0.5020825833, 0.0336426056),
    ("cka_rbf", 0.6548311823, 0.9502189944),
]


@pytest.mark.parametrize(("measure", "a", "b"), PUBLISHED)
def test_measures_of_rows_give_the_published_values(measure, a, b):
    assert gram(measure, *fixture_a()) == pytest.approx(a, abs=6e-11)
    assert gram(measure, *fixture_b()) == pytest.approx(b, abs=6e-11)


def test_measures_of_maps_give_what_the_code_of_their_authors_gives():
    maps = fixture_c()
    assert float(wreath_cka(*maps)) == pytest.approx(0.0650702, abs=5e-8)
    assert float(wreath_cka(*maps, centred=False)) == pytest.approx(-0.1511689, abs=5e-8)
    assert float(wreath_cka_biased(*maps)) == pytest.approx(0.7917658, abs=5e-8)
    assert float(ortho_cka(*maps)) == pytest.approx(0.017492, abs=5e-7)
    flat = [side.flatten(1) for side in maps]
    assert gram("cka", *flat) == pytest.approx(0.9157311, abs=5e-8)
    assert gram("cka_debiased", *flat) == pytest.approx(0.0106911, abs=5e-8)
    assert gram("cka", *(side.mean((2, 3)) for side in maps)) == pytest.approx(0.2610467, abs=5e-8)


@pytest.mark.parametrize(("n", "p", "q"), [(4, 3, 2), (30, 5, 8), (12, 40, 1)])
def test_linear_and_distance_measures_are_those_of_dcor(n, p, q):
    x, y = normal(n, p, seed=1), normal(n, q, seed=2)
    y[:, 0] += x[:, 0]
    a, b = x.numpy(), y.numpy()
    assert gram("cka", x, y) == pytest.approx(dcor.distance_correlation_sqr(a, b, exponent=2), abs=1e-12)
    assert gram("cka_debiased", x, y) == pytest.approx(dcor.u_distance_correlation_sqr(a, b, exponent=2), abs=1e-12)
    assert float(distance_correlation(x, y)) == pytest.approx(dcor.distance_correlation(a, b), abs=1e-12)
    assert float(distance_correlation_debiased(x, y)) == pytest.approx(dcor.u_distance_correlation_sqr(a, b), abs=1e-12)


def test_angle_is_the_arc_cosine_and_0_of_a_layer_with_itself():
    x, y = fixture_a()
    assert gram("cka_angular", x, y) == pytest.approx(np.arccos(0.5576132566117585), abs=1e-12)
    assert gram("cka_angular", x, x) == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("n", [10, 11])
@pytest.mark.parametrize("bandwidth", [0.2, 1.0])
def test_rbf_kernels_take_the_median_of_all_squared_distances_with_the_diagonal(n, bandwidth):
    def kernel(rows: np.ndarray) -> np.ndarray:
        squared = ((rows[:, None] - rows) ** 2).sum(-1)
        return np.exp(-squared / (2 * bandwidth**2 * np.median(squared)))

    x, y = normal(n, 3, seed=1), normal(n, 4, seed=2)
    k, other = (torch.tensor(kernel(side.numpy())) for side in (x, y))
    h = torch.eye(n, dtype=torch.float64) - 1 / n
    k_h, l_h = h @ k @ h, h @ other @ h
    biased = (k_h * l_h).sum() / (k_h.norm() * l_h.norm())
    assert float(cka_rbf(x, y, bandwidth=bandwidth)) == pytest.approx(biased.item(), abs=1e-12)
    assert float(cka_rbf_debiased(x, y, bandwidth=bandwidth)) == pytest.approx(u_ratio(k, other), abs=1e-12)


def test_rbf_of_the_other_published_bandwidth():
    assert float(cka_rbf(*fixture_a(), bandwidth=1.0)) == pytest.approx(0.57583, abs=5e-6)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_wide_rbf_kernels_tend_to_the_linear_one_and_keep_their_digits(dtype):
    x, y = (side.to(dtype) for side in fixture_a())
    assert float(cka_rbf(x, y, bandwidth=1e4)) == pytest.approx(gram("cka", x, y), abs=1e-6)
    assert float(cka_rbf_debiased(x, y, bandwidth=1e4)) == pytest.approx(gram("cka_debiased", x, y), abs=1e-6)


def test_bandwidths_and_dead_channels_are_told():
    x, _ = fixture_a()
    found = cka_rbf(x, 3 * x, bandwidth=1.0).details
    assert found["bandwidth_end"] == pytest.approx(3 * found["bandwidth_front"])
    assert found["median_images"] == 100
    maps, others = fixture_c()
    maps[:, 2] = 7.0
    assert wreath_cka(maps, others).details == {"dead_front": 1, "dead_end": 0}
    assert ortho_cka(others, maps).details == {"dead_front": 0, "dead_end": 1}
    assert wreath_cka(maps, others, centred=False).details["dead_front"] == 0


@pytest.mark.parametrize("statistic", ["max", "median"])
@pytest.mark.parametrize("centred", [True, False])
def test_wreath_kernels_are_those_of_a_loop_over_images_and_channels(statistic, centred):
    x, y = normal(9, 5, 3, 2, seed=1), normal(9, 4, 2, 2, seed=2)
    x[:, 1] = 0
    expected = u_ratio(wreath_kernel(x, statistic, centred), wreath_kernel(y, statistic, centred))
    assert float(wreath_cka(x, y, statistic=statistic, centred=centred)) == pytest.approx(expected, abs=1e-12)


def test_wreath_kernels_of_many_channels_are_made_in_parts(monkeypatch):
    from repsim.similarity import kernels

    x, y = normal(9, 5, 3, 2, seed=1), normal(9, 4, 2, 2, seed=2)
    whole = [float(wreath_cka(x, y, statistic=statistic)) for statistic in ("max", "median")]
    monkeypatch.setattr(kernels, "CHANNEL_ROOM", 100)
    assert [float(wreath_cka(x, y, statistic=statistic)) for statistic in ("max", "median")] == pytest.approx(whole, abs=1e-14)


def test_maps_tokens_and_rows_are_taken_alike():
    maps, others = fixture_c()
    tokens, more = (side.flatten(2).mT for side in (maps, others))
    assert float(wreath_cka(tokens, more)) == pytest.approx(float(wreath_cka(maps, others)), abs=1e-14)
    rows, columns = maps.mean((2, 3)), others.mean((2, 3))
    assert float(ortho_cka(rows, columns)) == pytest.approx(float(ortho_cka(rows[:, None], columns[:, None])), abs=1e-14)


@pytest.mark.parametrize("measure", [wreath_cka, wreath_cka_biased, ortho_cka])
def test_channel_measures_see_neither_the_order_nor_the_scale_of_channels(measure):
    maps, others = fixture_c()
    order, scales = torch.tensor([3, 0, 5, 1, 4, 2]), torch.tensor([0.1, 1, 10, 2, 5, 30.0], dtype=torch.float64)
    moved = maps[:, order] * scales[:, None, None] + 4
    assert float(measure(moved, others)) == pytest.approx(float(measure(maps, others)), abs=1e-12)
    turned = torch.einsum("ichw,cd->idhw", maps, torch.linalg.qr(normal(6, 6)).Q)
    assert abs(float(measure(turned, others)) - float(measure(maps, others))) > 1e-4


def test_minibatch_is_one_ratio_of_sums_over_batches():
    x, y = normal(22, 6, seed=1), normal(22, 5, seed=2)
    y[:, :5] += x[:, :5]

    def u(rows: Tensor) -> Tensor:
        k, n = rows @ rows.mT, len(rows)
        k = k - k.diag().diag()
        found = k - k.sum(0) / (n - 2) - k.sum(1, keepdim=True) / (n - 2) + k.sum() / ((n - 1) * (n - 2))
        return found - found.diag().diag()

    pairs = [(u(a), u(b)) for a, b in zip(x.split(8), y.split(8), strict=True)]
    xy, xx, yy = (sum((p[i] * p[j]).sum() for p in pairs) for i, j in ((0, 1), (0, 0), (1, 1)))
    found = cka_minibatch(x, y, batch=8)
    assert found.value == pytest.approx((xy / (xx * yy).sqrt()).item(), abs=1e-12)
    assert found.details == {"batch": 8, "images_used": 22}
    assert cka_minibatch(x, y, batch=22).value == pytest.approx(gram("cka_debiased", x, y), abs=1e-12)


def test_a_last_batch_of_fewer_than_4_images_is_left_out_and_told():
    x, y = normal(11, 6, seed=1), normal(11, 5, seed=2)
    found = cka_minibatch(x, y, batch=4)
    assert found.details["images_used"] == 8
    assert found.value == pytest.approx(float(cka_minibatch(x[:8], y[:8], batch=4)), abs=1e-14)


def test_minibatch_is_right_on_average_where_the_biased_value_is_not():
    x = normal(2000, 20, seed=3)
    y = x + normal(2000, 20, seed=4)
    assert float(cka_minibatch(x, y, batch=8)) == pytest.approx(gram("cka_debiased", x, y), abs=0.03)


@pytest.mark.parametrize("name", list(KERNEL_FUNCTIONS))
def test_a_layer_is_1_with_itself_and_the_two_sides_are_equal(name):
    x, y = normal(20, 6, seed=1), normal(20, 5, seed=2)
    measure, known = KERNEL_FUNCTIONS[name], KNOWN[name]
    assert float(measure(x, x)) == pytest.approx(1, abs=1e-12)
    one, two = measure(x, y), measure(y, x)
    assert one.value == pytest.approx(two.value, abs=1e-12)
    assert one.null == pytest.approx(two.null, abs=1e-12)
    assert known.low <= one.value <= known.high


@pytest.mark.parametrize("name", list(KERNEL_FUNCTIONS))
def test_a_constant_layer_has_a_status_and_no_value(name):
    y = normal(20, 5, seed=2)
    for constant in (torch.full((20, 6), 0.1), torch.zeros(20, 6)):
        assert KERNEL_FUNCTIONS[name](constant, y).status == "constant layer (front)"
        assert KERNEL_FUNCTIONS[name](y, constant).status == "constant layer (end)"
        assert KERNEL_FUNCTIONS[name](constant, constant).status == "constant layer (both)"


@pytest.mark.parametrize("name", [name for name, measure in KERNEL_MEASURES.items() if measure.debiased])
def test_debiased_measures_of_3_images_have_a_status_and_no_value(name):
    view = "channel" if "wreath" in name or "ortho" in name else "flatten"
    found = measured(KernelMeasures, name, normal(3, 6), normal(3, 5, seed=1), view=view)
    assert (found.value, found.status) == (None, f"3 images, and {name} takes 4")


def test_minibatch_of_3_images_and_biased_measures_of_1_have_a_status():
    assert cka_minibatch(normal(3, 6), normal(3, 5)).status == "3 images, and cka_minibatch takes 4"
    assert cka_rbf(normal(1, 6), normal(1, 5)).status == "1 images, and cka_rbf takes 2"


def test_images_that_are_all_equally_far_apart_have_a_status():
    corners = torch.eye(8, dtype=torch.float64)
    found = distance_correlation_debiased(corners, normal(8, 3))
    assert (found.value, found.status) == (None, "all images are equally alike (front)")
    assert cka_minibatch(corners, normal(8, 3), batch=4).status == "the images of every batch are equally alike"


def test_rbf_of_mostly_equal_images_has_a_status():
    x = torch.zeros(10, 3, dtype=torch.float64)
    x[0] = 1
    assert cka_rbf(x, normal(10, 3)).status == "all images are equally alike (front)"


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(5, 2, dtype=torch.long), "int64"),
        (torch.zeros(5, 2, dtype=torch.bool), "bool"),
        (torch.zeros(5, 2, dtype=torch.complex64), "complex64"),
        (torch.full((5, 2), torch.nan), "finite"),
        (torch.full((5, 2), torch.inf), "finite"),
        (torch.zeros(5), r"shape \(5,\)"),
        (torch.zeros(5, 0), r"shape \(5, 0\)"),
        (torch.zeros(4, 2), "x has 4 images, y 5"),
    ],
)
@pytest.mark.parametrize("name", list(KERNEL_FUNCTIONS))
def test_what_is_no_pair_of_representations_is_refused(name, x, message):
    with pytest.raises(InputError, match=message):
        KERNEL_FUNCTIONS[name](x, normal(5, 2))


def test_maps_are_refused_where_rows_are_compared():
    with pytest.raises(InputError, match=r"\(images, numbers\)"):
        cka_rbf(*fixture_c())


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda x: cka_minibatch(x, x, batch=3), "batch"),
        (lambda x: cka_rbf(x, x, bandwidth=0), "bandwidth"),
        (lambda x: cka_rbf(x, x, bandwidth=float("nan")), "bandwidth"),
        (lambda x: wreath_cka(x, x, statistic="mean"), "statistic"),
        (lambda x: wreath_cka(x, x, centred=1), "centred"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(call, field):
    with pytest.raises(InputError, match=f"^{field}: "):
        call(normal(8, 3))


def test_every_kernel_measure_has_a_function_or_is_linear():
    linear = {name for name, known in KNOWN.items() if known.family == "linear"}
    assert set(KERNEL_MEASURES) | {"cka_minibatch"} == set(KERNEL_FUNCTIONS) | linear
