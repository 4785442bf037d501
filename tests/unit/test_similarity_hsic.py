"""HSIC from sums over pairs of images, against definitions written out over tuples of images."""

from itertools import permutations

import pytest
import torch
from torch import Tensor

from repsim.similarity import hsic
from repsim.similarity.hsic import Half, Sums


def kernels(count: int, n: int, seed: int) -> Tensor:
    """Some symmetric matrices with large diagonals and a mean far from 0, (count, n, n)."""
    drawn = torch.randn(count, n, n, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return drawn + drawn.mT + 3 * torch.eye(n) + 5


def half(k: Tensor, groups: list[slice]) -> Half:
    apart = k - torch.diag_embed(k.diagonal(dim1=1, dim2=2))
    own = torch.stack([torch.stack([apart[:, g, h].square().sum((1, 2)) for h in groups]) for g in groups])
    return Half(own, torch.stack([apart[:, :, h].sum(2) for h in groups], -1), k.diagonal(dim1=1, dim2=2))


def sums(k: Tensor, other: Tensor, sizes: tuple[int, ...]) -> Sums:
    ends = torch.tensor(sizes).cumsum(0).tolist()
    groups = [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]
    k0, l0 = (one - torch.diag_embed(one.diagonal(dim1=1, dim2=2)) for one in (k, other))
    cross = [torch.stack([torch.einsum("aij,bij->ab", k0[:, g, h], l0[:, g, h]) for h in groups]) for g in groups]
    return Sums(torch.stack(cross), half(k, groups), half(other, groups), torch.tensor(sizes, dtype=torch.float64))


def by_tuples(k: Tensor, other: Tensor, weights: Tensor) -> float:
    """Σ wwww K_ij (L_ij + L_kl − 2 L_ik) over all tuples of four distinct images, over Σ wwww."""
    total, found = 0.0, 0.0
    for i, j, m, p in permutations(range(len(k)), 4):
        weight = float(weights[i] * weights[j] * weights[m] * weights[p])
        found += weight * float(k[i, j] * (other[i, j] + other[m, p] - 2 * other[i, m]))
        total += weight
    return found / total


def centred(k: Tensor) -> Tensor:
    h = torch.eye(len(k), dtype=k.dtype) - 1 / len(k)
    return h @ k @ h


def test_unbiased_hsic_is_the_mean_over_all_tuples_of_four_images():
    k, other = kernels(2, 7, 0), kernels(3, 7, 1)
    found = hsic.unbiased(sums(k, other, (7,)))
    for a in range(2):
        for b in range(3):
            assert found.xy[a, b].item() == pytest.approx(by_tuples(k[a], other[b], torch.ones(7)), abs=1e-11)
        assert found.xx[a].item() == pytest.approx(by_tuples(k[a], k[a], torch.ones(7)), abs=1e-11)


def test_unbiased_hsic_is_the_three_term_formula():
    n, (k,), (other,) = 9, kernels(1, 9, 2), kernels(1, 9, 3)
    k0, l0 = (one - one.diag().diag() for one in (k, other))
    three = (k0 * l0).sum() + k0.sum() * l0.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (k0.sum(0) * l0.sum(0)).sum()
    assert hsic.unbiased(sums(k[None], other[None], (n,))).xy.item() == pytest.approx(three.item() / (n * (n - 3)), rel=1e-12)


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (2.0, 0.0, 1.0), (0.0, 3.0, 0.0), (1.0, 2.0, 3.0)])
def test_images_drawn_more_than_once_count_more_but_never_meet_their_copies(weights):
    k, other, sizes = kernels(2, 8, 4), kernels(2, 8, 5), (2, 4, 2)
    w = torch.tensor(weights, dtype=torch.float64)
    found, each = hsic.unbiased(sums(k, other, sizes), w[None]), w.repeat_interleave(torch.tensor(sizes))
    for a in range(2):
        for b in range(2):
            assert found.xy[0, a, b].item() == pytest.approx(by_tuples(k[a], other[b], each), abs=1e-10)
        assert found.yy[0, a].item() == pytest.approx(by_tuples(other[a], other[a], each), abs=1e-10)


