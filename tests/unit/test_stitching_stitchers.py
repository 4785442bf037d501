"""Stitchers as maps of rows: what they compute, what they keep to, and what they refuse."""

import copy

import pytest
import torch
from torch import Tensor, nn, optim

from repsim.errors import InputError
from repsim.stitching.inits import start_
from repsim.stitching.orthogonal import polar
from repsim.stitching.shapes import join
from repsim.stitching.stitchers import (
    STITCHERS,
    Affine,
    Birkhoff,
    Lasso,
    Linear,
    LowRank,
    Orthogonal,
    Permutation,
    Wreath,
    build,
    project_all,
    project_gradients,
)

EVERY = [
    ("linear", {}),
    ("lowrank", {"rank": 3}),
    ("lasso", {"lasso_weight": 0.1}),
    ("orthogonal", {}),
    ("orthogonal", {"scales": True}),
    ("permutation", {}),
    ("wreath", {"tau": 0.5}),
    ("birkhoff", {}),
    ("birkhoff", {"scales": True}),
]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def started(kind: str, inputs: int, outputs: int, init: str = "random", seed: int = 0, **options):
    stitcher = STITCHERS[kind](inputs, outputs, **options)
    start_(stitcher, "perm" if kind == "permutation" else init, generator(seed))
    return stitcher


def shuffled(weight: Tensor, seed: int = 0) -> Tensor:
    return weight[torch.randperm(len(weight), generator=generator(seed))]


# maps and starts


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


@pytest.mark.parametrize("kind", ["linear", "lasso", "orthogonal", "birkhoff"])
def test_eye_gives_back_the_input_bit_for_bit(kind):
    x = torch.randn(4, 6, 3, 3)
    assert torch.equal(started(kind, 6, 6, "eye")(x), x)


def test_a_lowrank_stitcher_takes_the_best_approximation_of_its_start():
    target = torch.randn(7, 9, generator=generator())
    stitcher = LowRank(9, 7, rank=2)
    stitcher.start_(Affine(target))
    left, values, right = torch.linalg.svd(target, full_matrices=False)
    torch.testing.assert_close(stitcher.affine().weight, left[:, :2] * values[:2] @ right[:2])


@pytest.mark.parametrize("kind, options", EVERY)
def test_every_stitcher_applies_the_map_that_it_tells(kind, options):
    stitcher = started(kind, 6, 6, **options)
    affine, x = stitcher.affine(), torch.randn(5, 6, 2, 3, generator=generator())
    expected = torch.einsum("qp,nphw->nqhw", affine.matrix, x)
    if affine.bias is not None:
        expected = expected + affine.bias[:, None, None]
    torch.testing.assert_close(stitcher(x), expected)


def test_a_permutation_moves_channels_and_has_nothing_to_train():
    stitcher = Permutation(3, 3)
    stitcher.start_(Affine(torch.tensor([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])))
    x = torch.randn(2, 3, 4, 4)
    assert torch.equal(stitcher(x), x[:, [2, 0, 1]])
    assert stitcher.parameter_count() == 0


# masks and lasso


def test_a_masked_stitcher_never_uses_what_the_mask_leaves_out():
    stitcher = started("linear", 6, 4)
    mask = torch.rand(4, 6, generator=generator(1)) < 0.5
    stitcher.mask_(mask)
    stitcher(torch.randn(8, 6)).square().sum().backward()
    assert (stitcher.weight.grad[~mask] == 0).all() and (stitcher.weight.grad[mask] != 0).all()
    start_(stitcher, "ones-zeros", generator())
    assert torch.equal(stitcher.affine().matrix, mask.float())
    assert stitcher.parameter_count() == int(mask.sum()) + 4


def test_lasso_adds_the_sum_of_absolute_weights_and_cuts_small_ones_when_rounded():
    stitcher = Lasso(3, 2, lasso_weight=0.5)
    stitcher.start_(Affine(torch.tensor([[1.0, -2.0, 5e-5], [-9e-5, 2e-4, 0.0]]), torch.tensor([1.0, 1e-6])))
    assert stitcher.penalty().item() == pytest.approx(0.5 * 3.00034)
    rounded = stitcher.rounded().affine()
    torch.testing.assert_close(rounded.weight, torch.tensor([[1.0, -2.0, 0.0], [0.0, 2e-4, 0.0]]))
    torch.testing.assert_close(rounded.bias, torch.tensor([1.0, 1e-6]))
    assert stitcher.weight[0, 2] == 5e-5, "the stitcher in training keeps its weights"
    assert Lasso(3, 2, lasso_weight=0.0).penalty() is None


