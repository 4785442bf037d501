"""A network cut at any layer and put together again is the network, bit for bit."""

from collections import Counter

import pytest
import torch
from torch import nn

from repsim.errors import InputError
from repsim.models.cut import Cuts
from repsim.models.network import Facts, Network
from repsim.models.zoo import ARCHITECTURES, build

SMALL = {
    "tiny10": Facts("tiny10", None, 10, 3, 32),
    "mcnn": Facts("mcnn", 4, 10, 1, 8),
    "resnet20": Facts("resnet20", 1, 10, 3, 16),
    "resnet20_b": Facts("resnet20_b", 1, 10, 3, 16),
}


def network_of(arch: str) -> Network:
    """An eval-mode network whose BatchNorms do something, with a normalisation."""
    facts, generator = SMALL[arch], torch.Generator().manual_seed(3)
    network = build(facts, [0.4] * facts.channels, [0.3] * facts.channels, generator)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.2, generator=generator)
            nn.init.uniform_(module.running_var, 0.5, 2.0, generator=generator)
    return network.eval()


def images_for(network: Network, n: int = 4) -> torch.Tensor:
    facts = network.facts
    return torch.rand(n, facts.channels, facts.size, facts.size, generator=torch.Generator().manual_seed(4))


def joined(cuts: Cuts, layer: str, x: torch.Tensor) -> torch.Tensor:
    return cuts.suffix(layer)(cuts.front([layer])(x)[layer], *cuts.carried([layer])(x)[layer])


def called(network: Network) -> Counter:
    """Counts the calls of each leaf module from now on (fx looks into modules that are not PyTorch's: no call of those)."""
    calls = Counter()
    for name, module in network.body.named_modules():
        if not any(module.children()):
            module.register_forward_hook(lambda *_, name=name: calls.update([name]))
    return calls


def test_every_architecture_is_tested():
    assert SMALL.keys() == ARCHITECTURES.keys()


@pytest.mark.parametrize("arch", SMALL)
def test_every_layer_joins_to_the_whole_network_bit_for_bit(arch):
    network = network_of(arch)
    x, cuts = images_for(network), Cuts(network)
    logits = network(x)
    assert logits.std() > 1e-3
    assert cuts.names[0] == "conv1" and cuts.names[-1] == "fc"
    for layer in cuts.names:
        assert torch.equal(joined(cuts, layer, x), logits), layer


@pytest.mark.parametrize("arch", ["mcnn", "resnet20_b"])
def test_every_layer_joins_to_the_whole_network_in_train_mode(arch):
    network = network_of(arch).train()
    x, cuts = images_for(network), Cuts(network)
    logits = network(x)
    for layer in cuts.names:
        assert torch.equal(joined(cuts, layer, x), logits), layer


@pytest.mark.parametrize("arch", SMALL)
def test_front_values_are_what_hooks_see(arch):
    network = network_of(arch)
    x, cuts, seen = images_for(network), Cuts(network), {}
    for name, module in network.body.named_modules():
        if name:
            module.register_forward_hook(lambda _m, _i, output, name=name: seen.__setitem__(name, output))
    network(x)
    values = cuts.front(cuts.names)(x)
    assert values.keys() == seen.keys()
    for name, value in values.items():
        assert torch.equal(value, seen[name]) and cuts.shape(name) == value.shape[1:], name


def test_another_value_at_the_cut_gives_what_overriding_the_layer_by_a_hook_gives():
    network = network_of("resnet20_b")
    x, cuts = images_for(network), Cuts(network)
    for layer in ("layer1.1.bn1", "layer2.0.conv2", "layer2.0.downsample.0", "layer2.0.add", "layer3"):
        other = torch.randn(4, *cuts.shape(layer), generator=torch.Generator().manual_seed(5))
        handle = network.body.get_submodule(layer).register_forward_hook(lambda *_, other=other: other)
        expected = network(x)
        handle.remove()
        assert torch.equal(cuts.suffix(layer)(other, *cuts.carried([layer])(x)[layer]), expected), layer
        assert not torch.equal(expected, network(x)), layer


@pytest.mark.parametrize("arch", ["resnet20", "resnet20_b"])
def test_a_value_is_carried_inside_residual_blocks_and_none_at_their_outputs(arch):
    cuts = Cuts(network_of(arch))
    inside = ("conv1", "bn1", "relu1", "conv2", "bn2", "downsample")
    for name in cuts.names:
        parts = name.split(".")
        assert cuts.carries(name) == int(len(parts) > 2 and parts[2] in inside), name


def test_plain_networks_carry_nothing():
    for arch in ("tiny10", "mcnn"):
        cuts = Cuts(network_of(arch))
        assert all(cuts.carries(name) == 0 for name in cuts.names)


def test_front_stops_behind_the_last_layer_needed():
    network = network_of("resnet20")
    cuts, calls = Cuts(network), called(network)
    cuts.front(["bn1", "layer1.0.bn2"])(images_for(network))
    assert calls == Counter(["conv1", "bn1", "relu1", *(f"layer1.0.{part}" for part in ("conv1", "bn1", "relu1", "conv2", "bn2"))])


