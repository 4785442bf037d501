"""Bodies that no graph stands for are cut by hooks, which come and go without a trace."""

import pytest
import torch
from cut_networks import FORMS, Greedy, HiddenWrite, Idle, MakesTensors, ModeInside, Moody, around, images_for, joined
from torch import nn

from repsim.errors import InputError
from repsim.models.cut import cuts
from repsim.models.graph import GraphCuts
from repsim.models.hooks import HookCuts
from repsim.models.network import Network

NO_GRAPH = {"data": Moody, "hidden write": HiddenWrite, "mode": ModeInside, "own tensors": MakesTensors}


def dark(network: Network) -> torch.Tensor:
    """Images on which `Moody` leaves out its branch for bright ones."""
    return 0.4 * images_for(network)


def hooks_on(network: Network) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in network.modules())


@pytest.mark.parametrize("why", NO_GRAPH)
def test_a_body_that_no_graph_stands_for_is_cut_by_hooks_bit_for_bit(why):
    network = around(NO_GRAPH[why]())
    places, x = cuts(network), dark(network)
    assert isinstance(places, HookCuts) and "conv" in places.names and places.names[-1] == "fc"
    for layer in places.names:
        assert torch.equal(joined(places, layer, x), network(x)), layer


def test_a_turn_that_depends_on_the_images_is_taken_anew_for_every_batch():
    network = around(Moody())
    places, x = cuts(network), images_for(network)
    bright, dim = 0.5 + 0.5 * x, 0.5 * x
    assert not torch.equal(network(bright), network.body(network.body.get_submodule("relu")(torch.zeros(4, 2, 4, 4))))
    for images in (bright, dim):
        for layer in ("conv", "norm", "relu", "conv#1", "fc"):
            assert torch.equal(joined(places, layer, images), network(images)), layer


def test_the_second_call_of_a_module_is_a_layer_of_its_own():
    network = around(Moody())
    places, x = cuts(network), dark(network)
    assert places.names == ["conv", "norm", "relu", "conv#1", "relu#1", "pool", "fc"]
    read = places.reader(["conv", "conv#1"], ["conv#1"])(x)
    zero = torch.zeros_like(read.values["conv#1"])
    assert not torch.equal(read.values["conv"], read.values["conv#1"])
    assert torch.allclose(
        places.suffix("conv#1")(zero, *read.carried["conv#1"]), network.body.get_submodule("fc").bias.expand(4, 3)
    )


def test_a_body_that_catches_every_error_does_not_hold_up_a_reader():
    network, calls = around(Moody()), []
    reader = cuts(network).reader(["norm"])
    network.body.get_submodule("fc").register_forward_hook(lambda *_: calls.append("fc"))
    value = reader(dark(network)).values["norm"]
    assert not calls
    assert value.min() < 0  # before the ReLU in place
    network(dark(network))
    assert calls


class Picky(nn.Module):
    """Calls `dim` for dark images only."""

    def __init__(self):
        super().__init__()
        self.conv, self.dim, self.fc = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 1), nn.Linear(32, 3)

    def forward(self, x):
        y = self.conv(x)
        return self.fc((y if x.mean() > 0 else self.dim(y)).flatten(1))


def test_a_layer_that_these_images_do_not_come_to_is_named():
    network = around(Picky())
    places, bright = cuts(network), 0.5 + 0.5 * images_for(network)
    assert "dim" in places.names
    with pytest.raises(InputError, match="did not call 'dim' for these images"):
        places.reader(["dim"])(bright)
    with pytest.raises(InputError, match="did not call 'dim' for these images"):
        places.suffix("dim")(torch.zeros(4, 2, 4, 4), bright)
    assert torch.equal(joined(places, "dim", dark(network)), network(dark(network)))


def test_hooks_are_gone_after_every_use_even_where_the_body_fails():
    network = around(Picky())
    places, x = HookCuts(network), images_for(network)
    places.reader(["conv"])(x)
    joined(places, "conv", x)
    with pytest.raises(RuntimeError):
        places.reader(["fc"])(x[:, :1].expand(4, 3, 4, 4)[:, :, :2])
    with pytest.raises(InputError):
        places.suffix("conv", also=["nothing"])
    assert hooks_on(network) == 0


def test_the_mode_of_the_network_is_the_mode_of_its_parts():
    network = around(ModeInside())
    places, x = cuts(network), images_for(network)
    read, suffix = places.reader(["conv"], ["conv"])(x), places.suffix("conv")
    in_eval = suffix(read.values["conv"], *read.carried["conv"])
    network.train()
    torch.manual_seed(0)
    expected = network(x)
    torch.manual_seed(0)
    assert torch.equal(suffix(read.values["conv"], *read.carried["conv"]), expected) and not torch.equal(expected, in_eval)


def test_the_random_numbers_of_a_body_rest_while_it_is_probed():
    network, state = around(MakesTensors()), torch.get_rng_state()
    places = cuts(network)
    places.suffix("conv", also=["fc"])
    assert isinstance(places, HookCuts) and torch.equal(torch.get_rng_state(), state)
    assert not [name for name in vars(network.body) if "constant" in name]


def test_a_body_with_arguments_of_any_kind_is_traced_with_its_images_alone():
    network = around(Greedy())
    assert isinstance(cuts(network), GraphCuts)
    for form in FORMS.values():
        places, x = form(network), images_for(network)
        assert places.names == ["conv", "fc"]
        assert all(torch.equal(joined(places, layer, x), network(x)) for layer in places.names)


@pytest.mark.parametrize("form", FORMS)
def test_a_call_that_hands_on_an_older_tensor_or_gives_two_is_no_layer(form):
    network = around(Idle())
    places, x = FORMS[form](network), images_for(network)
    assert places.names == ["block.0", "block", "fc"]
    other = torch.randn(4, 2, 4, 4, generator=torch.Generator().manual_seed(5))
    results = [places.suffix(name)(other, *places.reader(carried=[name])(x).carried[name]) for name in ("block.0", "block")]
    assert torch.equal(*results) and not torch.equal(results[0], network(x))
    assert torch.equal(places.suffix("block", also=["block.0"]).trace(other, *[x] * places.carries("block"))[1]["block.0"], other)
