"""Owns turning a body into a `torch.fx` graph with named layers, and refusing where such a graph would not be the body."""

import copy
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from repsim.models.network import Network

PROBE = 13  # images: a first axis of this length is taken for that of the images; no layer here has 13 of anything
LARGE = 64  # pixels: above, a run on real numbers takes longer than torch takes to import what a run without needs


class Untraceable(Exception):
    """No graph of the body computes what the body does."""


@dataclass(frozen=True)
class Traced:
    """A graph of `body(x)` as the attribute `body` of a module.

    Attributes:
        graph: calls the modules of the body by their names with "body." in front.
        input, logits: its two ends.
        layers: name → the node whose value it is, in execution order.
        shapes: shape of the value of each layer without the batch.
        batched: nodes whose value is a tensor with a row per image.
        overwritten: nodes whose value another operation writes over, after it was read for the last time.
    """

    graph: fx.Graph
    input: fx.Node
    logits: fx.Node
    layers: dict[str, fx.Node]
    shapes: dict[str, tuple[int, ...]]
    batched: frozenset[fx.Node]
    overwritten: frozenset[fx.Node]


def trace(network: Network) -> Traced:
    """Trace the body on a copy: the network, its statistics and the generators rest.

    Raises Untraceable where fx fails, and where the graph would freeze something that the body chooses anew.
    """
    twin = _Alone(copy.deepcopy(network.body).to(_probed_on(network)))
    with torch.random.fork_rng(devices=[]):
        try:
            recorder, training = _Recorder(), _Recorder()
            graph, in_training = recorder.trace(twin.eval()), training.trace(twin.train())
            seen = _watch(twin.eval(), graph, network)
        except Exception as error:  # the body's own code, fed with stand-ins for tensors, can raise anything
            raise Untraceable(f"{type(error).__name__}: {error}") from error
    if str(graph) != str(in_training):
        raise Untraceable("two tracings differ: it asks for its mode itself, or makes tensors that would be kept as constants")
    return _checked(recorder, graph, seen)


def between(graph: fx.Graph, given: Collection[fx.Node], wanted: Collection[fx.Node]) -> list[fx.Node]:
    """What must be computed to get from `given` to `wanted`, in execution order; nothing else."""
    found: set[fx.Node] = set()
    pending = list(wanted)
    while pending:
        node = pending.pop()
        if node not in found and node not in given:
            found.add(node)
            pending.extend(node.all_input_nodes)
    return [node for node in graph.nodes if node in found]


def downstream(graph: fx.Graph, value: fx.Node) -> set[fx.Node]:
    """`value` and everything computed from it."""
    found = {value}
    for node in graph.nodes:  # in execution order, so one pass is enough
        if not found.isdisjoint(node.all_input_nodes):
            found.add(node)
    return found


class _Recorder(fx.Tracer):
    """Keeps the output node of every module call, where fx itself forgets those of containers.

    A module without parts stays one call, whoever wrote it: what it does inside is nobody's layer.
    """

    def __init__(self):
        super().__init__()
        self.calls: dict[str, tuple[fx.Node, int]] = {}  # name → output, and how many nodes were there before the call
        self._count: Counter[str] = Counter()

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return super().is_leaf_module(m, module_qualified_name) or not any(m.children())

    def call_module(self, m, forward, args, kwargs):
        """Trace the call, and note its output under the module's path, from the second call on with `#k`."""
        path = self.path_of_module(m).removeprefix("body").removeprefix(".")
        name = f"{path}#{self._count[path]}" if self._count[path] else path
        self._count[path] += 1
        earlier = len(self.graph.nodes)
        output = super().call_module(m, forward, args, kwargs)
        if path and isinstance(output, fx.Proxy):
            self.calls[name] = (output.node, earlier)
        return output


class _Alone(nn.Module):
    """Calls the body with the images only, so that its further arguments have their defaults."""

    def __init__(self, body: nn.Module):
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class _Watch(fx.Interpreter):
    """Runs a graph, and keeps the tensor of every node, who handed an older one on, and who wrote over whom first."""

    def __init__(self, module: nn.Module, graph: fx.Graph):
        super().__init__(module, graph=graph)
        self.values: dict[fx.Node, tuple[Tensor, int]] = {}  # with its version when the node was done
        self.handed_on: dict[fx.Node, fx.Node] = {}
        self.overwriter: dict[fx.Node, fx.Node] = {}

    def run_node(self, n: fx.Node):
        """Run the node, and note which older values it wrote over, and whether it handed one of them on."""
        value = super().run_node(n)
        changed = [node for node, (tensor, version) in self.values.items() if tensor._version != version]
        self.overwriter |= {node: n for node in changed if node not in self.overwriter}
        if isinstance(value, Tensor) and n.op != "output":
            older = (node for node in n.all_input_nodes if node in self.values and self.values[node][0] is value)
            first = next((node for node in older if node not in changed), None)
            if first is not None:
                self.handed_on[n] = self.handed_on.get(first, first)
            self.values[n] = (value, value._version)
        return value


def _probed_on(network: Network) -> str:
    """The CPU for small images: for stand-ins torch imports its compiler, which takes two seconds of every process."""
    return "meta" if network.mean.is_meta or network.facts.size > LARGE else "cpu"


def _watch(twin: nn.Module, graph: fx.Graph, network: Network) -> _Watch:
    """Run the graph once on images that are all zero, or on stand-ins for them."""
    facts, seen = network.facts, _Watch(twin, graph)
    images = torch.zeros(PROBE, facts.channels, facts.size, facts.size, dtype=network.mean.dtype, device=_probed_on(network))
    with torch.no_grad():
        seen.run(images)
    return seen


def _checked(recorder: _Recorder, graph: fx.Graph, seen: _Watch) -> Traced:
    """The traced body, unless its graph is not all there is to it."""
    logits = next(node for node in graph.nodes if node.op == "output").args[0]
    if not isinstance(logits, fx.Node):
        raise Untraceable("its output is no tensor")
    alive = set(between(graph, [], [logits]))
    _refuse_hidden_writes(graph, seen, alive)
    batched = frozenset(node for node, (tensor, _) in seen.values.items() if tensor.shape[:1] == (PROBE,) and node in alive)
    layers = _layers(recorder, graph, seen, batched)
    shapes = {name: tuple(seen.values[node][0].shape[1:]) for name, node in layers.items()}
    start = next(node for node in graph.nodes if node.op == "placeholder")
    return Traced(graph, start, logits, layers, shapes, batched, frozenset(seen.overwriter))


def _layers(recorder: _Recorder, graph: fx.Graph, seen: _Watch, batched: Collection[fx.Node]) -> dict[str, fx.Node]:
    """The calls that made a value of their own; one that hands an older value on stands for that one's node."""
    place = {node: index for index, node in enumerate(graph.nodes)}
    origins = {name: (seen.handed_on.get(node, node), before) for name, (node, before) in recorder.calls.items()}
    return {name: node for name, (node, before) in origins.items() if node in batched and place[node] >= before}


def _refuse_hidden_writes(graph: fx.Graph, seen: _Watch, alive: Collection[fx.Node]) -> None:
    """A graph knows who reads a value, not who writes over it: safe only if the writer is its last reader, and is run."""
    place = {node: index for index, node in enumerate(graph.nodes)}
    for node, writer in seen.overwriter.items():
        if writer not in alive or any(place[user] > place[writer] for user in node.users if user in alive):
            raise Untraceable(f"'{writer}' writes over '{node}', which is read again")
