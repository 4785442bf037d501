"""Stitchers as maps of channels: what they compute, what they keep to, and what they refuse."""

import pytest
import torch
from torch import nn

from repsim.errors import InputError
from repsim.stitching import birkhoff
from repsim.stitching.inits import STARTS, start_
from repsim.stitching.stitchers import STITCHERS, Affine, Birkhoff, Linear, LowRank, Permutation, project_all


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def started(kind: str, inputs: int, outputs: int, init: str = "random", seed: int = 0, **options):
    stitcher = STITCHERS[kind](inputs, outputs, **options)
    start_(stitcher, init, generator(seed))
    return stitcher


def test_a_linear_stitcher_is_a_1x1_convolution_of_maps():
    stitcher = started("linear", 5, 7)
    convolution = nn.Conv2d(5, 7, 1)
    convolution.weight.data = stitcher.weight.data[:, :, None, None]
    convolution.bias.data = stitcher.bias.data
    x = torch.randn(3, 5, 4, 6, generator=generator())
    torch.testing.assert_close(stitcher(x), convolution(x))


def test_a_linear_stitcher_is_a_linear_layer_of_vectors():
    stitcher = started("linear", 5, 7)
    x = torch.randn(3, 5, generator=generator())
    torch.testing.assert_close(stitcher(x), x @ stitcher.weight.T + stitcher.bias)


def test_the_value_stays_channels_last_so_that_no_copy_is_made():
    x = torch.randn(3, 5, 4, 6).contiguous(memory_format=torch.channels_last)
    assert started("linear", 5, 7)(x).is_contiguous(memory_format=torch.channels_last)


def test_a_random_linear_start_has_the_spread_of_the_framework():
    ours, theirs = started("linear", 400, 300), nn.Conv2d(400, 300, 1)
    for mine, reference in ((ours.weight, theirs.weight), (ours.bias, theirs.bias)):
        assert mine.abs().max() <= 400**-0.5
        assert mine.std().item() == pytest.approx(reference.std().item(), rel=0.1)


@pytest.mark.parametrize("kind, options", [("linear", {}), ("lowrank", {"rank": 3}), ("birkhoff", {})])
def test_a_start_follows_its_seed_alone(kind, options):
    torch.manual_seed(1)
    one = started(kind, 6, 6, seed=4, **options).affine().weight
    torch.manual_seed(2)
    assert torch.equal(one, started(kind, 6, 6, seed=4, **options).affine().weight)
    assert not torch.equal(one, started(kind, 6, 6, seed=5, **options).affine().weight)


@pytest.mark.parametrize("kind", ["linear", "permutation", "birkhoff"])
def test_eye_gives_back_the_input_bit_for_bit(kind):
    x = torch.randn(4, 6, 3, 3)
    assert torch.equal(started(kind, 6, 6, "eye")(x), x)


def test_perm_of_a_rectangle_matches_the_smaller_side_one_to_one():
    for shape in ((4, 9), (9, 4)):
        weight = started("linear", *shape, "perm").weight
        assert weight.sum() == 4 and weight.sum(0).max() == 1 and weight.sum(1).max() == 1


def test_a_random_lowrank_start_has_unit_singular_values_of_its_rank():
    values = torch.linalg.svdvals(started("lowrank", 9, 7, rank=3).affine().weight)
    torch.testing.assert_close(values, torch.tensor([1.0, 1, 1, 0, 0, 0, 0]), atol=1e-5, rtol=0)


def test_a_lowrank_stitcher_takes_the_best_approximation_of_its_start():
    target = torch.randn(7, 9, generator=generator())
    stitcher = LowRank(9, 7, rank=2)
    stitcher.start_(Affine(target))
    left, values, right = torch.linalg.svd(target, full_matrices=False)
    torch.testing.assert_close(stitcher.affine().weight, left[:, :2] * values[:2] @ right[:2])


