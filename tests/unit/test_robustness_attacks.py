"""Projected gradient ascent: on a linear network its end is known, elsewhere its bounds, and what it must not touch."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from repsim.models.network import Facts
from repsim.models.zoo import build
from repsim.robustness import losses
from repsim.robustness.attacks import begin, evaluating, pgd
from repsim.robustness.fooling import NEVER, Ascent
from repsim.robustness.linf import Linf

SHAPE = (16, 1, 6, 6)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def images(low=0.2, high=0.8, seed=0):
    return low + (high - low) * torch.rand(SHAPE, generator=seeded(seed))


class Halves(nn.Module):
    """Two classes; their logits are ± (w · x + b) / 2 of pixels normalised as a network does it."""

    def __init__(self, seed=3):
        super().__init__()
        self.w = nn.Parameter(torch.randn(36, generator=seeded(seed)))

    def margin(self, x):
        return ((x - 0.5) / 0.25).flatten(1) @ self.w

    def forward(self, x):
        return torch.stack([-self.margin(x) / 2, self.margin(x) / 2], 1)


def small():
    """A network with batch norms and the normalisation of its own."""
    network = build(Facts("mcnn", 2, 10, 1, 32), (0.4,), (0.2,), seeded(1))
    x = torch.rand(8, 1, 32, 32, generator=seeded(2))
    return network, x, torch.arange(8)


def test_on_a_linear_network_the_end_is_the_corner_of_the_ball_against_the_class():
    network, x, y = Halves(), images(), torch.arange(16) % 2
    attack = Linf(epsilon=0.1, step=0.03, steps=10)
    away = torch.where(y == 0, 1.0, -1.0)[:, None, None, None] * network.w.sign().view(1, 1, 6, 6)
    made = pgd(network, x, y, attack, seeded())
    torch.testing.assert_close(made, x + 0.1 * away, rtol=0, atol=1e-7)
    moved = (network.margin(made) - network.margin(x)).abs()
    torch.testing.assert_close(moved, (0.1 * network.w.abs().sum() / 0.25).expand(16), rtol=1e-5, atol=1e-5)


def test_fgsm_is_one_step_of_epsilon_from_the_image_along_the_sign_of_the_gradient():
    network, x, y = small()
    network.eval()
    variable = x.clone().requires_grad_()
    F.cross_entropy(network(variable), y).backward()
    assert variable.grad is not None
    wanted = (x + 0.05 * variable.grad.sign()).clamp(0, 1)
    made = pgd(network, x, y, Linf(0.05, 0.05, 1, start="image"), seeded())
    torch.testing.assert_close(made, wanted, rtol=0, atol=1e-7)


@pytest.mark.parametrize("start", ["uniform", "gaussian", "image"])
@pytest.mark.parametrize("restarts", [1, 3])
def test_every_image_made_lies_in_the_ball_and_in_the_unit_cube(start, restarts):
    network, x, y = small()
    x[:, :, :8] = x[:, :, :8].round()  # pixels at both ends
    for epsilon in (8 / 255, 0.3):
        made = pgd(network, x, y, Linf(epsilon, epsilon / 2, 4, restarts, start), seeded())
        assert (made >= (x - epsilon).clamp(min=0)).all() and (made <= (x + epsilon).clamp(max=1)).all()
        assert ((made.double() - x.double()).abs() <= epsilon + 2**-25).all()
        assert made.min() >= 0 and made.max() <= 1 and not torch.equal(made, x)


def test_the_uniform_start_fills_the_ball_and_the_gaussian_one_stays_near():
    x = images()
    uniform = begin(x, Linf(0.1), seeded()) - x
    assert uniform.abs().max() > 0.099 and abs(uniform.mean()) < 0.01
    assert float(uniform.std()) == pytest.approx(0.1 / 3**0.5, rel=0.05)
    near = begin(x, Linf(0.1, start="gaussian"), seeded()) - x
    assert float(near.std()) == pytest.approx(1e-3, rel=0.1)


def test_a_ball_of_radius_zero_holds_only_the_image():
    network, x, y = small()
    assert torch.equal(pgd(network, x, y, Linf(0.0, 0.1, 5, 2), seeded()), x)


def test_the_same_generator_makes_the_same_images_and_another_makes_others():
    network, x, y = small()
    attack = Linf(steps=2)
    first, again, other = (pgd(network, x, y, attack, seeded(seed)) for seed in (5, 5, 6))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_of_several_restarts_each_image_keeps_the_one_with_the_largest_loss():
    network, x, y = small()
    attack = Linf(0.1, 0.02, 2)
    generator = seeded()
    with evaluating(network):
        tries = [pgd(network, x, y, attack, generator) for _ in range(4)]
        reached = torch.stack([losses.task(network(one), y) for one in tries])
        made = pgd(network, x, y, Linf(0.1, 0.02, 2, restarts=4), seeded())
    best = reached.argmax(0)
    assert len(best.unique()) > 1
    assert torch.equal(made, torch.stack(tries)[best, torch.arange(8)])


def test_parameters_statistics_and_modes_are_as_before():
    network, x, y = small()
    network.train()
    frozen = next(m for m in network.modules() if isinstance(m, nn.BatchNorm2d))
    frozen.eval()
    weight = next(network.parameters()).requires_grad_(False)
    marker = torch.ones(())
    other = list(network.parameters())[-1]
    other.grad = marker.expand_as(other).clone()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.no_grad():
        pgd(network, x, y, Linf(steps=3, restarts=2), seeded())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert [m for m in network.modules() if not m.training] == [frozen]
    assert not weight.requires_grad and torch.equal(other.grad, torch.ones_like(other))
    assert all(p.grad is None for p in network.parameters() if p is not other)
    assert not x.requires_grad


def test_the_network_is_attacked_in_eval_mode():
    network, x, y = small()
    network.train()
    for _ in range(3):
        network(torch.rand_like(x))
    in_training = pgd(network, x, y, Linf(steps=3), seeded())
    assert torch.equal(in_training, pgd(network.eval(), x, y, Linf(steps=3), seeded()))


def test_modes_come_back_after_an_error():
    class Broken(nn.Module):
        def forward(self, x):
            assert not self.training
            raise ZeroDivisionError

    network = Broken().train()
    with pytest.raises(ZeroDivisionError):
        pgd(network, images(), torch.zeros(16, dtype=torch.int64), Linf(), seeded())
    assert network.training


def test_divergences_are_those_of_torch_and_zero_between_equals():
    clean, logits = torch.randn(2, 7, 5, generator=seeded(4)).unbind()
    wanted = F.kl_div(logits.log_softmax(1), clean.softmax(1), reduction="none").sum(1)
    torch.testing.assert_close(losses.divergence(logits, clean), wanted)
    two = torch.stack([logits, torch.zeros_like(logits)], -1).log_softmax(-1)
    other = torch.stack([clean, torch.zeros_like(clean)], -1).softmax(-1)
    torch.testing.assert_close(losses.attribute_divergence(logits, clean), F.kl_div(two, other, reduction="none").sum(-1).mean(1))
    for divergence in (losses.divergence, losses.attribute_divergence):
        torch.testing.assert_close(divergence(clean, clean), torch.zeros(7))


def test_attributes_are_attacked_by_their_binary_cross_entropy():
    network, x = Halves(), images()
    y = (torch.rand(16, 2, generator=seeded(1)) > 0.5).to(torch.uint8)
    gain = F.binary_cross_entropy_with_logits
    before = gain(network(x), y.float())
    made = pgd(network, x, y, Linf(0.1, 0.05, 5), seeded())
    assert gain(network(made), y.float()) > before
    torch.testing.assert_close(losses.task(network(x), y).mean(), before)
    assert torch.equal(
        losses.right(torch.tensor([[1.0, -1.0], [1.0, -1.0]]), torch.tensor([[1, 1], [0, 0]])),
        torch.tensor([[True, False], [False, True]]),
    )


def fall(network, x, y, attack, seed=0):
    with torch.no_grad():
        right = losses.right(network(x), y)
    return Ascent(attack, seeded(seed))(network, x, y, right, lambda: None)


def test_a_linear_network_falls_exactly_where_its_margin_is_smaller_than_the_reach():
    network, x = Halves(), images(0.3, 0.7)
    y = (network.margin(x) > 0).long()
    y[0] = 1 - y[0]
    epsilon = 0.012
    falls = fall(network, x, y, Linf(epsilon, epsilon, 4))
    reach = epsilon * network.w.detach().abs().sum() / 0.25
    standing = (network.margin(x).abs() > reach) & (torch.arange(16) > 0)
    assert 3 < int(standing.sum()) < 13
    assert torch.equal(falls == NEVER, standing)
    assert falls[0] == 0 and falls[falls < NEVER].max() <= 4


def test_steps_are_counted_from_the_image():
    network, x = Halves(), images(0.4, 0.6)
    y = (network.margin(x) > 0).long()
    step = 0.01
    falls = fall(network, x, y, Linf(0.5, step, 40, start="image"))
    per_step = step * network.w.detach().abs().sum() / 0.25
    torch.testing.assert_close(falls.double(), (network.margin(x).abs() / per_step).ceil().double(), rtol=0, atol=0)


def trained():
    """A network that is neither robust nor helpless: a small one that has learned images of noise by heart."""
    x, y = images(0, 1), torch.arange(16) % 3
    network = nn.Sequential(nn.Flatten(), nn.Linear(36, 32), nn.Tanh(), nn.Linear(32, 3))
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0, 0.2, generator=seeded(parameter.numel()))
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(30):
        optimizer.zero_grad()
        F.cross_entropy(network(x), y).backward()
        optimizer.step()
    return network, x, y


def test_fewer_steps_are_the_beginning_of_more_and_robustness_only_shrinks():
    network, x, y = trained()
    epsilon = 0.1
    long = fall(network, x, y, Linf(epsilon, epsilon / 8, 30, restarts=3))
    for steps in (1, 7, 10):
        short = fall(network, x, y, Linf(epsilon, epsilon / 8, steps, restarts=3))
        assert torch.equal(short, torch.where(long > steps, NEVER, long))
    assert len(long.unique()) > 3
    shares = [int((long > steps).sum()) for steps in range(31)]
    assert shares == sorted(shares, reverse=True) and shares[0] > shares[-1]


def test_a_wider_ball_leaves_no_more_standing_and_restarts_help():
    network, x, y = trained()
    left = [int((fall(network, x, y, Linf(e, e / 4, 10, start="image")) == NEVER).sum()) for e in (0.05, 0.1, 0.12, 0.2)]
    assert left == sorted(left, reverse=True) and left[0] > left[-1]
    one, more = (fall(network, x, y, Linf(0.1, 0.0125, 8, restarts)) for restarts in (1, 5))
    assert (more <= one).all() and (more < one).any()


def test_fooled_images_are_attacked_no_more():
    network, x, y = trained()
    seen = []

    class Watched(nn.Module):
        def forward(self, images):
            seen.append(len(images))
            return network(images)

    falls = Ascent(Linf(0.1, 0.0125, 20), seeded())(Watched(), x, y, torch.ones(16, dtype=torch.bool), lambda: None)
    assert seen == [n for k in range(21) if (n := int((falls >= k).sum()))]
    assert seen[-1] < seen[0]


def test_attributes_fall_one_by_one():
    network, x = Halves(), images(0.3, 0.7)
    y = torch.stack([network.margin(x) < 0, network.margin(x) > 0], 1).to(torch.uint8)
    y[:4, 1] = 1 - y[:4, 1]
    falls = fall(network, x, y, Linf(0.001, 0.001, 2))
    assert falls.shape == (16, 2) and (falls[:4, 1] == 0).all() and (falls[4:] == NEVER).float().mean() > 0.9
