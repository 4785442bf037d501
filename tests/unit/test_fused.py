"""The fused suffix computes what the plain one does, with weights of its own."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from repsim.models.cut import cuts
from repsim.models.fused import Scale, fused
from repsim.models.graph import GraphCuts
from repsim.models.hooks import HookCuts
from repsim.models.network import Facts, Network
from repsim.models.tracing import trace
from repsim.models.zoo import build

ARCHS = {"tiny10": Facts("tiny10", None, 10, 3, 32), "resnet20": Facts("resnet20", None, 10, 3, 16)}
ARCHS |= {"resnet20_b": Facts("resnet20_b", None, 10, 3, 16), "mcnn": Facts("mcnn", 4, 10, 3, 32)}


def _network(arch: str) -> Network:
    """With statistics and affine parameters that are no identity."""
    network, generator = build(ARCHS[arch], generator=torch.Generator().manual_seed(1)), torch.Generator().manual_seed(2)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low in (
                (module.running_mean, -0.3),
                (module.running_var, 0.4),
                (module.weight.data, 0.5),
                (module.bias.data, -0.2),
            ):
                tensor.uniform_(low, low + 0.8, generator=generator)
    return network.eval().requires_grad_(False)


def _results(suffix, value, carried):
    """Logits, the values on the way, and the gradient of a function of all of them."""
    value = value.clone().requires_grad_()
    logits, values = suffix.trace(value, *carried)
    (gradient,) = torch.autograd.grad(sum(t.square().mean() for t in (logits, *values.values())), value)
    return [logits, gradient, *values.values()]


def _error(found, wanted) -> float:
    return max(float(((a - b).abs().max() / b.abs().max()).detach()) for a, b in zip(found, wanted, strict=True))


def _read(network: Network, layer: str, dtype: torch.dtype = torch.float32):
    size = network.facts.size
    x = torch.rand(3, 3, size, size, generator=torch.Generator().manual_seed(3)).to(dtype)
    read = cuts(network).reader(values=[layer], carried=[layer])(x)
    return read.values[layer], read.carried[layer]


@pytest.mark.parametrize("arch", ARCHS)
def test_every_fused_suffix_gives_the_same_logits_and_gradients_to_rounding(arch):
    network = _network(arch).double()
    places = cuts(network)
    for layer in places.names[:-1]:
        suffix, (value, carried) = places.suffix(layer), _read(network, layer, torch.float64)
        assert _error(_results(fused(suffix), value, carried), _results(suffix, value, carried)) < 1e-10, layer


@pytest.mark.parametrize("arch", ARCHS)
def test_it_agrees_in_single_precision_too(arch):
    network = _network(arch)
    layer = cuts(network).names[2]
    suffix, (value, carried) = cuts(network).suffix(layer), _read(network, layer)
    assert _error(_results(fused(suffix), value, carried), _results(suffix, value, carried)) < 1e-5


def test_no_batch_norm_of_a_plain_network_is_left_but_the_first_that_has_no_convolution_before_it():
    suffix = cuts(_network("tiny10")).suffix("conv4")
    kinds = [type(module) for module in fused(suffix).part.modules()]
    assert nn.BatchNorm2d not in kinds
    assert kinds.count(Scale) == 1  # bn4: its convolution lies before the cut
    assert kinds.count(nn.Conv2d) == 4


def test_values_asked_for_between_a_convolution_and_its_norm_are_still_right():
    network = _network("resnet20").double()
    also = ["layer2.0.conv1", "layer2.0.bn1", "layer2.0.relu1", "layer3.1.add", "avgpool"]
    suffix, (value, carried) = cuts(network).suffix("layer1.0", also), _read(network, "layer1.0", torch.float64)
    assert list(fused(suffix).trace(value, *carried)[1]) == also
    assert _error(_results(fused(suffix), value, carried), _results(suffix, value, carried)) < 1e-10


def test_neither_the_network_nor_its_suffix_nor_what_is_given_changes():
    network = _network("resnet20")
    suffix, (value, carried) = cuts(network).suffix("layer1.1.bn1"), _read(network, "layer1.1.bn1")
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    given, expected = [value.clone(), *(tensor.clone() for tensor in carried)], suffix(value, *carried)
    twin = fused(suffix)
    twin(value, *carried)
    assert all(torch.equal(before[key], tensor) for key, tensor in network.state_dict().items())
    assert all(torch.equal(a, b) for a, b in zip(given, [value, *carried], strict=True))
    assert torch.equal(suffix(value, *carried), expected)
    own = {tensor.data_ptr() for tensor in network.state_dict().values()}
    assert own.isdisjoint(tensor.data_ptr() for tensor in twin.state_dict().values())


class _Shared(nn.Module):
    """One convolution with two norms, a norm behind a linear layer over tokens, and a norm without running statistics."""

    def __init__(self):
        super().__init__()
        self.first, self.conv = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3, padding=1)
        self.one, self.two = nn.BatchNorm2d(4), nn.BatchNorm2d(4, affine=False)
        self.relu, self.tokens = nn.ReLU(), nn.Linear(256, 4)
        self.over_tokens, self.of_the_batch = nn.BatchNorm1d(4), nn.BatchNorm1d(4, track_running_stats=False)
        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        x = self.first(x)
        x = self.relu(self.one(self.conv(x))) + self.relu(self.two(self.conv(x)))
        return self.fc(self.of_the_batch(self.over_tokens(self.tokens(x.flatten(2)))).flatten(1))


def _shared() -> Network:
    facts = Facts("tiny10", None, 10, 3, 16)
    network = Network(facts, _Shared(), [0.5] * 3, [0.25] * 3).double()
    for norm in (network.body.one, network.body.two, network.body.over_tokens):
        norm.running_mean.copy_(torch.linspace(-1, 1, 4))
        norm.running_var.copy_(torch.linspace(0.5, 2, 4))
    return network.eval().requires_grad_(False)


def test_a_convolution_with_two_norms_is_folded_into_each_and_norms_of_tokens_or_batches_are_not():
    network = _shared()
    suffix, (value, carried) = cuts(network).suffix("first"), _read(network, "first", torch.float64)
    twin = fused(suffix)
    assert _error(_results(twin, value, carried), _results(suffix, value, carried)) < 1e-10
    kinds = [type(module) for module in twin.part.modules()]
    assert (kinds.count(nn.Conv2d), kinds.count(Scale), kinds.count(nn.BatchNorm1d)) == (2, 1, 1)


def test_a_norm_in_train_mode_stays_a_norm():
    network = _network("tiny10")
    suffix = cuts(network).suffix("bn5")
    network.body.bn7.train()
    twin = fused(suffix)
    assert [type(module) for module in twin.part.modules()].count(nn.BatchNorm2d) == 1
    value, _ = _read(network, "bn5")
    assert _error([twin(value)], [copy.deepcopy(suffix)(value)]) < 1e-5


def test_a_suffix_that_is_no_graph_is_given_back_itself_and_one_that_is_a_graph_never():
    network = _network("tiny10")
    hooked, graph = HookCuts(network).suffix("bn5"), GraphCuts(network, trace(network)).suffix("bn5")
    assert fused(hooked) is hooked
    assert fused(graph) is not graph


class _Widest(TorchDispatchMode):
    """Notes where fp64 is made."""

    def __init__(self):
        super().__init__()
        self.devices = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor) and out.dtype == torch.float64:
            self.devices.add(out.device.type)
        return out


@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")  # deepcopy asks for it
@pytest.mark.parametrize("lacking, place", [({"cuda"}, "cpu"), ({"mps"}, "cuda")])
def test_a_device_without_fp64_is_spared_it_and_gets_its_weights_back(lacking, place, monkeypatch):
    """Under a mode that only keeps account of devices and refuses to mix them: there need be no such device."""
    monkeypatch.setattr("repsim.models.fused.WITHOUT_FP64", lacking)
    suffix = cuts(_network("tiny10")).suffix("conv4")  # bn4 becomes a multiply-add, the others are folded
    with FakeTensorMode(allow_non_fake_inputs=True), _Widest() as made:
        twin = fused(suffix.to("cuda"))
    assert {(tensor.device.type, tensor.dtype) for tensor in twin.state_dict().values()} == {("cuda", torch.float32)}
    assert made.devices == {place}
