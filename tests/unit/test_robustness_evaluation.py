"""Scores of a network: calibration by hand, clean scores by numpy, and AutoAttack where its package is there."""

import importlib.machinery
import sys
import types

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from repsim.data import sources
from repsim.errors import InputError
from repsim.models.network import Facts
from repsim.models.zoo import build
from repsim.robustness import calibration, rules
from repsim.robustness.ensemble import Ensemble
from repsim.robustness.evaluation import evaluate, robust
from repsim.robustness.fooling import NEVER, Ascent
from repsim.robustness.linf import Linf


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    "confidence, right, error",
    [
        ([0.9, 0.9, 0.9, 0.9], [1, 1, 0, 0], 0.4),
        ([1.0, 1.0], [1, 1], 0.0),
        ([1.0, 1.0], [0, 0], 1.0),
        ([0.5, 0.5], [1, 0], 0.0),
        ([0.99, 0.95, 0.3], [1, 1, 0], (0.06 + 0.3) / 3),  # 0.99 and 0.95 share the bin (14/15, 1]
        ([0.75, 0.25], [0, 1], 0.75),  # two bins: they do not cancel
        ([0.2, 0.21], [1, 0], (0.8 + 0.21) / 2),  # 0.2 = 3/15 closes its bin, 0.21 lies in the next
    ],
)
def test_the_calibration_error_has_its_known_value(confidence, right, error):
    found = calibration.expected_error(torch.tensor(confidence, dtype=torch.float64), torch.tensor(right, dtype=torch.bool))
    assert found == pytest.approx(error, abs=1e-12)


def by_hand(confidence, right, bins):
    """Guo et al. 2017, equation 3, bin by bin."""
    total = 0.0
    for m in range(1, bins + 1):
        inside = (confidence > (m - 1) / bins) & (confidence <= m / bins)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return total


@pytest.mark.parametrize("bins", [1, 5, 15, 20])
def test_the_calibration_error_is_that_of_numpy_bin_by_bin(bins):
    draw = np.random.default_rng(bins)
    confidence, right = draw.beta(5, 2, 1000), draw.random(1000) < 0.7
    found = calibration.expected_error(torch.from_numpy(confidence), torch.from_numpy(right), bins)
    assert found == pytest.approx(by_hand(confidence, right, bins), abs=1e-12)


def test_a_network_that_draws_its_answers_from_its_own_probabilities_is_calibrated():
    logits = 2 * torch.randn(200_000, 3, generator=seeded())
    labels = torch.multinomial(logits.softmax(1), 1, generator=seeded(1)).flatten()
    confidence, right = calibration.top_label(logits), logits.argmax(1) == labels
    assert calibration.expected_error(confidence, right) < 0.005
    assert calibration.expected_error(calibration.top_label(3 * logits), right) > 0.1


def network(classes=10):
    return build(Facts("mcnn", 2, classes, 1, 16), (0.4,), (0.2,), seeded(1))


def batches(n=50, size=17):
    x, y = torch.rand(n, 1, 16, 16, generator=seeded(2)), torch.randint(10, (n,), generator=seeded(3))
    return list(zip(x.split(size), y.split(size), strict=True))


def test_clean_scores_are_those_of_numpy_and_the_mode_comes_back():
    net = network().train()
    found, falls = evaluate(net, batches(), {})
    assert net.training and falls == {}
    with torch.no_grad():
        logits = torch.cat([net.eval()(x) for x, _ in batches()]).double().numpy()
    labels = torch.cat([y for _, y in batches()]).numpy()
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert (found.images, found.answers, found.right) == (50, 50, (p.argmax(1) == labels).sum())
    assert found.loss == pytest.approx(-np.log(p[np.arange(50), labels]).mean(), rel=1e-9)
    assert found.ece == pytest.approx(by_hand(p.max(1), p.argmax(1) == labels, 15), abs=1e-9)


def test_attributes_are_answers_of_their_own():
    net = network(classes=3)
    (x, _), y = batches(20, 20)[0], torch.tensor([[1, 0, 1]] * 20, dtype=torch.uint8)
    attacks = {"pgd": Ascent(Linf(0.3, 0.1, 3), seeded())}
    found, falls = evaluate(net, [(x, y)], attacks)
    with torch.no_grad():
        p = net.eval()(x).double().sigmoid()
    right = (p > 0.5) == y.bool()
    assert (found.images, found.answers, found.right) == (20, 60, int(right.sum()))
    assert found.loss == pytest.approx(float(F.binary_cross_entropy(p, y.double())), rel=1e-6)
    confidence = torch.maximum(p, 1 - p).flatten().numpy()
    assert found.ece == pytest.approx(by_hand(confidence, right.flatten().numpy(), 15), abs=1e-6)
    assert torch.equal(falls["pgd"] > 0, right) and robust(falls["pgd"], 3) <= found.right