@pytest.mark.parametrize("rank", [0, 8])
def test_a_rank_that_does_not_fit_is_refused(rank):
    with pytest.raises(InputError, match="9 to 7 channels"):
        LowRank(9, 7, rank=rank)


@pytest.mark.parametrize("kind", ["permutation", "birkhoff"])
def test_unequal_widths_are_refused_where_channels_are_matched_one_to_one(kind):
    with pytest.raises(InputError, match="16 and 32"):
        STITCHERS[kind](16, 32)


def test_a_permutation_moves_channels_and_has_nothing_to_train():
    stitcher = Permutation(3, 3)
    stitcher.start_(Affine(torch.tensor([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])))
    x = torch.randn(2, 3, 4, 4)
    assert torch.equal(stitcher(x), x[:, [2, 0, 1]])
    assert stitcher.parameter_count() == 0


@pytest.mark.parametrize("projection", ["euclidean", "sinkhorn"])
def test_birkhoff_is_doubly_stochastic_again_after_a_step(projection):
    stitcher = started("birkhoff", 8, 8, projection=projection)
    stitcher.weight.data += 0.05 * torch.randn(8, 8, generator=generator())
    stitcher.project_()
    assert stitcher.weight.min() >= 0
    torch.testing.assert_close(stitcher.weight.sum(1), torch.ones(8), atol=2e-2 if projection == "sinkhorn" else 1e-6, rtol=0)


def test_projecting_many_equals_projecting_each():
    def family() -> list[Birkhoff]:
        made = [
            started("birkhoff", n, n, seed=n + k, projection=p) for n in (4, 6) for k in (0, 1) for p in ("euclidean", "sinkhorn")
        ]
        for stitcher in made:
            stitcher.weight.data += 0.1 * torch.randn(stitcher.weight.shape, generator=generator(7))
        return made

    together, alone = family(), family()
    for _ in range(2):  # the second time from the duals of the first
        project_all([Linear(3, 3), *together])
        for one, other in zip(together, alone, strict=True):
            other.project_()
            torch.testing.assert_close(one.weight, other.weight)


def test_birkhoff_penalty_falls_towards_a_vertex():
    vertex, centre = started("birkhoff", 4, 4, "eye", alpha=0.5), Birkhoff(4, 4, alpha=0.5)
    assert vertex.penalty().item() == pytest.approx(-0.5 * 2)
    assert centre.penalty().item() == pytest.approx(-0.5 * 1)
    assert Birkhoff(4, 4, alpha=0.0).penalty() is None


def test_rounding_gives_the_nearest_permutation_with_the_scales():
    stitcher = Birkhoff(3, 3, scales=True)
    matrix = birkhoff.sinkhorn(torch.tensor([[0.1, 0.8, 0.1], [0.7, 0.2, 0.1], [0.1, 0.1, 0.9]]))
    stitcher.start_(Affine(matrix, scales=torch.tensor([2.0, 0.5, 0.0])))
    rounded = stitcher.rounded()
    x = torch.randn(2, 3, 2, 2)
    torch.testing.assert_close(rounded(x), x[:, [1, 0, 2]] * torch.tensor([2.0, 0.5, 0.0])[:, None, None])
    assert rounded.parameter_count() == 0


def test_scales_rest_in_the_first_half_of_the_epochs_and_never_go_below_zero():
    stitcher = started("birkhoff", 4, 4, scales=True)
    free = []
    for epoch in range(4):
        stitcher.begin_epoch(epoch, 4)
        free.append(stitcher.scales.requires_grad)
    assert free == [False, False, True, True]
    stitcher.scales.data.fill_(-0.3)
    stitcher.project_()
    assert torch.equal(stitcher.scales.data, torch.zeros(4))


def test_an_init_that_a_family_lacks_is_refused_with_the_nearest():
    with pytest.raises(InputError, match="no init 'ps_inv'"):
        start_(Birkhoff(3, 3), "ps_inv", generator())
    assert set(STARTS) == set(STITCHERS.values())
