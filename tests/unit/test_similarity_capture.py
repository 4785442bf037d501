"""Captures that cannot lie: in-place operations, reused modules, structured outputs; and nothing left behind."""

from dataclasses import dataclass

import pytest
import torch
from cut_networks import FORMS, network_of
from torch import Tensor, nn

from repsim.errors import InputError
from repsim.models.cut import cuts
from repsim.similarity.capture import Capture

X = torch.randn(4, 2, 6, 6, generator=torch.Generator().manual_seed(0))


@dataclass
class Pair:
    left: Tensor
    right: tuple[Tensor, int]


class Odd(nn.Module):
    """One of each oddity: an in-place ReLU, a module called twice, structured outputs, one module under two names."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3)
        self.relu = nn.ReLU(inplace=True)
        self.again = self.relu
        self.both, self.kept, self.named, self.drop = Both(), Kept(), Named(), nn.Dropout(0.5)
        self.never = nn.Identity()

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        first = self.relu(self.conv(x))
        second = self.relu(first - 0.3)
        pair, kept = self.both(second), self.kept(second)
        return {"out": self.drop(pair[0]) + kept.left, "side": self.named(second)["a"]}


class Both(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        return x.mean((2, 3)), [x + 1, x + 2]


class Kept(nn.Module):
    def forward(self, x: Tensor) -> Pair:
        return Pair(x.amax((2, 3)), (x, 3))


class Named(nn.Module):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"a": x.sum((2, 3))}


@pytest.fixture
def odd():
    torch.manual_seed(3)
    return Odd().train()


def read(module: nn.Module, *layers: str) -> dict[str, Tensor]:
    with Capture(module, layers) as capture:
        return capture(X)


def test_a_convolution_is_not_its_relu_that_writes_over_it(odd):
    found = read(odd, "conv", "relu", "relu#1")
    assert (found["conv"] < 0).any()
    assert torch.equal(found["conv"], odd.conv(X)) and torch.equal(found["relu"], odd.conv(X).relu())
    assert torch.equal(found["relu#1"], (found["relu"] - 0.3).relu())


def test_parts_of_tuples_lists_dictionaries_and_dataclasses_have_names(odd):
    names = ["both[0]", "both[1][1]", "kept[left]", "kept[right][0]", "named[a]", "logits[side]", "relu#1"]
    found = read(odd, *names)
    last = found["relu#1"]
    wanted = [last.mean((2, 3)), last + 2, last.amax((2, 3)), last, last.sum((2, 3)), last.sum((2, 3)), last]
    assert all(torch.equal(found[name], value) for name, value in zip(names, wanted, strict=True))


def test_dropout_rests_and_no_gradient_is_kept(odd):
    found = read(odd, "drop", "both[0]", "logits[out]")
    assert torch.equal(found["drop"], found["both[0]"])
    assert not any(value.requires_grad for value in found.values())


def test_nothing_of_a_capture_is_left_behind(odd):
    odd.both.eval()
    modes = [part.training for part in odd.modules()]
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    with Capture(odd, ["conv", "logits[out]"]) as capture:
        assert not any(part.training for part in odd.modules())
        torch.rand(7)
        capture(X)
    assert [part.training for part in odd.modules()] == modes
    assert torch.equal(torch.rand(3), wanted)
    assert not any(part._forward_hooks for part in odd.modules())
    assert torch.is_grad_enabled()


def test_nothing_is_left_behind_when_the_forward_fails(odd):
    with pytest.raises(RuntimeError), Capture(odd, ["conv"]) as capture:
        capture(torch.zeros(1, 5, 6, 6))
    assert odd.training and not odd.conv._forward_hooks and torch.is_grad_enabled()


def test_every_forward_counts_its_calls_anew(odd):
    with Capture(odd, ["relu#1"]) as capture:
        assert torch.equal(capture(X)["relu#1"], capture(X)["relu#1"])
        half = capture(X[:2])["relu#1"]
    assert len(half) == 2


def test_values_of_an_earlier_forward_stay_as_they_were(odd):
    with Capture(odd, ["conv"]) as capture:
        first = capture(X)["conv"]
        copy = first.clone()
        capture(X + 1)
    assert torch.equal(first, copy)


@pytest.mark.parametrize(
    "layer, message",
    [
        ("con", "did you mean 'conv'"),
        ("conv#2", "was not called: this forward called its module 1 time"),
        ("relu#2", "up to 'relu#1'"),
        ("never", "'never' was not called"),
        ("again", "the same module as 'relu'"),
        ("both", r"no tensor but tuple(.|\n)*'both\[0\]', 'both\[1\]'"),
        ("both[1]", r"'both\[1\]' gives no tensor but list(.|\n)*'both\[1\]\[0\]'"),
        ("both[7]", r"no part \[7\]"),
        ("conv[0]", r"'conv' has no part \[0\]"),
        ("kept[right][1]", "no tensor but int"),
        ("logits", r"'logits\[out\]'"),
        ("a[", "there is no layer"),
    ],
)
def test_a_layer_that_is_none_is_refused_by_name(odd, layer, message):
    with pytest.raises(InputError, match=message):
        read(odd, layer)


@pytest.mark.parametrize("arch", ["tiny10", "resnet20", "vit_tiny"])
def test_a_capture_and_a_cut_give_the_same_under_the_same_names(arch):
    network = network_of(arch)
    facts = network.facts
    x = torch.rand(3, facts.channels, facts.size, facts.size, generator=torch.Generator().manual_seed(1))
    forms = [make(network) for make in FORMS.values()]
    layers = [name for name in forms[0].names if name in forms[1].names]
    with Capture(network.body, [*layers, "logits"]) as capture:
        captured = capture(network.normalise(x))
    for form in (*forms, cuts(network)):
        found = form.reader(layers, logits=True)(x)
        assert all(torch.equal(found.values[name], captured[name]) for name in layers)
        assert found.logits is not None and torch.equal(found.logits, captured["logits"])
