"""Owns the measures that are a ratio of HSICs: which kernel, which estimate, what the ratio becomes, when it is undefined."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import torch
from torch import Tensor

from repsim.errors import InputError, nearest
from repsim.similarity import hsic
from repsim.similarity.accumulator import Accumulator, Facts, Kernel, Source, Tile
from repsim.similarity.kernel_sums import KernelSums
from repsim.similarity.kernels import HsicKernel, Inner, MinusHalfDistance, Rbf, Statistic, Wreath
from repsim.similarity.pairing import Pairing
from repsim.similarity.ratios import OfRatio, Ratios, Tables, ratios
from repsim.similarity.request import Request, Sample
from repsim.similarity.similarity import OK, TWO, Similarity, undefined

BANDWIDTH = 0.5  # of an RBF kernel where nothing is said
WHERE = {(True, True): "both", (True, False): "front", (False, True): "end"}
Options = Mapping[str, Any]


@dataclass(frozen=True)
class Measure:
    """One measure.

    Attributes:
        kernel: made from the options.
        debiased: whether HSIC₁ is meant, not HSIC₀.
        of_ratio: what the ratio becomes.
    """

    kernel: Callable[[Options], HsicKernel]
    debiased: bool = False
    of_ratio: OfRatio = lambda ratio: ratio


class KernelMeasures(Accumulator):
    """All measures of `KERNEL_MEASURES` for many pairs of layers: sums once per kernel and view."""

    def __init__(self, requests: Sequence[Request], sample: Sample):
        members: dict[tuple[HsicKernel, str], list[Request]] = {}
        for request in requests:
            members.setdefault((_measure(request).kernel(request.chosen), _view(request)), []).append(request)
        self._grids = [Grid(kernel, found, sample) for (kernel, _), found in members.items()]

    def needs(self) -> Iterable[tuple[Kernel, Source]]:
        return ((grid.kernel, source) for grid in self._grids for source in grid.pairing.sources)

    def add(self, tile: Tile, sweep: int) -> None:
        for grid in self._grids:
            grid.sums.add(tile)

    def results(self, facts: Facts) -> Mapping[Request, Similarity]:
        found = {}
        for grid in self._grids:
            found |= grid.results(facts)
        return found


class Grid:
    """One kernel of all fronts and ends that some requests name."""

    def __init__(self, kernel: HsicKernel, requests: Sequence[Request], sample: Sample):
        self.kernel, self._sample = kernel, sample
        self.pairing = Pairing(requests, _view)
        self.sums = KernelSums(kernel, self.pairing.fronts, self.pairing.ends, sample)

    def results(self, facts: Facts) -> dict[Request, Similarity]:
        """One for each request: its number with null and interval, or why it has none, and details of the kernels."""
        sums, floors = self.sums.sums(), self._floors(facts)
        details = {source: _details(self.kernel, source, facts) for source in self.pairing.sources}
        measures = {name: KERNEL_MEASURES[name] for name in dict.fromkeys(request.measure for request in self.pairing.of)}
        kinds = {measure.debiased for measure in measures.values()}
        found = {debiased: ratios(sums, debiased, self._sample, floors) for debiased in kinds}
        tables = {name: found[measure.debiased].tables(measure.of_ratio) for name, measure in measures.items()}
        results = {}
        for request, (front, end) in self.pairing.of.items():
            why = self._why_not(request, found[measures[request.measure].debiased], facts)
            result = undefined(why) if why else self._number(request, tables[request.measure])
            results[request] = replace(result, details=details[front] | details[end])
        return results

    def _floors(self, facts: Facts) -> tuple[Tensor, Tensor]:
        """What rounding makes of the HSIC of each kernel with itself, of both sides: of its entries, and of the activations."""
        found = []
        for layers in (self.sums.x, self.sums.y):
            moved = torch.stack([self.kernel.moved(facts, source) for source in layers.sources])
            found.append((hsic.ENTRY * facts.noise) ** 2 * layers.level() + moved.to(layers.level()))
        return found[0], found[1]

    def _number(self, request: Request, tables: Tables) -> Similarity:
        value, null, low, high = (
            self.pairing.pick(table, request) for table in (tables.value, tables.null, tables.low, tables.high)
        )
        return Similarity(value, TWO if self._sample.images == 2 else OK, null, low=low, high=high)

    def _why_not(self, request: Request, found: Ratios, facts: Facts) -> str | None:
        fewest = hsic.FEWEST if _measure(request).debiased else 2
        if facts.images < fewest:
            return f"{facts.images} images, and {request.measure} takes {fewest}"
        row, column = self.pairing.place(request)
        where = WHERE.get((found.flat_fronts[row], found.flat_ends[column]))
        return facts.constant_status(*self.pairing.of[request]) or (where and f"all images are equally alike ({where})")


def _details(kernel: Kernel, source: Source, facts: Facts) -> dict[str, float]:
    """What a kernel found out about one layer."""
    if isinstance(kernel, Rbf):
        sigma = kernel.sigma(facts, source).item()
        return {f"bandwidth_{source.side}": sigma, "median_images": float(facts.median_images)}
    if kernel.wants == "channels":
        return {f"dead_{source.side}": float(facts.channels[source].dead(kernel.ready != "unit channels"))}
    return {}


def _measure(request: Request) -> Measure:
    return KERNEL_MEASURES[request.measure]


def _view(request: Request) -> str:
    """Channels stand apart for the measures that make each of them unit, and are one row afterwards."""
    return "channel" if request.measure == "ortho_cka" and request.view == "flatten" else request.view


def _rbf(options: Options) -> Rbf:
    bandwidth = options.get("bandwidth", BANDWIDTH)
    if isinstance(bandwidth, bool) or not isinstance(bandwidth, (int, float)) or not 0 < bandwidth < float("inf"):
        raise InputError(f"{bandwidth!r} times the median distance is no bandwidth", where="bandwidth", do="give a number above 0")
    return Rbf(float(bandwidth))


def _wreath(options: Options) -> Wreath:
    statistic, centred = options.get("statistic", "max"), options.get("centred", True)
    if statistic not in get_args(Statistic):
        raise InputError(f"there is no statistic '{statistic}'", where="statistic", do=nearest(str(statistic), get_args(Statistic)))
    if not isinstance(centred, bool):
        raise InputError(f"centred is {centred!r}", where="centred", do="say true or false")
    return Wreath(statistic, centred)


def _linear(options: Options) -> Inner:
    return Inner()


def _by_channel(options: Options) -> Inner:
    return Inner("flat channels", "channels")


def _distance(options: Options) -> MinusHalfDistance:
    return MinusHalfDistance()


def _root(ratio: Tensor) -> Tensor:
    """Rounding alone makes the ratio of a kernel without negative directions negative, or more than 1."""
    return ratio.clamp(0, 1).sqrt()


def _biased(ratio: Tensor) -> Tensor:
    """Without what rounding pushed over 1."""
    return ratio.clamp(max=1)


def _angle(ratio: Tensor) -> Tensor:
    return ratio.clamp(0, 1).acos()


KERNEL_MEASURES: dict[str, Measure] = {
    "cka": Measure(_linear, of_ratio=_biased),
    "cka_debiased": Measure(_linear, debiased=True),
    "cka_angular": Measure(_linear, of_ratio=_angle),
    "cka_rbf": Measure(_rbf, of_ratio=_biased),
    "cka_rbf_debiased": Measure(_rbf, debiased=True),
    "wreath_cka": Measure(_wreath, debiased=True),
    "wreath_cka_biased": Measure(_wreath, of_ratio=_biased),
    "ortho_cka": Measure(_by_channel, debiased=True),
    "distance_correlation": Measure(_distance, of_ratio=_root),
    "distance_correlation_debiased": Measure(_distance, debiased=True),
}