def test_the_lasso_penalty_drives_an_unneeded_weight_to_zero():
    x = torch.randn(256, 4, generator=generator())
    stitcher = Lasso(4, 1, lasso_weight=0.05)
    start_(stitcher, "random", generator())
    optimizer = optim.SGD(stitcher.parameters(), lr=1.5e-3)
    for _ in range(1000):
        optimizer.zero_grad()
        ((stitcher(x) - 2 * x[:, :1]).square().mean() * 8 + stitcher.penalty()).backward()
        optimizer.step()
    weight = stitcher.rounded().affine().weight
    assert (weight[0, 1:] == 0).sum() >= 2 and weight[0, 0].item() == pytest.approx(2, abs=0.02)


# the subspace


@pytest.mark.parametrize("kind, options", EVERY)
def test_a_restricted_stitcher_sees_only_its_subspace(kind, options):
    stitcher = started(kind, 6, 6, **options)
    basis = torch.linalg.qr(torch.randn(6, 2, generator=generator(5))).Q
    mean = torch.randn(6, generator=generator(6))
    x = torch.randn(7, 6, generator=generator(7))
    expected = stitcher(mean + (x - mean) @ basis @ basis.T)
    stitcher.restrict_(basis.double(), mean.double())
    torch.testing.assert_close(stitcher(x), expected, atol=1e-5, rtol=1e-5)
    assert torch.linalg.matrix_rank(stitcher.applied().matrix, tol=1e-4) <= 2


@pytest.mark.parametrize("kind, options", [("birkhoff", {"scales": True}), ("wreath", {}), ("lasso", {})])
def test_rounding_keeps_the_subspace_and_the_alignment(kind, options):
    stitcher = build(kind, join((16, 4, 4), (17, 16), class_token="learned"), **options)
    start_(stitcher, "eye", generator())
    stitcher.restrict_(torch.eye(16)[:, :3], torch.ones(16))
    stitcher.alignment.start_(torch.arange(16.0))
    rounded, x = stitcher.rounded(), torch.randn(2, 16, 4, 4, generator=generator())
    assert rounded is not stitcher and rounded.alignment is not stitcher.alignment
    seen = torch.ones_like(x)
    seen[:, :3] = x[:, :3]
    torch.testing.assert_close(rounded(x)[:, 1:], seen.flatten(2).mT)
    torch.testing.assert_close(rounded(x)[:, 0], torch.arange(16.0).expand(2, -1))


# families after a step


@pytest.mark.parametrize("shape", [(6, 6), (4, 9), (1, 1)])
@pytest.mark.parametrize("size", [1e-3, 1.0])
def test_an_orthogonal_stitcher_is_the_nearest_orthogonal_one_after_a_step(shape, size):
    stitcher = started("orthogonal", *shape)
    moved = stitcher.weight.data + size * torch.randn(stitcher.weight.shape, generator=generator(3))
    stitcher.weight.data = moved.clone()
    stitcher.project_()
    left, _, right = torch.linalg.svd(moved.double(), full_matrices=False)
    torch.testing.assert_close(stitcher.weight.data, (left @ right).float(), atol=1e-6, rtol=0)
    torch.testing.assert_close(stitcher.weight.T @ stitcher.weight, torch.eye(shape[0]), atol=1e-6, rtol=0)


def test_the_polar_factor_near_and_far_is_that_of_singular_values():
    near = torch.linalg.qr(torch.randn(3, 9, 5, generator=generator(), dtype=torch.float64)).Q
    for size in (0.0, 1e-6, 1e-3, 5e-2, 3.0):
        stack = near + size * torch.randn(3, 9, 5, generator=generator(1), dtype=torch.float64)
        left, _, right = torch.linalg.svd(stack, full_matrices=False)
        torch.testing.assert_close(polar(stack), left @ right, atol=1e-12, rtol=0)
    torch.testing.assert_close(polar(stack[1]), (left @ right)[1], atol=1e-12, rtol=0)


