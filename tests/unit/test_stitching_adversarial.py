"""Stitchers trained on attacked images: packed as alone, by the formulas of whole networks, with f and g left as they are."""

import copy
from dataclasses import replace

import pytest
import torch
from stitching_networks import feed, images, network
from torch import nn
from torch.nn import functional

from repsim.models.switches import seed_of
from repsim.robustness import objectives
from repsim.robustness.linf import Adversary, Linf
from repsim.stitching import adversarial, inits, packing
from repsim.stitching.engine import Engine
from repsim.stitching.pair import Needs, Pair
from repsim.stitching.runs import Run, Training
from repsim.stitching.shapes import join
from repsim.stitching.stitchers import build
from repsim.stitching.targets import Objective
from repsim.stitching.whole import Whole

ATTACK = Linf(8 / 255, 4 / 255, 2)
MADRY, HALF = Adversary("madry", ATTACK), Adversary("madry", ATTACK, ratio=0.5, seed=3)
TRADES = Adversary("trades", ATTACK, beta=6.0)
BESIDE = replace(TRADES, attack=replace(ATTACK, steps=0))
ADAM = Training(2, "adam", 1e-2)
WIDTHS = {"relu6": 64, "bn3": 32}


def run(key: str, layer: str, adversary: Adversary | None, seed: int = 0) -> Run:
    stitcher = build("linear", join((WIDTHS[layer], 4, 4), (WIDTHS[layer], 4, 4)))
    inits.start_(stitcher, "random", torch.Generator().manual_seed(seed))
    return Run(key, layer, layer, stitcher, ADAM, objective=Objective(adversary=adversary))


def pair_of(layers, arch: str = "tiny10") -> Pair:
    return Pair(network(arch, 0), network(arch, 1), layers, layers)


class Stitched(nn.Module):
    """The same network, put together by hooks: g, where the value of a layer is that of f, mapped."""

    def __init__(self, front, end, layer, stitcher):
        super().__init__()
        self.front, self.end, self.layer, self.stitcher = front.eval(), end.eval(), layer, stitcher

    def forward(self, x):
        seen = {}
        reading = self.front.body.get_submodule(self.layer).register_forward_hook(lambda m, i, o: seen.update(value=o))
        self.front(x)
        reading.remove()
        putting = self.end.body.get_submodule(self.layer).register_forward_hook(lambda m, i, o: self.stitcher(seen["value"]))
        logits = self.end(x)
        putting.remove()
        return logits


@pytest.mark.parametrize("adversary", [MADRY, HALF, TRADES], ids=["madry", "half", "trades"])
def test_stitchers_trained_together_equal_those_trained_alone(adversary):
    asked = [("relu6", 0), ("relu6", 1), ("bn3", 0)]
    packed = [run(f"{layer}-{seed}", layer, adversary, seed) for layer, seed in asked] + [run("plain", "relu6", None, 2)]
    alone = copy.deepcopy(packed)
    Engine(pair_of(list(WIDTHS)), feed(16, 8)).train(packed)
    for one in alone:
        Engine(pair_of([one.front_layer]), feed(16, 8)).train([one])
    for mine, theirs in zip(packed, alone, strict=True):
        assert mine.steps == theirs.steps == 4 and mine.epochs_run == 2
        assert mine.train_loss == pytest.approx(theirs.train_loss, rel=1e-4)
        torch.testing.assert_close(mine.stitcher.weight, theirs.stitcher.weight, rtol=0, atol=2e-4)


@pytest.mark.parametrize("adversary", [MADRY, HALF, TRADES, BESIDE], ids=["madry", "half", "trades", "trades at its start"])
def test_a_loss_and_its_gradient_are_those_of_the_whole_network(adversary):
    one = run("one", "bn3", adversary, 4)
    one.steps = 7
    x, y = images(6)
    pair = pair_of(["bn3"])
    reading = pair.reader(Needs(front=("bn3",), carried=("bn3",)))(x)
    (found,) = adversarial.losses(pair, [one], reading, x, y)
    found.backward()
    twin = Stitched(network(seed=0), network(seed=1), "bn3", build("linear", join((32, 4, 4), (32, 4, 4))))
    twin.stitcher.load_state_dict(one.stitcher.state_dict())
    attack = adversary.attack
    made = {"madry": objectives.madry(attack, adversary.ratio), "trades": objectives.trades(attack, adversary.beta)}
    wanted = made[adversary.kind](twin, x, y, torch.Generator().manual_seed(seed_of(adversary.seed, "stitch", 7)))
    wanted.backward()
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    error = (one.stitcher.weight.grad - twin.stitcher.weight.grad).norm() / twin.stitcher.weight.grad.norm()
    # beside the image the divergence is flat: rounding turns the sign of a gradient here and there
    assert error < (0.05 if adversary is TRADES else 1e-4)


