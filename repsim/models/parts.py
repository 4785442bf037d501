"""Owns what both forms of cutting offer: the parts of a network between its input, its layers and its logits."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from repsim.errors import InputError, nearest
from repsim.models.network import Network


@dataclass(frozen=True)
class Read:
    """What one forward of a network gave.

    Attributes:
        values: the value (n, …) of each layer asked for.
        carried: the further inputs of the suffix of each layer asked for.
        logits: (n, classes), or None where they were not asked for.
    """

    values: Mapping[str, Tensor]
    carried: Mapping[str, tuple[Tensor, ...]]
    logits: Tensor | None


Reader = Callable[[Tensor], Read]


class Suffix(nn.Module, ABC):
    """The body after a layer: (value (n, …), *carried) → logits (n, classes).

    Its modules are the network's own, so its parameters, device and train or eval mode are too. Inputs are not written to.
    """

    carries: int

    def forward(self, value: Tensor, *carried: Tensor) -> Tensor:
        return self.trace(value, *carried)[0]

    @abstractmethod
    def trace(self, value: Tensor, *carried: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The logits, and the values that the layers of `also` have on the way to them."""


class Cuts(ABC):
    """Every place where `network` can be cut. Readers take x (n, c, h, w) in [0, 1] and normalise it themselves.

    A layer is the output of one module call, leaf or container: one tensor with a row per image. A call that hands an
    older tensor on (an identity, a dropout in eval mode) makes none. Moving the network to another device or type calls
    for new cuts.

    Attributes:
        names: the layers in execution order: a module's name, or `name#k` for its k-th further call.
    """

    names: list[str]

    def __init__(self, network: Network, shapes: Mapping[str, tuple[int, ...]]):
        self.names = list(shapes)
        self._network = network
        self._shapes = shapes

    def shape(self, layer: str) -> tuple[int, ...]:
        """Shape of the layer's value, without the batch."""
        return self._shapes[self._known(layer)]

    @abstractmethod
    def carries(self, layer: str) -> int:
        """How many inputs the suffix of `layer` has besides its value."""

    @abstractmethod
    def behind(self, layer: str) -> list[str]:
        """The layers whose value is computed from that of `layer`, itself among them, in execution order."""

    @abstractmethod
    def reader(
        self, values: Sequence[str] = (), carried: Sequence[str] = (), logits: bool = False, gradients: bool = False
    ) -> Reader:
        """One forward of the network for all that is named; it computes nothing else and stops as early as it can.

        Args:
            values: layers whose values are wanted.
            carried: layers whose suffix's further inputs are wanted.
            logits: whether the logits are.
            gradients: whether the images get them, where the ambient grad mode is on; else nothing is kept for them.
        """

    @abstractmethod
    def suffix(self, layer: str, also: Sequence[str] = ()) -> Suffix:
        """The body after `layer`; its further inputs are those that a reader calls carried, in that order.

        Raises InputError for a layer of `also` that is not computed from the value of `layer`.
        """

    def _known(self, layer: str) -> str:
        if layer not in self._shapes:
            raise InputError(f"{self._network.facts.arch} has no layer '{layer}'", do=nearest(layer, self.names))
        return layer

    def _must_lie_behind(self, layer: str, also: Sequence[str]) -> None:
        behind = self.behind(layer) if also else []
        early = [name for name in also if self._known(name) not in behind]
        if early:
            do = "choose of " + ", ".join(behind) if len(behind) < 9 else f"choose of {behind[0]} … {behind[-1]}"
            raise InputError(f"'{early[0]}' is not computed from the value of '{layer}'", do=do)
