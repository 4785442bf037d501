"""The pass over pairs of blocks of images: all layers at once, the same numbers however the stream is cut."""

import weakref

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from repsim.errors import InputError
from repsim.similarity import blocks, bootstrap, footprint, kernels, walk
from repsim.similarity.alone import measured
from repsim.similarity.kernel_measures import KERNEL_MEASURES, KernelMeasures
from repsim.similarity.moment_pass import MomentPass
from repsim.similarity.request import Request, Sample, Value
from repsim.similarity.similarity import Similarity
from repsim.similarity.tiles import ACCUMULATORS, TilePass

N = 23
FRONTS, ENDS = (Value("a"), Value("b"), Value("b", 2)), (Value("c"), Value("d"))
OPTIONS = {"cka_rbf": {"bandwidth": 0.4}, "wreath_cka": {"statistic": "median"}}
CHANNELS = ("wreath_cka", "wreath_cka_biased")


def activations(n: int = N, dtype: torch.dtype = torch.float64) -> tuple[dict[Value, Tensor], dict[Value, Tensor]]:
    """Maps and rows that share something."""
    drawn = torch.Generator().manual_seed(5)

    def normal(*shape: int) -> Tensor:
        return torch.randn(n, *shape, dtype=torch.float64, generator=drawn)

    base = normal(3, 2, 2)
    fronts = (base + normal(3, 2, 2), normal(6), normal(4, 3, 2) + 1)
    ends = (base.repeat(1, 2, 1, 1) + normal(6, 2, 2), base.flatten(1) + normal(12))
    return (
        {value: side.to(dtype) for value, side in zip(FRONTS, fronts, strict=True)},
        {value: side.to(dtype) for value, side in zip(ENDS, ends, strict=True)},
    )


def asked(measures=tuple(KERNEL_MEASURES)) -> list[Request]:
    return [
        Request(
            name, front, end, "channel" if name in CHANNELS else "flatten", options=tuple(sorted(OPTIONS.get(name, {}).items()))
        )
        for name in measures
        for front in FRONTS
        for end in ENDS
    ]


def run(requests: list[Request], sides, block: int, sample: Sample | None = None, reads: list[int] | None = None):
    fronts, ends = sides
    images = len(next(iter(fronts.values())))

    def read(index: int):
        if reads is not None:
            reads.append(index)
        where = slice(index * block, (index + 1) * block)
        return {value: side[where] for value, side in fronts.items()}, {value: side[where] for value, side in ends.items()}

    tiles = TilePass(requests, sample or Sample(images), block)
    tiles.run(read)
    return tiles.results()


def assert_same(found: dict[Request, Similarity], expected: dict[Request, Similarity], tolerance: float) -> None:
    assert found.keys() == expected.keys()
    for request, one in found.items():
        other = expected[request]
        for name in ("value", "null", "low", "high"):
            assert getattr(one, name) == pytest.approx(getattr(other, name), abs=tolerance), (request, name)
        assert one.status == other.status
        assert one.details == pytest.approx(other.details)


@pytest.mark.parametrize("block", [1, 4, 7, 22, 23])
def test_the_blocks_of_the_stream_change_nothing(block):
    sides = activations()
    assert_same(run(asked(), sides, block), run(asked(), sides, 50), 1e-12)


@pytest.mark.parametrize(("block", "part"), [(23, 5), (10, 4), (9, 9)])
def test_the_parts_of_a_block_change_nothing(block, part, monkeypatch):
    sides = activations()
    expected = run(asked(), sides, 50)
    monkeypatch.setitem(blocks.TILE, "cpu", part)
    assert_same(run(asked(), sides, block), expected, 1e-12)


@pytest.mark.parametrize("block", [3, 10, 23])
def test_the_blocks_of_the_stream_change_no_interval(block):
    sides, sample = activations(), Sample(N, groups=6, draws=12, seed=3)
    found = run(asked(), sides, block, sample)
    assert_same(found, run(asked(), sides, 50, sample), 1e-12)
    assert all(one.low is not None and one.high is not None and one.low < one.high for one in found.values())


