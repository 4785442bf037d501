"""Owns the frozen network below a layer, read once per batch for all that is inserted behind it."""

from collections.abc import Callable

import torch
from torch import Tensor

from repsim.models import zoo
from repsim.models.cut import Cuts, cuts
from repsim.models.network import Network
from repsim.models.parts import Suffix
from repsim.rotation.inserted import Inputs
from repsim.stitching.pair import Needs, Reading


class Prefix:
    """The network up to `layer`, in eval mode: the same function for every matrix, however long is trained behind it.

    Maps are kept channels-last. Raises InputError for a layer that the network does not have.
    """

    def __init__(self, network: Network, layer: str):
        self.network, self.layer = _frozen(network), layer
        self._cuts: Cuts = cuts(self.network)
        self.shape = self._cuts.shape(layer)
        self.suffix: Suffix = self._cuts.suffix(layer)
        """The network behind the layer: its own modules, not to be trained. Of a network that has no graph these are all that are
        called behind it, those beside it too."""

    @property
    def device(self) -> torch.device:
        return self.network.mean.device

    @property
    def needs(self) -> Needs:
        """What is read of a batch."""
        return Needs(front=(self.layer,), carried=(self.layer,))

    def reader(self, needs: Needs, training: bool = False) -> Callable[[Tensor], Reading]:
        """x → reading: one forward up to the layer, in fp32 whether for training or not."""
        read = self._cuts.reader(values=needs.front, carried=needs.carried)

        def reading(x: Tensor) -> Reading:
            found = read(x.contiguous(memory_format=torch.channels_last))
            return Reading(found.values, found.carried, {})

        return reading

    def inputs(self, reading: Reading) -> Inputs:
        """What is put into a network behind the layer."""
        return reading.front[self.layer], *reading.carried[self.layer]

    def fresh(self, seed: int) -> Suffix:
        """The network behind the layer with new weights, as a training from `seed` begins with."""
        made = zoo.build(self.network.facts, generator=torch.Generator().manual_seed(seed)).to(self.device)
        return cuts(_frozen(made)).suffix(self.layer)


def _frozen(network: Network) -> Network:
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