def test_attacks_share_the_clean_pass_and_see_the_batches_in_order():
    net, done = network().eval(), []
    attack = Linf(0.01, 0.005, 4)
    alone = evaluate(net, batches(), {"a": Ascent(attack, seeded(7))})[1]["a"]
    seen = 0

    class Counted(nn.Module):
        def forward(self, x):
            nonlocal seen
            seen += 1
            return net(x)

    clean, falls = evaluate(
        Counted(),
        batches(),
        {"a": Ascent(attack, seeded(7)), "b": Ascent(Linf(0.3, 0.1, 1), seeded(8))},
        done.append,
    )
    assert torch.equal(falls["a"], alone)
    assert seen == len(done) and sorted(set(done)) == [0, 17, 34] and done == sorted(done)
    assert robust(falls["a"], 0) <= clean.right and robust(falls["b"], 1) <= clean.right
    assert torch.equal(falls["a"] == 0, falls["a"] < 1)


def test_a_network_that_answers_nothing_finite_has_a_loss_that_is_not_finite():
    net = network()
    nn.init.constant_(net.body.fc.bias, torch.nan)
    found, _ = evaluate(net, batches(), {})
    assert not np.isfinite(found.loss)


class FakeAutoAttack:
    """Has the interface of the package; moves each image to the far end of the ball, prints, and draws random numbers."""

    made: list = []

    def __init__(self, model, norm="Linf", eps=0.3, seed=None, verbose=True, attacks_to_run=(), version="standard", device="cuda"):
        self.model, self.eps = model, eps
        self.made.append((norm, eps, seed, verbose, version, device))

    def run_standard_evaluation(self, x_orig, y_orig, bs=250, return_labels=False):
        assert bs == len(x_orig) == len(y_orig)
        torch.random.manual_seed(123)
        print("robust accuracy")
        with torch.no_grad():
            assert self.model(x_orig).shape[0] == bs
        return (x_orig - self.eps).clamp(0, 1)


class Brightness(nn.Module):
    """Class 1 for images brighter than a half, class 0 for others."""

    def forward(self, x):
        bright = x.mean((1, 2, 3)) - 0.5
        return torch.stack([-bright, bright], 1)


@pytest.fixture
def package(monkeypatch):
    """Stands in for the package."""
    fake = types.ModuleType("autoattack")
    fake.__spec__ = importlib.machinery.ModuleSpec("autoattack", None)
    monkeypatch.setattr(fake, "AutoAttack", FakeAutoAttack, raising=False)
    monkeypatch.setitem(sys.modules, "autoattack", fake)
    monkeypatch.setattr(FakeAutoAttack, "made", [])


def test_autoattack_is_asked_for_its_standard_version_and_believed_only_where_the_clean_answer_is_right(package, capsys):
    x = torch.tensor([0.55, 0.7, 0.3, 0.9])[:, None, None, None].expand(4, 1, 2, 2)
    y, state, ticks = torch.tensor([1, 1, 1, 1]), torch.random.get_rng_state(), []
    clean, falls = evaluate(Brightness(), [(x, y), (x[2:3], y[:1])], {"aa": Ensemble(0.1, 5)}, ticks.append)
    assert falls["aa"].tolist() == [0, NEVER, 0, NEVER, 0]
    assert (clean.right, robust(falls["aa"], 10)) == (3, 2)
    assert FakeAutoAttack.made == [("Linf", 0.1, 5, False, "standard", "cpu")]  # nothing is right in the second batch
    assert torch.equal(torch.random.get_rng_state(), state)
    said = capsys.readouterr()
    assert said.out == "" and "robust accuracy" in said.err
    assert ticks == [0, 0, 4]


def test_autoattack_that_is_not_there_is_refused_with_how_to_install_it(monkeypatch):
    monkeypatch.setattr(rules, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="AutoAttack is not installed") as refused:
        rules.check_autoattack(sources.get("cifar10"))
    assert "pip install git+https://github.com/fra31/auto-attack" in str(refused.value)


def test_autoattack_wants_ten_classes(package):
    rules.check_autoattack(sources.get("cifar10"))
    few = types.SimpleNamespace(name="pets", classes=2, attributes=False)
    faces = types.SimpleNamespace(name="faces", classes=40, attributes=True)
    for source in (few, faces):
        with pytest.raises(InputError, match=f"10 classes or more, not for '{source.name}'"):
            rules.check_autoattack(source)