def test_all_pairs_at_once_are_each_pair_by_itself():
    fronts, ends = activations()
    for request, found in run(asked(), (fronts, ends), 8).items():
        name, view = request.measure, request.view
        x, y = fronts[request.front], ends[request.end]
        if name != "ortho_cka":
            x, y = (side if view == "channel" else side.flatten(1) for side in (x, y))
            alone = measured(KernelMeasures, name, x, y, view=view, **request.chosen)
            assert found.value == pytest.approx(alone.value, abs=1e-12), name


def test_an_interval_is_of_draws_of_groups_whose_images_never_meet_their_copies():
    sides, sample = activations(), Sample(N, groups=7, draws=60, seed=1)
    request = Request("cka_debiased", FRONTS[0], ENDS[0], "flatten")
    found = run([request], sides, 9, sample)[request]
    x, y = (side.flatten(1) for side in (sides[0][FRONTS[0]], sides[1][ENDS[0]]))
    of_image = torch.tensor([sample.group(i) for i in range(N)])
    drawn = [_drawn_debiased(x, y, weights[of_image]) for weights in bootstrap.weights(sample)]
    assert (found.low, found.high) == pytest.approx(bootstrap.interval(drawn, found.value), abs=1e-10)
    assert found.low < found.value < found.high


@pytest.mark.parametrize("measure", ["cka", "cka_debiased", "cka_angular"])
def test_moments_and_pairs_of_images_give_the_same_numbers_and_intervals(measure):
    (fronts, ends), sample = activations(), Sample(N, groups=6, draws=50, seed=4)
    requests = asked([measure])
    moments = MomentPass(requests, sample)
    moments.add(fronts, ends)
    assert_same(run(requests, (fronts, ends), 8, sample), moments.results(), 1e-10)


def _drawn_debiased(x: Tensor, y: Tensor, w: Tensor) -> float:
    """By sums over all tuples of four images, each as heavy as its images, those that hold an image twice left out."""
    apart = 1 - torch.eye(len(x), dtype=x.dtype)
    distinct = torch.einsum("ij,ik,il,jk,jl,kl->ijkl", apart, apart, apart, apart, apart, apart)
    weight = distinct * torch.einsum("i,j,k,l->ijkl", w, w, w, w)

    def h(k: Tensor, other: Tensor) -> Tensor:
        terms = (torch.einsum(f"ijkl,ij,{place}->", weight, k, other) for place in ("ij", "kl", "ik"))
        two, four, three = terms
        return two + four - 2 * three

    k, other = x @ x.mT, y @ y.mT
    return (h(k, other) / (h(k, k) * h(other, other)).sqrt()).item()


@pytest.mark.parametrize("measure", sorted(set(KERNEL_MEASURES) - {"wreath_cka_biased"}))
def test_single_precision_with_a_mean_of_100_stays_right(measure):
    n, drawn = 300, torch.Generator().manual_seed(0)
    x = torch.randn(n, 8, 3, 3, dtype=torch.float64, generator=drawn) + 100
    y = x + torch.randn(x.shape, dtype=torch.float64, generator=drawn)
    x, y = x.float(), y.float()
    request = Request(measure, Value("x"), Value("y"), "channel" if measure in CHANNELS else "flatten")
    single = run([request], ({request.front: x}, {request.end: y}), 128)[request]
    double = run([request], ({request.front: x.double()}, {request.end: y.double()}), 300)[request]
    assert single.value == pytest.approx(double.value, abs=2e-5)
    assert single.null == pytest.approx(double.null, abs=2e-5)


def test_a_block_is_read_again_only_where_it_is_not_held():
    sides, reads = activations(20), []
    run(asked(["cka"]), sides, 5, reads=reads)
    assert reads == [0, 1, 2, 3, 1, 2, 3]


