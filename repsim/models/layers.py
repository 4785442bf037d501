"""Owns the list of a network's layers: what a person may write as a layer, and what is known of each."""

from dataclasses import dataclass

from torch import nn

from repsim.models.cut import Cuts, cuts
from repsim.models.network import NetworkFacts
from repsim.models.tracing import LARGE
from repsim.models.zoo import build, outline


@dataclass(frozen=True)
class LayerFacts:
    """One place where a network can be cut.

    Attributes:
        name: as `Cuts.names` has it.
        kind: class of the module ("ReLU"), or "block" for one that is made of other modules.
        shape: of the value, without the batch.
        parameters: of the module itself, without those of its parts.
        carries: values that pass the cut by; 0 where the layer is all that the rest of the network reads.
        beside: later layers whose value is not computed from this one's, as those of a parallel branch.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    carries: int
    beside: tuple[str, ...]


def describe(facts: NetworkFacts) -> list[LayerFacts]:
    """Every layer in execution order. Raises InputError for facts that no network can have."""
    network = outline(facts) if facts.size > LARGE else build(facts)
    places = cuts(network)
    return [_describe(network.body, places, name) for name in places.names]


def _describe(body: nn.Module, places: Cuts, name: str) -> LayerFacts:
    module_name, _, further_call = name.partition("#")
    module = body.get_submodule(module_name)
    kind = "block" if any(module.children()) else type(module).__name__
    parameters = 0 if further_call else sum(p.numel() for p in module.parameters(recurse=False))
    return LayerFacts(name, kind, places.shape(name), parameters, places.carries(name), _beside(places, name))


def _beside(places: Cuts, name: str) -> tuple[str, ...]:
    behind = set(places.behind(name))
    return tuple(later for later in places.names[places.names.index(name) + 1 :] if later not in behind)
