"""Owns the memory-bandwidth bound: the time in which the bytes of a frozen suffix, forward and backward, can be moved at all.

Counted on the fused graph: every tensor that must exist is written once and read once, and so is its gradient. Batch norms, and
ReLUs behind convolutions, make no tensor there. Weights are left out: they serve the whole batch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter

import torch
from torch import Tensor, fx, nn

from repsim.models.cut import cuts
from repsim.models.fused import fused
from repsim.models.graph import GraphSuffix
from repsim.models.network import Network
from repsim.models.parts import Suffix

PROBE = 2  # images: a tensor with so many rows is one per image
COPIED = 256 * 1024**2  # bytes


@dataclass(frozen=True)
class Step:
    """One forward and backward of a suffix: bytes that it moves per image, and seconds per image that it took."""

    bytes: int
    seconds: float


def steps(network: Network, layers: tuple[str, ...], images: int) -> Mapping[str, Step]:
    """Every layer's suffix on `images` images; the fused one, which the bound counts."""
    return {layer: _step(network, layer, images) for layer in layers}


def bandwidth(device: str) -> float:
    """Bytes per second that a copy reads and writes."""
    source = torch.ones(COPIED // 4, device=device)
    target = torch.empty_like(source)
    return 2 * COPIED / _fastest(lambda: target.copy_(source), device)


@torch.no_grad()
def _step(network: Network, layer: str, images: int) -> Step:
    facts, device = network.facts, network.mean.device
    suffix = fused(cuts(network).suffix(layer).eval())
    x = torch.rand(images, facts.channels, facts.size, facts.size, device=device).contiguous(memory_format=torch.channels_last)
    read = cuts(network).reader(values=[layer], carried=[layer])(x)
    inputs = [read.values[layer], *read.carried[layer]]
    moved = _bytes(suffix, [tensor[:PROBE].clone() for tensor in inputs])
    return Step(moved, _fastest(lambda: _forward_backward(suffix, inputs), device.type) / images)


def _bytes(suffix: Suffix, inputs: list[Tensor]) -> int:
    """Bytes per image: tensors times two (written, read), and the same for their gradients."""
    assert isinstance(suffix, GraphSuffix)
    reader = _Sizes(suffix.part, list(inputs))
    reader.run(*inputs)
    given = sum(tensor.untyped_storage().nbytes() for tensor in inputs)
    gradient = inputs[0].untyped_storage().nbytes()  # carried values get none
    return (4 * sum(reader.sizes.values()) + given + gradient) // PROBE  # what is given is read only, its gradient written only


class _Sizes(fx.Interpreter):
    """Runs a graph and keeps the size of every storage with a row per image that it makes."""

    def __init__(self, part: nn.Module, inputs: list[Tensor]):
        super().__init__(part)
        self._alive = inputs  # a storage that is freed could come back as another tensor's
        self._given = {tensor.untyped_storage().data_ptr() for tensor in inputs}
        self.sizes: dict[int, int] = {}

    def run_node(self, n: fx.Node):
        value = super().run_node(n)
        if isinstance(value, Tensor) and value.shape[:1] == (PROBE,):
            self._alive.append(value)
            place = value.untyped_storage().data_ptr()
            if place not in self._given:
                self.sizes[place] = value.untyped_storage().nbytes()
        return value


@torch.enable_grad()
def _forward_backward(suffix: Suffix, inputs: list[Tensor]) -> None:
    value = inputs[0].detach().requires_grad_()
    torch.autograd.grad(suffix(value, *inputs[1:]).sum(), value)


def _fastest(work, device: str, times: int = 5) -> float:
    """Seconds of the fastest of some calls, the device waited for."""
    found = []
    for _ in range(times + 1):  # the first one warms up
        started = perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        found.append(perf_counter() - started)
    return min(found[1:])