def test_an_orthogonal_start_of_a_scaled_rotation_keeps_rotation_and_scale():
    rotation = torch.linalg.qr(torch.randn(5, 5, generator=generator())).Q
    stitcher = Orthogonal(5, 5, scales=True)
    for start in (Affine(2.5 * rotation), Affine(rotation, scales=torch.full((5,), 2.5))):
        stitcher.start_(start)
        torch.testing.assert_close(stitcher.weight.data, rotation)
        torch.testing.assert_close(stitcher.affine().matrix, 2.5 * rotation)


def test_training_an_orthogonal_stitcher_finds_a_rotation_and_its_scale():
    rotation = torch.linalg.qr(torch.randn(6, 6, generator=generator())).Q
    x = torch.randn(256, 6, generator=generator(1))
    y = 1.7 * x @ rotation.T + 0.3
    stitcher = Orthogonal(6, 6, scales=True)
    stitcher.start_(Affine(rotation + 0.5 * torch.randn(6, 6, generator=generator(2))))
    optimizer = optim.SGD(stitcher.parameters(), lr=0.2)
    for _ in range(150):
        optimizer.zero_grad()
        (stitcher(x) - y).square().mean().backward()
        optimizer.step()
        stitcher.project_()
    torch.testing.assert_close(stitcher.weight.data, rotation, atol=1e-3, rtol=0)
    torch.testing.assert_close(stitcher.affine().matrix, 1.7 * rotation, atol=1e-3, rtol=0)


@pytest.mark.parametrize("projection", ["euclidean", "sinkhorn"])
def test_birkhoff_is_doubly_stochastic_again_after_a_step(projection):
    stitcher = started("birkhoff", 8, 8, projection=projection)
    stitcher.weight.data += 0.05 * torch.randn(8, 8, generator=generator())
    stitcher.project_()
    assert stitcher.weight.min() >= 0
    torch.testing.assert_close(stitcher.weight.sum(1), torch.ones(8), atol=2e-2 if projection == "sinkhorn" else 1e-6, rtol=0)


def test_projecting_many_equals_projecting_each():
    def family():
        made = [
            started("birkhoff", n, n, seed=n + k, projection=p) for n in (4, 6) for k in (0, 1) for p in ("euclidean", "sinkhorn")
        ] + [started("orthogonal", *shape, seed=k) for k, shape in enumerate([(4, 6), (6, 6), (4, 6), (4, 5)])]
        for stitcher in made:
            stitcher.weight.data += 0.1 * torch.randn(stitcher.weight.shape, generator=generator(7))
        return made

    together, alone = family(), family()
    for _ in range(2):  # the second time from the duals of the first
        project_all([Linear(3, 3), *together])
        for one, other in zip(together, alone, strict=True):
            other.project_()
            torch.testing.assert_close(one.weight, other.weight)