def test_suffix_starts_behind_the_cut_and_does_not_repeat_what_is_carried():
    network = network_of("resnet20_b")
    x, cuts = images_for(network), Cuts(network)
    value, carried = cuts.front(["layer3.0.bn1"])(x)["layer3.0.bn1"], cuts.carried(["layer3.0.bn1"])(x)["layer3.0.bn1"]
    calls = called(network)
    cuts.suffix("layer3.0.bn1")(value, *carried)
    assert set(calls.values()) == {1}
    assert {name for name in calls if name.startswith("layer3.0")} == {f"layer3.0.{n}" for n in ("relu1", "conv2", "bn2", "relu2")}
    assert not [name for name in calls if name.startswith(("conv1", "layer1", "layer2"))]


def test_carried_runs_nothing_at_block_outputs_and_one_forward_for_many_layers():
    network = network_of("resnet20")
    x, cuts, calls = images_for(network), Cuts(network), called(network)
    assert cuts.carried(["layer1.0", "layer2"])(x) == {"layer1.0": (), "layer2": ()}
    assert not calls
    found = cuts.carried(["layer1.1.bn1", "layer1.2.bn1", "layer1"])(x)
    assert [len(found[name]) for name in ("layer1.1.bn1", "layer1.2.bn1", "layer1")] == [1, 1, 0]
    assert set(calls.values()) == {1} and "layer1.2.conv1" not in calls


def test_carried_forms_no_graph_for_gradients_and_front_leaves_the_choice():
    network = network_of("resnet20")
    x, cuts = images_for(network), Cuts(network)
    assert not cuts.carried(["layer1.0.bn1"])(x)["layer1.0.bn1"][0].requires_grad
    assert cuts.front(["layer1.0.bn1"])(x)["layer1.0.bn1"].requires_grad


def test_parts_share_the_modules_of_the_network_and_follow_it():
    network = network_of("resnet20_b")
    x, cuts = images_for(network), Cuts(network)
    front, carried, suffix = cuts.front(["layer2.0.bn1"]), cuts.carried(["layer2.0.bn1"]), cuts.suffix("layer2.0.bn1")
    own = {id(parameter) for parameter in network.parameters()}
    assert suffix.carries == 1
    assert {id(parameter) for parameter in suffix.parameters()} < own
    network.double()
    with torch.no_grad():
        network.body.fc.weight.mul_(2)
    x = x.double()
    logits = suffix(front(x)["layer2.0.bn1"], *carried(x)["layer2.0.bn1"])
    assert logits.dtype == torch.float64 and torch.equal(logits, network(x))


@pytest.mark.parametrize("train", [False, True])
def test_tracing_leaves_the_network_and_the_random_numbers_alone(train):
    network = network_of("resnet20_b").train(train)
    before, seed = {key: value.clone() for key, value in network.state_dict().items()}, torch.get_rng_state()
    cuts = Cuts(network)
    cuts.suffix("layer1.0.bn1")
    assert torch.equal(torch.get_rng_state(), seed) and network.training is train
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_an_unknown_layer_names_the_nearest():
    cuts = Cuts(network_of("resnet20"))
    for ask in (cuts.suffix, cuts.shape, lambda layer: cuts.front(["bn1", layer]), lambda layer: cuts.carried([layer])):
        with pytest.raises(InputError, match=r"resnet20 has no layer 'layer1\.0\.bm1'") as caught:
            ask("layer1.0.bm1")
        assert "layer1.0.bn1" in (caught.value.do or "")


class Odd(nn.Module):
    """A reused module, an empty container, sizes read across the cut, and a layer that nothing reads."""

    def __init__(self):
        super().__init__()
        self.conv, self.relu, self.nothing = nn.Conv2d(2, 2, 3, padding=1), nn.ReLU(), nn.Sequential()
        self.unread, self.fc = nn.Conv2d(2, 2, 1), nn.Linear(8, 3)

    def forward(self, x):
        y = self.relu(self.conv(self.nothing(x)))
        self.unread(y)
        z = self.relu(self.conv(y) - 0.1)
        pooled = z.reshape(y.size(0), y.shape[1], 4, -1).mean(3)
        return self.fc(pooled.flatten(1)) + y.mean((1, 2, 3)).unsqueeze(1)


def odd_network() -> Network:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Network(Facts("odd", None, 3, 2, 4), Odd(), [0.0, 0.0], [1.0, 1.0])


def test_further_calls_of_a_module_are_numbered():
    assert Cuts(odd_network()).names == ["conv", "relu", "conv#1", "relu#1", "fc"]


def test_a_network_with_every_oddity_is_cut_bit_for_bit():
    network = odd_network()
    x, cuts = images_for(network, 5), Cuts(network)
    for layer in cuts.names:
        assert torch.equal(joined(cuts, layer, x), network(x)), layer


def test_sizes_are_read_anew_so_that_stitchers_may_share_a_batch():
    network = odd_network()
    x, cuts = images_for(network, 5), Cuts(network)
    value, carried = cuts.front(["relu#1"])(x)["relu#1"], cuts.carried(["relu#1"])(x)["relu#1"]
    twice = cuts.suffix("relu#1")(torch.cat([value, value]), *(torch.cat([c, c]) for c in carried))
    assert torch.allclose(twice, torch.cat([network(x)] * 2), atol=1e-6)
