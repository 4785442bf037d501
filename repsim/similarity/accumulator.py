"""Owns what a pass over pairs of images hands to those who gather from it, and the shape of one who gathers: the accumulator.

How an accumulator is used (by `walk.Walk`; `tiles.ACCUMULATORS` says which measure is whose):

1. `Accumulator(requests, sample)` is given all requests of its measures at once, and groups them as it likes.
2. `needs()` names every (kernel, source) it will ask of a tile, so that rows are made ready once per block and what kernels
   must know of a layer beforehand (`Facts`) is gathered.
3. `sweeps` times, `add(tile, sweep)` is called with every pair of parts I ≤ J of the stream (sweep 0, then
   1 …). The first tile is (0, 0), and of each column (0, J) comes first; beyond that the order is free, and every pair
   comes once. An off-diagonal tile stands for two, (I, J) and (J, I): all matrices are symmetric, and nobody sees (J, I).
4. `results(facts)` gives one `Similarity` for each request.

One call of `tile.matrices` gives the matrices of all layers of a side; work per pair of layers belongs into a product of such
stacks, never into a loop.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from torch import Tensor

from repsim.similarity.channels import Channels
from repsim.similarity.request import Request, Sample, Value
from repsim.similarity.similarity import SAFETY, Similarity, constant_status

Side = Literal["front", "end"]
Ready = Literal["shifted", "raw", "cosine", "correlation", "centred channels", "unit channels", "flat channels"]
"""How the rows (n, m, p) of images are made ready for products.

shifted: less the mean of the first block, (n, p); raw: as they are, (n, p); cosine: of length 1, (n, p), zeros stay zeros;
correlation: less the mean of each row over its own numbers, then of length 1, (n, p); the rest are of channels (see `channels`).
"""


class Source(NamedTuple):
    """What a matrix is of: an activation of one side in one view."""

    side: Side
    value: Value
    view: str


@dataclass
class Facts:
    """What is known of each source before tiles come, beside what every pass finds out on its way.

    Attributes:
        images: n.
        noise: relative rounding of the products.
        rounding: by side, that of the activations as they came, where it is more than the noise.
        shift: the mean (m, p) over the first block.
        aligned: how far roundings point where images differ, see `products.aligned`; of the first block, 0-d.
        level, spread: ‖shift‖² and Σ‖x − shift‖² over all images, scalars in fp64; spread is whole after the first sweep.
        channels: mean and norms of each channel over images and positions, where a kernel wants them.
        median: of all n² squared distances, zeros of the diagonal included, where a kernel wants it: 0-d, fp64.
        median_images: of how many images, the first of the stream.
    """

    images: int
    noise: float = 0.0
    rounding: dict[Side, float] = field(default_factory=dict)
    shift: dict[Source, Tensor] = field(default_factory=dict)
    aligned: dict[Source, Tensor] = field(default_factory=dict)
    level: dict[Source, Tensor] = field(default_factory=dict)
    spread: dict[Source, Tensor] = field(default_factory=dict)
    channels: dict[Source, Channels] = field(default_factory=dict)
    median: dict[Source, Tensor] = field(default_factory=dict)
    median_images: int = 0
    _constant: dict[Source, bool] = field(default_factory=dict, repr=False)  # asked for every pair, fetched once per layer

    def constant(self, source: Source) -> bool:
        """Whether all images have the same row, up to rounding."""
        if source not in self._constant:
            self._constant[source] = bool(self.spread[source] <= self.images * self.blurred(source))
        return self._constant[source]

    def blurred(self, source: Source) -> Tensor:
        """‖x − x'‖² of two images that only rounding parts, at most; 0-d."""
        return self.blur(source) ** 2 * self.level[source]

    def blur(self, source: Source) -> float:
        """What share of an activation may be rounding."""
        return SAFETY * max(self.noise, self.rounding.get(source.side, 0.0))

    def constant_status(self, front: Source, end: Source) -> str | None:
        """The status of a pair of which one or both are constant; None where both vary."""
        return constant_status(self.constant(front), self.constant(end))


class Block(Protocol):
    """Consecutive images of the stream, start ≤ i < stop: a block as it is read, or the part of one that makes a tile."""

    start: int
    stop: int

    def ready(self, how: Ready, source: Source) -> Tensor:
        """Its rows made ready."""
        ...

    def norms(self, source: Source) -> Tensor:
        """‖x − shift‖² of each image (n,)."""
        ...


class Tile(Protocol):
    """All pairs of an image of `rows` (a of them) and one of `columns` (b).

    Attributes:
        rows, columns: where they stand in the stream, as slices.
        diagonal: whether both are the same part.
    """

    rows: slice
    columns: slice
    diagonal: bool
    facts: Facts

    @property
    def first(self) -> Block:
        """The images of the rows."""
        ...

    @property
    def second(self) -> Block:
        """The images of the columns."""
        ...

    def matrices(self, kernel: "Kernel", sources: Sequence[Source]) -> Tensor:
        """k(x_i, x_j) of each source: (len(sources), a, b). Read only: others may be given the same tensor."""
        ...

    def inner(self, ready: Ready, sources: Sequence[Source]) -> Tensor:
        """⟨x_i, x_j⟩ of rows made ready: (len(sources), a, b). Read only."""
        ...


class Kernel(Protocol):
    """A number for every pair of images of one layer. Hashable; equal ones are computed once per tile.

    Attributes:
        ready: what it makes products of.
        centred: whether its rows have a mean near 0 already (products of shifted rows do).
        wants: which `Facts` must be known before tiles: "channels", "median" or None.
    """

    @property
    def ready(self) -> Ready: ...
    @property
    def centred(self) -> bool: ...
    @property
    def wants(self) -> Literal["channels", "median"] | None: ...

    def of(self, tile: Tile, sources: Sequence[Source]) -> Tensor:
        """(len(sources), a, b) in the precision of the products."""
        ...


class Accumulator(ABC):
    """Gathers from tiles what some measures need."""

    sweeps: int = 1

    @abstractmethod
    def __init__(self, requests: Sequence[Request], sample: Sample): ...

    @abstractmethod
    def needs(self) -> Iterable[tuple[Kernel, Source]]:
        """Every kernel of every source that tiles, or `facts`, will be asked for."""

    @abstractmethod
    def add(self, tile: Tile, sweep: int) -> None:
        """Take one tile."""

    @abstractmethod
    def results(self, facts: Facts) -> Mapping[Request, Similarity]:
        """One for each request."""


def sources(request: Request, view: str | None = None) -> tuple[Source, Source]:
    """What a request compares; `view` replaces its own."""
    view = view or request.view
    return Source("front", request.front, view), Source("end", request.end, view)
