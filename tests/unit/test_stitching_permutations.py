"""Permutations and their relaxations: what they compute, keep to, learn and round to."""

import pytest
import torch
from torch import Tensor, optim

from repsim.stitching.inits import start_
from repsim.stitching.stitchers import STITCHERS, Affine, Birkhoff, Linear, Permutation, Wreath, project_all, project_gradients


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def started(kind: str, inputs: int, outputs: int, init: str = "random", seed: int = 0, **options):
    stitcher = STITCHERS[kind](inputs, outputs, **options)
    start_(stitcher, init, generator(seed))
    return stitcher


def shuffled(weight: Tensor, seed: int = 0) -> Tensor:
    return weight[torch.randperm(len(weight), generator=generator(seed))]


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
    project_all([stitcher])
    assert stitcher.weight.min() >= 0
    torch.testing.assert_close(stitcher.weight.sum(1), torch.ones(8), atol=2e-2 if projection == "sinkhorn" else 1e-6, rtol=0)


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
        project_all([stitcher])
        after = [stitcher.weight.data, stitcher.scales.data]
        moved.append(tuple((b - a).abs().max().item() > 1e-4 for a, b in zip(before, after, strict=True)))
    weights, scales = (True, False), (False, True)
    assert moved == [weights, weights, weights, scales, weights, scales]


@pytest.mark.parametrize("kind, options", [("birkhoff", {}), ("birkhoff", {"scales": True}), ("wreath", {})])
def test_what_has_diverged_is_rounded_to_some_permutation_with_the_scales_it_has(kind, options):
    stitcher = started(kind, 5, 5, **options)
    with torch.no_grad():
        for parameter in stitcher.parameters():
            parameter.fill_(torch.nan)
    found = stitcher.rounded().affine()
    assert (found.weight.sum(0) == 1).all() and (found.weight.sum(1) == 1).all()
    assert found.scales is not None and found.scales.isnan().all() == bool(options or kind == "wreath")


def test_scales_never_go_below_zero():
    for stitcher in (started("birkhoff", 4, 4, scales=True), started("wreath", 4, 4)):
        stitcher.scales.data.copy_(torch.tensor([-0.3, 0.2, -1e-9, 0.0]))
        project_all([stitcher])
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
                project_all([stitcher])
        for one, other in zip(hooked, projected, strict=True):
            torch.testing.assert_close(one.weight, other.weight, atol=2e-6, rtol=0)
    assert (hooked[0].weight - hooked[1].weight).abs().max() > 0.1


def test_gradients_are_projected_only_where_that_was_asked_and_there_are_some():
    plain, resting = started("birkhoff", 4, 4), started("birkhoff", 4, 4, pgd="gradient")
    plain.weight.grad = torch.ones(4, 4)
    project_gradients([plain, resting], [0.1, 0.1])
    assert torch.equal(plain.weight.grad, torch.ones(4, 4)) and resting.weight.grad is None


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
        project_all([stitcher])
    assert torch.equal(stitcher.rounded().index, order)
    torch.testing.assert_close(stitcher.scales.data, scales, atol=0.05, rtol=0)
