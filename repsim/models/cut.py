"""Owns cutting a network at any named layer: the choice between its traced graph and hooks.

    cuts(network).reader(values, carried, logits)    x → the values of layers, what passes them by, logits
    cuts(network).suffix(layer, also)                value, carried → logits, and the values of later layers

so that the suffix of what was read equals `network(x)` bit for bit. Both forms offer the same, with the same results;
the graph computes only what lies behind the cut, hooks run the whole body again.
"""

from repsim.models.graph import GraphCuts
from repsim.models.hooks import HookCuts
from repsim.models.network import Network
from repsim.models.parts import Cuts, Read, Reader, Suffix
from repsim.models.tracing import Untraceable, trace

__all__ = ["Cuts", "Read", "Reader", "Suffix", "cuts"]


def cuts(network: Network) -> Cuts:
    """Every place where `network` can be cut: by its graph where fx can trace it, else by hooks."""
    try:
        return GraphCuts(network, trace(network))
    except Untraceable:
        return HookCuts(network)
