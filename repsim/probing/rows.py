"""Owns reading one network as its probes see it: of each batch the rows of all layers and views, from one forward."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from torch import Tensor

from repsim.models.cut import cuts
from repsim.models.network import Network
from repsim.similarity import views
from repsim.similarity.fit import Shape
from repsim.similarity.known import LOGITS
from repsim.similarity.products import summable


class Site(NamedTuple):
    """Where a probe looks: a layer, and the view that makes one row of each image."""

    layer: str
    view: str


class Seen(NamedTuple):
    """Of n images: the values (n, …) of the layers, and the logits where they were asked for."""

    values: Mapping[str, Tensor]
    logits: Tensor | None

    def rows(self, site: Site) -> Tensor:
        """(n, p), fp64: rows are few numbers per image, and sums over them are long."""
        return summable(views.rows(self.values[site.layer], site.view)).flatten(1)


class Eye:
    """A network and the layers of it that are probed; `logits` is one of them like any other.

    Raises InputError for a layer that it does not have.
    """

    def __init__(self, network: Network, layers: Iterable[str]):
        self._cuts, self._layers = cuts(network), list(dict.fromkeys(layers))
        self._inner = [layer for layer in self._layers if layer != LOGITS]
        classes = (network.facts.classes,)
        self.shapes: dict[str, Shape] = {one: classes if one == LOGITS else self._cuts.shape(one) for one in self._layers}

    def reader(self, logits: bool = False) -> Callable[[Tensor], Seen]:
        """x (n, c, h, w) in [0, 1] → what is seen, in one truncated forward without gradients."""
        read = self._cuts.reader(self._inner, logits=logits or LOGITS in self._layers)

        def see(x: Tensor) -> Seen:
            found = read(x)
            own = {} if found.logits is None or LOGITS not in self._layers else {LOGITS: found.logits}
            return Seen({**found.values, **own}, found.logits)

        return see
