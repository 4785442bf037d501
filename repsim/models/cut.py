"""Owns cutting: what a network computes before, after and beside any named value.

The body is traced once to a `torch.fx` graph. A layer is the output of one module call, leaf or container, and
every part is the piece of that graph between some values and others, running the network's own modules:

    front    x → the value of each layer; stops behind the last one
    suffix   value, carried → logits
    carried  x → whatever else the suffix reads: a residual branch that passes the cut by; nothing at block outputs

so that `suffix(front(x), *carried(x))` equals `network(x)` bit for bit.
"""

import copy
from collections import Counter
from collections.abc import Callable, Collection, Sequence

import torch
from torch import Tensor, fx, nn

from repsim.errors import InputError, nearest
from repsim.models.network import Network


class Suffix(nn.Module):
    """The body after a layer: (value (n, …), *carried) → logits (n, classes).

    Its modules are the network's own, so its parameters, device and train or eval mode are too.
    """

    def __init__(self, part: fx.GraphModule, carries: int):
        super().__init__()
        self.part = part
        self.carries = carries

    def forward(self, value: Tensor, *carried: Tensor) -> Tensor:
        return self.part(value, *carried)[0]


class Cuts:
    """Every place where `network` can be cut. Parts take x (n, c, h, w) in [0, 1] and normalise it themselves.

    Attributes:
        names: the layers in execution order: a module's name, or `name#k` for its k-th further call.
    """

    def __init__(self, network: Network):
        self._network = network
        recorder = _Recorder()
        self._graph = recorder.trace(network.body)
        self._input = next(node for node in self._graph.nodes if node.op == "placeholder")
        self._logits = next(node for node in self._graph.nodes if node.op == "output").args[0]
        self._shapes = _shapes(network, self._graph)
        alive = set(_between(self._graph, [], [self._logits]))
        self._nodes = {name: node for name, node in recorder.calls.items() if node in alive and node in self._shapes}
        self.names = list(self._nodes)

    def shape(self, layer: str) -> tuple[int, ...]:
        """Shape of the layer's value, without the batch."""
        return self._shapes[self._node(layer)]

    def front(self, layers: Sequence[str]) -> Callable[[Tensor], dict[str, Tensor]]:
        """x → {layer: value (n, …)}, by one forward that stops behind the last layer needed."""
        part = self._part([self._input], [self._node(layer) for layer in layers])

        def run(x: Tensor) -> dict[str, Tensor]:
            return dict(zip(layers, part(self._network.normalise(x)), strict=True))

        return run

    def suffix(self, layer: str) -> Suffix:
        """The body after `layer`; its further inputs are those of `carried`, in that order."""
        carried = self._carried_by(layer)
        return Suffix(self._part([self._node(layer), *carried], [self._logits]), len(carried))

    def carried(self, layers: Sequence[str]) -> Callable[[Tensor], dict[str, tuple[Tensor, ...]]]:
        """x → {layer: the further inputs of its suffix}, by one forward without gradients; none if nothing is needed."""
        needs = {layer: self._carried_by(layer) for layer in layers}
        union = [node for node in self._graph.nodes if any(node in nodes for nodes in needs.values())]
        part = self._part([self._input], union)

        @torch.no_grad()
        def run(x: Tensor) -> dict[str, tuple[Tensor, ...]]:
            values = dict(zip(union, part(self._network.normalise(x)), strict=True)) if union else {}
            return {layer: tuple(values[node] for node in nodes) for layer, nodes in needs.items()}

        return run

    def carries(self, layer: str) -> int:
        """How many further inputs the suffix of `layer` has."""
        return len(self._carried_by(layer))

    def _node(self, layer: str) -> fx.Node:
        if layer not in self._nodes:
            raise InputError(f"{self._network.facts.arch} has no layer '{layer}'", do=nearest(layer, self.names))
        return self._nodes[layer]

    def _carried_by(self, layer: str) -> list[fx.Node]:
        """Tensors from before the cut that are read after it, in execution order.

        What is read and is no tensor (a size, a constant) is computed again in the suffix, from carried tensors:
        a size that was handed over would be wrong as soon as several stitchers share a batch.
        """
        value = self._node(layer)
        after = _downstream(self._graph, value)
        carried: set[fx.Node] = set()
        pending = [node for later in after - {value} for node in later.all_input_nodes if node not in after]
        while pending:
            node = pending.pop()
            if node in self._shapes and node.op != "get_attr":
                carried.add(node)
            else:
                pending.extend(node.all_input_nodes)
        return [node for node in self._graph.nodes if node in carried]

    def _part(self, given: Sequence[fx.Node], wanted: Sequence[fx.Node]) -> fx.GraphModule:
        """(values of `given`) → tuple of the values of `wanted`; shares the modules of the body."""
        graph = fx.Graph()
        twin = {node: graph.placeholder(f"value_{i}") for i, node in enumerate(given)}
        for node in _between(self._graph, given, wanted):
            twin[node] = graph.node_copy(node, twin.__getitem__)
        graph.output(tuple(twin[node] for node in wanted))
        return fx.GraphModule(self._network.body, graph)


class _Recorder(fx.Tracer):
    """Keeps the output node of every module call, where fx itself forgets those of containers."""

    def __init__(self):
        super().__init__()
        self.calls: dict[str, fx.Node] = {}
        self._count: Counter[str] = Counter()

    def call_module(self, m, forward, args, kwargs):
        module = self.path_of_module(m)
        name = f"{module}#{self._count[module]}" if self._count[module] else module
        self._count[module] += 1
        earlier = set(self.graph.nodes)
        output = super().call_module(m, forward, args, kwargs)
        # A container that only hands its input on makes no value of its own: cutting there would cut its input.
        if isinstance(output, fx.Proxy) and output.node not in earlier:
            self.calls[name] = output.node
        return output


class _ShapeReader(fx.Interpreter):
    """Runs a graph and keeps the shape, without the batch, of each tensor in it."""

    def __init__(self, module: nn.Module, graph: fx.Graph):
        super().__init__(module, graph=graph)
        self.shapes: dict[fx.Node, tuple[int, ...]] = {}

    def run_node(self, n: fx.Node):
        value = super().run_node(n)
        if isinstance(value, Tensor):
            self.shapes[n] = tuple(value.shape[1:])
        return value


def _shapes(network: Network, graph: fx.Graph) -> dict[fx.Node, tuple[int, ...]]:
    """Shape of every tensor, from a copy on the meta device: the network, its statistics and the generators rest."""
    facts = network.facts
    reader = _ShapeReader(copy.deepcopy(network.body).to("meta").eval(), graph)
    dtype = next(network.body.parameters()).dtype
    reader.run(torch.empty(2, facts.channels, facts.size, facts.size, device="meta", dtype=dtype))
    return reader.shapes


def _downstream(graph: fx.Graph, value: fx.Node) -> set[fx.Node]:
    """`value` and everything computed from it."""
    found = {value}
    for node in graph.nodes:  # in execution order, so one pass is enough
        if not found.isdisjoint(node.all_input_nodes):
            found.add(node)
    return found


def _between(graph: fx.Graph, given: Collection[fx.Node], wanted: Collection[fx.Node]) -> list[fx.Node]:
    """What must be computed to get from `given` to `wanted`, in execution order; nothing else."""
    found: set[fx.Node] = set()
    pending = list(wanted)
    while pending:
        node = pending.pop()
        if node not in found and node not in given:
            found.add(node)
            pending.extend(node.all_input_nodes)
    return [node for node in graph.nodes if node in found]
