"""Owns cutting by a traced graph: every part is the piece of it between some values and others.

`suffix(value, *carried)` with what a reader gave equals `network(x)` bit for bit, and computes only what lies behind
the cut. Carried is whatever else the suffix reads: a residual branch that passes the cut by; nothing at block outputs.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, fx

from repsim.models.network import Network
from repsim.models.parts import Cuts, Read, Reader, Suffix
from repsim.models.tracing import Traced, between, downstream


class GraphSuffix(Suffix):
    """A piece of the graph, (value, *carried) → (logits, values of `also`)."""

    def __init__(self, part: fx.GraphModule, carries: int, also: Sequence[str]):
        super().__init__()
        self.part = part
        self.carries = carries
        self._also = tuple(also)

    def trace(self, value: Tensor, *carried: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        logits, *values = self.part(value, *carried)
        return logits, dict(zip(self._also, values, strict=True))


class GraphCuts(Cuts):
    """The places where a network can be cut whose body fx could trace."""

    def __init__(self, network: Network, traced: Traced):
        super().__init__(network, traced.shapes)
        self._traced = traced

    def carries(self, layer: str) -> int:
        return len(self._carried(layer))

    def behind(self, layer: str) -> list[str]:
        after = downstream(self._traced.graph, self._node(layer))
        return [name for name in self.names if self._node(name) in after]

    def reader(
        self, values: Sequence[str] = (), carried: Sequence[str] = (), logits: bool = False, gradients: bool = False
    ) -> Reader:
        """Reads these values of images, and what is carried past a cut at each layer, by one run of what they need."""
        needs = {layer: self._carried(layer) for layer in carried}
        nodes = {layer: self._node(layer) for layer in values}
        wanted = list(dict.fromkeys([*nodes.values(), *(node for each in needs.values() for node in each)]))
        wanted += [self._traced.logits] if logits and self._traced.logits not in wanted else []
        part = self._part([self._traced.input], wanted)

        def read(x: Tensor) -> Read:
            found = dict(zip(wanted, part(self._network.normalise(x)), strict=True)) if wanted else {}
            return Read(
                {layer: found[node] for layer, node in nodes.items()},
                {layer: tuple(found[node] for node in each) for layer, each in needs.items()},
                found[self._traced.logits] if logits else None,
            )

        return read if gradients else torch.no_grad()(read)

    def suffix(self, layer: str, also: Sequence[str] = ()) -> GraphSuffix:
        value, carried = self._node(layer), self._carried(layer)
        self._must_lie_behind(layer, also)
        wanted = [self._traced.logits, *(self._node(name) for name in also)]
        return GraphSuffix(self._part([value, *carried], wanted), len(carried), also)

    def _node(self, layer: str) -> fx.Node:
        return self._traced.layers[self._known(layer)]

    def _carried(self, layer: str) -> list[fx.Node]:
        """Tensors from before the cut that are read after it, in execution order.

        What is read and has no row per image (a size, a constant, a parameter) is computed again in the suffix, from
        carried tensors: a size that was handed over would be wrong as soon as several stitchers share a batch.
        """
        graph, value = self._traced.graph, self._node(layer)
        after = downstream(graph, value)
        needed = set(between(graph, [value], [self._traced.logits]))
        pending = [node for later in (after & needed) - {value} for node in later.all_input_nodes if node not in after]
        carried: set[fx.Node] = set()
        while pending:
            node = pending.pop()
            if node in self._traced.batched:
                carried.add(node)
            else:
                pending.extend(node.all_input_nodes)
        return [node for node in graph.nodes if node in carried]

    def _part(self, given: Sequence[fx.Node], wanted: Sequence[fx.Node]) -> fx.GraphModule:
        """(values of `given`) → tuple of the values of `wanted`; shares the modules of the body.

        A value that is written over on the way is copied first: what was given, and what is handed out, stays as it was.
        """
        graph, twin, kept = fx.Graph(), {}, {}
        for index, node in enumerate(given):
            kept[node] = graph.placeholder(f"value_{index}")
        for node in given:
            twin[node] = self._copied(graph, node, kept[node])
        for node in between(self._traced.graph, given, wanted):
            twin[node] = graph.node_copy(node, twin.__getitem__)
            kept[node] = self._copied(graph, node, twin[node]) if node in wanted else twin[node]
        graph.output(tuple(kept[node] for node in wanted))
        return fx.GraphModule(self._network, graph)

    def _copied(self, graph: fx.Graph, node: fx.Node, twin: fx.Node) -> fx.Node:
        return graph.call_function(torch.clone, (twin,)) if node in self._traced.overwritten else twin