@pytest.mark.parametrize("layer", ["relu6", "bn3"])
def test_the_whole_network_has_the_logits_and_the_gradients_of_its_parts_joined_by_hooks(layer):
    one, two = run("one", layer, None, 0), run("two", layer, None, 1)
    x = images(3)[0]
    whole = Whole(pair_of([layer]), [one, two])
    given = torch.cat([x, x.flip(0)]).requires_grad_()
    logits = whole(given)
    logits.square().sum().backward()
    for k, (each, seen) in enumerate(((one, x), (two, x.flip(0)))):
        variable = seen.clone().requires_grad_()
        wanted = Stitched(network(seed=0), network(seed=1), layer, each.stitcher)(variable)
        wanted.square().sum().backward()
        torch.testing.assert_close(logits[3 * k : 3 * k + 3], wanted, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(given.grad[3 * k : 3 * k + 3], variable.grad, rtol=1e-3, atol=1e-3)


def test_gradients_go_through_a_residual_branch_that_passes_the_cut_by():
    layer = "layer2.0.bn1"
    pair = pair_of([layer], "resnet20")
    stitcher = build("linear", join((32, 16, 16), (32, 16, 16)))
    inits.start_(stitcher, "random", torch.Generator().manual_seed(0))
    one = Run("one", layer, layer, stitcher, ADAM)
    assert pair.end_cuts.carries(layer)
    given, twin = (images(2)[0].requires_grad_() for _ in range(2))
    Whole(pair, [one])(given).square().sum().backward()
    Stitched(network("resnet20", 0), network("resnet20", 1), layer, stitcher)(twin).square().sum().backward()
    torch.testing.assert_close(given.grad, twin.grad, rtol=1e-3, atol=1e-3 * float(twin.grad.abs().max()))


def test_nothing_of_f_and_g_is_trained():
    pair, one = pair_of(["relu6"]), run("one", "relu6", MADRY)
    donors = (pair.front, pair.end)
    before = [copy.deepcopy(donor.state_dict()) for donor in donors]
    start = one.stitcher.weight.detach().clone()
    Engine(pair, feed(8, 8)).train([one])
    assert not torch.equal(one.stitcher.weight, start)
    for donor, state in zip(donors, before, strict=True):
        assert not donor.training and all(torch.equal(value, state[name]) for name, value in donor.state_dict().items())
        assert all(p.grad is None and not p.requires_grad for p in donor.parameters())


def test_madry_of_a_linear_network_attacks_each_image_at_its_corner():
    """Logits ± w·x: the loss at the corner x − ε sign(w) of the class is known in closed form."""
    one = run("one", "relu6", replace(MADRY, attack=Linf(0.1, 0.1, 2)))
    w = torch.linspace(-1, 1, 3 * 4 * 4)
    x, y = 0.3 + 0.4 * torch.rand(5, 3, 4, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 0, 1, 1])
    margin = lambda images: images.flatten(1) @ w  # noqa: E731
    linear = lambda images: torch.stack([margin(images), -margin(images)], 1)  # noqa: E731
    (found,) = adversarial._madry(linear, 1, one.objective.adversary, x, y, x.clone())  # type: ignore[arg-type]
    toward = torch.where(y == 0, 1.0, -1.0)
    left = toward * margin(x) - 0.1 * w.abs().sum()
    torch.testing.assert_close(found, functional.softplus(-2 * left).mean())


def test_a_small_budget_attacks_stitchers_one_by_one():
    runs = [run(str(seed), "relu6", MADRY, seed) for seed in range(3)] + [run("trades", "relu6", TRADES)]
    pair, x = pair_of(["relu6"]), images(4)[0]
    assert [len(part) for part in adversarial.chunks(pair, runs, x, 1)] == [1, 1, 1, 1]
    assert [len(part) for part in adversarial.chunks(pair, runs, x, packing.MIB * 10_000)] == [3, 1]
