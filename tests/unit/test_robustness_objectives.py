"""Adversarial training: each objective is its definition written out, and what is trained so withstands attacks."""

from dataclasses import replace
from math import log

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from repsim.data import images
from repsim.models.network import Facts
from repsim.models.zoo import build
from repsim.robustness.attacks import pgd
from repsim.robustness.evaluation import evaluate, robust
from repsim.robustness.fooling import Ascent
from repsim.robustness.linf import Linf
from repsim.robustness.losses import attribute_divergence
from repsim.robustness.objectives import madry, trades

ATTACK = Linf(0.1, 0.03, 3)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def network():
    return build(Facts("mcnn", 2, 10, 1, 32), (0.4,), (0.2,), seeded(1)).train()


def batch(n=8):
    return torch.rand(n, 1, 32, 32, generator=seeded(2)), torch.arange(n) % 10


def gradients(net, loss):
    net.zero_grad()
    loss.backward()
    return [p.grad.clone() for p in net.parameters()]


def same(ones, others):
    for one, other in zip(ones, others, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("ratio, attacked", [(1.0, 8), (0.5, 4), (0.3, 2), (0.0, 0)])
def test_madry_is_the_cross_entropy_of_a_batch_of_which_a_share_is_attacked(ratio, attacked):
    (net, twin), (x, y) = (network(), network()), batch()
    loss = madry(ATTACK, ratio, label_smoothing=0.1)(net, x, y, seeded(3))
    mixed = x.clone()
    if attacked:
        mixed[:attacked] = pgd(twin, x[:attacked], y[:attacked], ATTACK, seeded(3))
    wanted = -(0.9 * F.one_hot(y, 10) + 0.01).mul(twin(mixed).log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(loss, wanted)
    same(gradients(net, loss), gradients(twin, wanted))
    assert all(torch.equal(a, b) for a, b in zip(net.buffers(), twin.buffers(), strict=True))


def test_trades_is_cross_entropy_and_beta_times_the_divergence_of_attacked_from_clean():
    net, twin = network().double(), network().double()
    x, y = torch.rand(8, 1, 32, 32, generator=seeded(2), dtype=torch.float64), torch.arange(8)
    loss = trades(ATTACK, beta=6.0)(net, x, y, seeded(3))

    twin.eval()
    p = twin(x).softmax(1).detach()
    moved = (x + 1e-3 * torch.randn(x.shape, generator=seeded(3), dtype=x.dtype)).clamp(0, 1)
    for _ in range(ATTACK.steps):
        moved.requires_grad_()
        kl = F.kl_div(twin(moved).log_softmax(1), p, reduction="sum")
        (gradient,) = torch.autograd.grad(kl, moved)
        moved = moved.detach() + ATTACK.step * gradient.sign()
        moved = torch.minimum(torch.maximum(moved, x - ATTACK.epsilon), x + ATTACK.epsilon).clamp(0, 1)
    twin.train()
    logits = twin(x)
    wanted = F.cross_entropy(logits, y) + 6 * F.kl_div(twin(moved).log_softmax(1), logits.softmax(1), reduction="batchmean")

    torch.testing.assert_close(loss, wanted)
    same(gradients(net, loss), gradients(twin, wanted))
    assert all(torch.equal(a, b) for a, b in zip(net.buffers(), twin.buffers(), strict=True))


def test_trades_has_the_value_worked_out_by_hand_for_one_pixel():
    """Logits ± (4 (x − ½) + ½ ln 3): the pixel ½ has the probabilities ¾, ¼; one end of its ball 9⁄10, 1⁄10, the other ½, ½."""

    class OnePixel(nn.Module):
        def forward(self, x):
            z = 4 * (x.flatten(1) - 0.5) + 0.5 * log(3)
            return torch.cat([z, -z], 1)

    start = torch.empty(6, 1, 1, 1).normal_(0, 1, generator=seeded(3)).flatten()
    upwards, downwards = 0.75 * log(5 / 6) + 0.25 * log(5 / 2), 0.75 * log(3 / 2) + 0.25 * log(1 / 2)
    divergence = sum(upwards if each > 0 else downwards for each in start) / 6
    assert 0 < int((start > 0).sum()) < 6
    x, y = torch.full((6, 1, 1, 1), 0.5), torch.tensor([0, 0, 1, 1, 1, 0])
    loss = trades(Linf(log(3) / 8, 0.1, 4), beta=6.0)(OnePixel(), x, y, seeded(3))
    assert float(loss) == pytest.approx((log(4 / 3) + log(4)) / 2 + 6 * divergence, rel=1e-5)


def test_trades_without_beta_is_plain_training():
    (net, twin), (x, y) = (network(), network()), batch()
    torch.testing.assert_close(trades(ATTACK, 0.0)(net, x, y, seeded()), F.cross_entropy(twin(x), y))


def test_attributes_have_binary_losses():
    class Attributes(nn.Linear):
        def forward(self, x):
            return super().forward(x.flatten(1))

    net = Attributes(36, 5)
    x, y = torch.rand(6, 1, 6, 6, generator=seeded()), (torch.rand(6, 5, generator=seeded(1)) > 0.5).to(torch.uint8)
    made = pgd(net, x, y, ATTACK, seeded(3))
    torch.testing.assert_close(madry(ATTACK, 1.0)(net, x, y, seeded(3)), F.binary_cross_entropy_with_logits(net(made), y.float()))
    smooth = madry(ATTACK, 0.0, label_smoothing=0.2)(net, x, y, seeded(3))
    torch.testing.assert_close(smooth, F.binary_cross_entropy_with_logits(net(x), 0.1 + 0.8 * y.float()))
    moved = pgd(net, x, net(x).detach(), replace(ATTACK, start="gaussian"), seeded(3), attribute_divergence)
    wanted = F.binary_cross_entropy_with_logits(net(x), y.float()) + 2 * attribute_divergence(net(moved), net(x)).mean()
    torch.testing.assert_close(trades(ATTACK, 2.0)(net, x, y, seeded(3)), wanted)


@pytest.mark.parametrize("objective", [madry(ATTACK, 0.5), trades(replace(ATTACK, restarts=2), 1.0)])
def test_every_parameter_is_trained_under_autocast_too(objective):
    net, (x, y) = network(), batch()
    with torch.autocast("cpu", torch.bfloat16):
        loss = objective(net, x, y, seeded())
    assert all(gradient.abs().sum() > 0 for name, gradient in zip(dict(net.named_parameters()), gradients(net, loss), strict=True))
    assert loss.dtype == torch.float32


def trained(objective, train):
    """A small network after a few passes over the digits; nothing but the objective differs."""
    net, generator = build(Facts("mcnn", 4, 10, 1, 8), (0.3,), (0.4,), seeded(1)).train(), seeded(5)
    optimizer = torch.optim.Adam(net.parameters(), 5e-3)
    for _ in range(7):
        for index in torch.randperm(len(train), generator=generator).split(64):
            loss = objective(net, train.images[index].float() / 255, train.labels[index], generator)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net


def test_adversarial_training_makes_a_network_robust_where_plain_training_does_not(tmp_path):
    train, test = (images.load("digits", split, (), tmp_path) for split in ("train", "test"))
    attack, found = Linf(0.2, 0.1, 3), {}
    objectives = {"plain": madry(attack, 0.0), "madry": madry(attack, 1.0), "trades": trades(attack, 3.0)}
    for name, objective in objectives.items():
        scored = {"pgd": Ascent(Linf(0.2, 0.03, 20), seeded())}
        clean, falls = evaluate(trained(objective, train), [(test.images.float() / 255, test.labels)], scored)
        found[name] = clean.right / clean.answers, robust(falls["pgd"], 20) / clean.answers
    assert all(accuracy > 0.85 for accuracy, _ in found.values())
    assert found["plain"][1] < 0.2
    assert found["madry"][1] > found["plain"][1] + 0.25 and found["trades"][1] > found["plain"][1] + 0.25