def test_a_function_of_one_image_added_to_a_kernel_changes_no_estimate():
    k, other, sizes, w = kernels(1, 8, 6), kernels(1, 8, 7), (3, 3, 2), torch.tensor([[2.0, 0.0, 3.0]])
    f = torch.arange(8.0, dtype=torch.float64) ** 2
    moved = k + f[:, None] + f
    for estimate in (hsic.biased, hsic.unbiased):
        one, two = estimate(sums(k, other, sizes), w), estimate(sums(moved, other, sizes), w)
        assert two.xy.item() == pytest.approx(one.xy.item(), rel=1e-9)
        assert two.xx.item() == pytest.approx(one.xx.item(), rel=1e-9)


@pytest.mark.parametrize("estimate", [hsic.biased, hsic.unbiased])
def test_many_draws_at_once_are_each_draw_by_itself(estimate):
    k, other, sizes = kernels(3, 8, 6), kernels(2, 8, 7), (3, 3, 2)
    draws = torch.tensor([[1.0, 1, 1], [2, 0, 1], [0, 1, 2]])
    together, plain = estimate(sums(k, other, sizes), draws).ratio(), estimate(sums(k, other, sizes)).ratio()
    apart = [estimate(sums(k, other, sizes), draw[None]).ratio()[0] for draw in draws]
    assert together.shape == (3, 3, 2)
    assert torch.allclose(together, torch.stack(apart), rtol=1e-12)
    assert torch.allclose(together[0], plain, rtol=1e-12)


def test_fewer_than_four_distinct_images_give_no_unbiased_estimate():
    found = hsic.unbiased(sums(kernels(1, 6, 0), kernels(1, 6, 1), (3, 3)), torch.tensor([[4.0, 0.0]]))
    assert found.ratio().isnan().all()


def test_biased_hsic_is_that_of_centred_matrices():
    (k,), (other,) = kernels(1, 9, 2), kernels(1, 9, 3)
    found = hsic.biased(sums(k[None], other[None], (4, 5)))
    assert found.xy.item() == pytest.approx(((centred(k) * centred(other)).sum() / 64).item(), rel=1e-12)
    assert found.xx.item() == pytest.approx((centred(k).square().sum() / 64).item(), rel=1e-12)


def test_biased_hsic_of_weights_is_that_of_a_list_with_repeated_images():
    (k,), (other,), sizes = kernels(1, 7, 2), kernels(1, 7, 3), (3, 2, 2)
    taken = torch.tensor([0, 0, 1, 1, 2, 2, 5, 6])
    found = hsic.biased(sums(k[None], other[None], sizes), torch.tensor([[2.0, 0.0, 1.0]]))
    one, two = (centred(side[taken][:, taken]) for side in (k, other))
    assert found.xy.item() == pytest.approx(((one * two).sum() / 49).item(), rel=1e-11)


def test_null_is_the_mean_over_all_permutations():
    (k,), (other,) = kernels(1, 6, 8), kernels(1, 6, 9)
    orders = [torch.tensor(order) for order in permutations(range(6))]
    values = [hsic.biased(sums(k[None], other[order][:, order][None], (6,))).ratio().item() for order in orders]
    assert hsic.null(sums(k[None], other[None], (6,))).item() == pytest.approx(sum(values) / len(values), rel=1e-10)


def test_unbiased_ratio_is_0_on_average_over_all_permutations():
    (k,), (other,) = kernels(1, 6, 8), kernels(1, 6, 9)
    orders = [torch.tensor(order) for order in permutations(range(6))]
    values = [hsic.unbiased(sums(k[None], other[order][:, order][None], (6,))).ratio().item() for order in orders]
    assert abs(sum(values) / len(values)) < 1e-12