def test_progress_is_told_and_what_it_raises_passes_through():
    shares = []

    def tick(share: float, text: str) -> None:
        shares.append(share)
        if share > 0.5:
            raise KeyboardInterrupt

    fronts, ends = activations(20)
    tiles = TilePass(asked(["cka"]), Sample(20), 10)
    with pytest.raises(KeyboardInterrupt):
        tiles.run(lambda i: tuple({v: s[10 * i : 10 * i + 10] for v, s in side.items()} for side in (fronts, ends)), tick)
    assert shares == pytest.approx([1 / 3, 2 / 3])


@pytest.mark.parametrize("measure", ["cka", "cka_rbf", "wreath_cka"])
def test_activations_that_are_not_finite_are_refused_with_the_name_of_the_layer(measure):
    sides = activations()
    sides[1][ENDS[1]][17, 3] = torch.nan
    with pytest.raises(InputError, match="end_layer: the activations of layer 'd' are not all finite"):
        run(asked([measure]), sides, 6)


def test_rows_of_positions_are_refused_where_images_are_compared():
    with pytest.raises(InputError, match="layer 'a' has 4 rows per image in view channel"):
        run([Request("cka_rbf", FRONTS[0], ENDS[0], "channel")], activations(), 6)


def test_the_median_of_a_long_stream_is_that_of_its_first_images(monkeypatch):
    monkeypatch.setattr(walk, "MEDIAN_IMAGES", 10)
    sides = activations()
    request = Request("cka_rbf", FRONTS[1], ENDS[1], "flatten", options=(("bandwidth", 1.0),))
    found = run([request], sides, 4)[request]
    squared = torch.cdist(sides[0][FRONTS[1]][:10], sides[0][FRONTS[1]][:10]).square()
    assert found.details["median_images"] == 10
    assert found.details["bandwidth_front"] ** 2 == pytest.approx(squared.flatten().quantile(0.5).item(), rel=1e-12)


def test_full_precision_leaves_the_setting_as_it_was():
    torch.set_float32_matmul_precision("high")
    try:
        with walk.full_precision():
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_shuffled_images_of_one_side_are_near_the_null():
    fronts, ends = activations(200)
    order = torch.randperm(200, generator=torch.Generator().manual_seed(2))
    found = run(asked(KERNEL_MEASURES), (fronts, {value: side[order] for value, side in ends.items()}), 64)
    for request, one in found.items():
        assert one.value == pytest.approx(one.null, abs=0.1), request


class Peak(TorchDispatchMode):
    """The most bytes that tensors held at once, those there before left out."""

    def __init__(self, before: list[Tensor]):
        super().__init__()
        self.most, self._live, self._before = 0, [], {side.untyped_storage().data_ptr() for side in before}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        self._live = [ref for ref in self._live if ref() is not None]
        self._live += [weakref.ref(one) for one in tree_leaves(found) if isinstance(one, Tensor)]
        storages = [one.untyped_storage() for ref in self._live if (one := ref()) is not None]
        sizes = {storage.data_ptr(): storage.nbytes() for storage in storages}
        self.most = max(self.most, sum(size for at, size in sizes.items() if at not in self._before))
        return found


@pytest.mark.parametrize("measure", ["cka", "cka_rbf", "distance_correlation", "ortho_cka", "wreath_cka"])
def test_the_bytes_that_are_stated_are_held_at_most(measure, monkeypatch):
    monkeypatch.setattr(footprint, "CHANNEL_ROOM", 2**12)
    monkeypatch.setattr(kernels, "CHANNEL_ROOM", 2**12)
    sides = activations(320, torch.float32)
    widths = {value: side[0].numel() for part in sides for value, side in part.items()}
    requests = asked([measure])
    stated = footprint.footprint(requests, Sample(320), 80, lambda side, value, view: (1, widths[value]))
    with Peak([side for part in sides for side in part.values()]) as peak:
        run(requests, sides, 80)
    assert peak.most <= stated < 4 * peak.most


def test_every_measure_of_pairs_has_an_accumulator():
    from repsim.similarity.known import KNOWN

    pairs = {name for name, known in KNOWN.items() if known.family in ("pairs", "linear")}
    assert set(ACCUMULATORS) == pairs