@pytest.mark.parametrize("kind", ["orthogonal", "birkhoff", "wreath"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_stitcher_that_is_not_finite_stays_so_and_spoils_no_other(kind, bad):
    broken, sound = started(kind, 5, 5), started(kind, 5, 5)
    next(broken.parameters()).data.view(-1)[0] = bad
    project_all([broken, sound])
    assert not all(p.isfinite().all() for p in broken.parameters())
    torch.testing.assert_close(sound.affine().matrix, started(kind, 5, 5).affine().matrix)


@pytest.mark.parametrize("kind, options", EVERY)
def test_weight_decay_is_for_free_weights_only(kind, options):
    assert started(kind, 4, 4, **options).decays == (kind in ("linear", "lowrank", "lasso"))


# Birkhoff


def test_birkhoff_penalty_falls_towards_a_vertex():
    vertex, centre = started("birkhoff", 4, 4, "eye", alpha=0.5), Birkhoff(4, 4, alpha=0.5)
    assert vertex.penalty().item() == pytest.approx(-0.5 * 2)
    assert centre.penalty().item() == pytest.approx(-0.5 * 1)
    assert Birkhoff(4, 4, alpha=0.0).penalty() is None


def test_rounding_gives_the_nearest_permutation_with_the_scales():
    stitcher = Birkhoff(3, 3, scales=True)
    matrix = torch.tensor([[0.1, 0.8, 0.1], [0.7, 0.2, 0.1], [0.2, 0.0, 0.8]])
    stitcher.start_(Affine(matrix, scales=torch.tensor([2.0, 0.5, 0.0])))
    rounded = stitcher.rounded()
    x = torch.randn(2, 3, 2, 2)
    torch.testing.assert_close(rounded(x), x[:, [1, 0, 2]] * torch.tensor([2.0, 0.5, 0.0])[:, None, None])
    assert rounded.parameter_count() == 0


@pytest.mark.parametrize(
    "warmup, epochs, free",
    [
        (0.5, 4, [0, 0, 1, 1]),
        (0.5, 3, [0, 1, 1]),
        (0.5, 1, [1]),
        (0.0, 2, [1, 1]),
        (1.0, 2, [0, 0]),
        (0.29, 100, [0] * 29 + [1] * 71),
    ],
)
def test_scales_rest_in_their_share_of_the_epochs(warmup, epochs, free):
    stitcher = started("birkhoff", 4, 4, scales=True, warmup=warmup)
    found = []
    for epoch in range(epochs):
        stitcher.begin_step(epoch, epochs, 0)
        found.append(int(stitcher.scales.requires_grad))
        assert stitcher.weight.requires_grad
    assert found == free


def test_alternating_steps_move_weights_and_scales_in_turn_after_the_warm_up():
    stitcher = started("birkhoff", 4, 4, scales=True, alternating=True)
    x = torch.randn(32, 4, generator=generator())
    y = x.flip(1) * torch.tensor([1.0, 2.0, 3.0, 4.0])
    optimizer, moved = optim.Adam(stitcher.parameters(), lr=1e-2), []
    for step in range(4, 10):
        before = [stitcher.weight.data.clone(), stitcher.scales.data.clone()]
        stitcher.begin_step(0 if step < 6 else 1, 2, step)
        optimizer.zero_grad(set_to_none=True)
        ((stitcher(x) - y).square().mean() + stitcher.penalty()).backward()
        optimizer.step()
        stitcher.project_()
        after = [stitcher.weight.data, stitcher.scales.data]
        moved.append(tuple((b - a).abs().max().item() > 1e-4 for a, b in zip(before, after, strict=True)))
    weights, scales = (True, False), (False, True)
    assert moved == [weights, weights, weights, scales, weights, scales]


def test_scales_never_go_below_zero():
    for stitcher in (started("birkhoff", 4, 4, scales=True), started("wreath", 4, 4)):
        stitcher.scales.data.copy_(torch.tensor([-0.3, 0.2, -1e-9, 0.0]))
        stitcher.project_()
        assert torch.equal(stitcher.scales.data, torch.tensor([0.0, 0.2, 0.0, 0.0]))


@pytest.mark.parametrize("projection", ["euclidean", "sinkhorn"])
def test_a_projected_gradient_takes_plain_sgd_where_the_projection_takes_it(projection):
    x = torch.randn(64, 6, generator=generator())
    y = x[:, [3, 1, 0, 5, 2, 4]]
    hooked, projected = (
        [started("birkhoff", 6, 6, seed=k, projection=projection, pgd=pgd) for k in range(2)] for pgd in ("gradient", "projection")
    )
    rates = [0.3, 0.05]
    for _ in range(5):
        for stitcher, rate in zip(hooked + projected, rates * 2, strict=True):
            optimizer = optim.SGD(stitcher.parameters(), lr=rate)
            optimizer.zero_grad()
            (stitcher(x) - y).square().sum(1).mean().backward()
            if stitcher in hooked:
                project_gradients([Linear(2, 2), stitcher], [1.0, rate])
            optimizer.step()
            if stitcher in projected:
                stitcher.project_()
        for one, other in zip(hooked, projected, strict=True):
            torch.testing.assert_close(one.weight, other.weight, atol=2e-6, rtol=0)
    assert (hooked[0].weight - hooked[1].weight).abs().max() > 0.1


def test_gradients_are_projected_only_where_that_was_asked_and_there_are_some():
    plain, resting = started("birkhoff", 4, 4), started("birkhoff", 4, 4, pgd="gradient")
    plain.weight.grad = torch.ones(4, 4)
    project_gradients([plain, resting], [0.1, 0.1])
    assert torch.equal(plain.weight.grad, torch.ones(4, 4)) and resting.weight.grad is None


# wreath


def test_the_relaxed_permutation_is_softsort():
    """Prillo & Eisenschlos 2020, equation 4, entry by entry."""
    stitcher = Wreath(4, 4, tau=0.7)
    scores = torch.tensor([0.3, -1.0, 2.0, 0.9])
    stitcher.scores.data = scores.clone()
    ordered = sorted(scores.tolist(), reverse=True)
    rows = [[-abs(value - score) / 0.7 for score in scores.tolist()] for value in ordered]
    torch.testing.assert_close(stitcher.affine().weight, torch.softmax(torch.tensor(rows), 1))
    assert stitcher.rounded().index.tolist() == [2, 3, 0, 1]


@pytest.mark.parametrize("tau", [1e-3, 1.0, 30.0])
@pytest.mark.parametrize("width", [1, 2, 7, 64])
def test_a_wreath_that_starts_at_a_permutation_is_near_it_and_rounds_to_it(tau, width):
    weight = shuffled(torch.eye(width))
    scales = torch.rand(width, generator=generator())
    stitcher = Wreath(width, width, tau=tau)
    stitcher.start_(Affine(weight, scales=scales))
    assert (stitcher.affine().weight - weight).abs().max() < 0.02
    assert torch.equal(stitcher.affine().weight.argmax(1), weight.argmax(1))
    rounded = stitcher.rounded()
    assert isinstance(rounded, Permutation) and torch.equal(rounded.affine().matrix, scales[:, None] * weight)


def test_training_a_wreath_recovers_a_scaled_channel_shuffle():
    order, scales = torch.randperm(6, generator=generator(3)), torch.rand(6, generator=generator(4)) + 0.5
    x = torch.randn(256, 6, generator=generator(5)).relu()
    y = scales * x[:, order]
    stitcher = started("wreath", 6, 6, seed=7)
    optimizer = optim.Adam(stitcher.parameters(), lr=0.05)
    for _ in range(600):
        optimizer.zero_grad()
        (stitcher(x) - y).square().mean().backward()
        optimizer.step()
        stitcher.project_()
    assert torch.equal(stitcher.rounded().index, order)
    torch.testing.assert_close(stitcher.scales.data, scales, atol=0.05, rtol=0)


def test_every_trained_value_gets_a_gradient():
    for kind, options in EVERY:
        stitcher = started(kind, 6, 6, **options)
        if stitcher.parameter_count():
            (stitcher(torch.randn(16, 6, generator=generator())) - 1).square().sum().backward()
        for name, parameter in stitcher.named_parameters():
            assert parameter.grad is not None and (parameter.grad != 0).any(), (kind, name)


# copies, and what is refused


@pytest.mark.parametrize("kind, options", EVERY)
def test_a_stitcher_can_be_copied_and_its_state_loaded(kind, options):
    stitcher = started(kind, 6, 6, **options)
    x = torch.randn(3, 6, generator=generator())
    stitcher.restrict_(torch.eye(6)[:, :4], torch.ones(6))
    if isinstance(stitcher, Linear):
        stitcher.mask_(torch.eye(6, dtype=torch.bool))
    if stitcher.parameter_count():
        stitcher(x).sum().backward()
    stitcher.project_()
    loaded = STITCHERS[kind](6, 6, **options)
    loaded.load_state_dict(stitcher.state_dict())
    for other in (copy.deepcopy(stitcher), loaded):
        assert torch.equal(other(x), stitcher(x))
        assert torch.equal(other.rounded()(x), stitcher.rounded()(x))


@pytest.mark.parametrize("rank", [0, 8])
def test_a_rank_that_does_not_fit_is_refused(rank):
    with pytest.raises(InputError, match="from 9 to 7 values"):
        LowRank(9, 7, rank=rank)


@pytest.mark.parametrize("kind", ["permutation", "wreath", "birkhoff"])
def test_unequal_widths_are_refused_where_channels_are_matched_one_to_one(kind):
    with pytest.raises(InputError, match="16 and 32"):
        STITCHERS[kind](16, 32)


def test_building_for_layers_that_do_not_fit_names_both_shapes():
    with pytest.raises(InputError) as error:
        build("birkhoff", join((16, 8, 8), (32, 8, 8)))
    assert "(16, 8, 8)" in str(error.value) and "(32, 8, 8)" in str(error.value)


@pytest.mark.parametrize(
    "kind, options, field",
    [("birkhoff", {"projection": "sinkhron"}, "projection"), ("birkhoff", {"pgd": "hook"}, "pgd"), ("wreath", {"tau": 0.0}, "tau")],
)
def test_an_option_that_cannot_be_meant_is_refused_by_its_field(kind, options, field):
    with pytest.raises(InputError) as error:
        STITCHERS[kind](4, 4, **options)
    assert error.value.where == field
