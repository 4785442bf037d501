"""Minibatch CKA of all layers at once: the same numbers however images come, on however many cores."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from repsim.errors import InputError
from repsim.similarity import cores
from repsim.similarity.kernel_functions import cka_minibatch
from repsim.similarity.minibatch import MinibatchPass
from repsim.similarity.request import Request, Sample, Value
from repsim.similarity.similarity import NOT_FINITE, Similarity

N, BATCH = 50, 12
FRONTS, ENDS = (Value("a"), Value("b"), Value("b", 2)), (Value("c"), Value("d"))
Sides = tuple[dict[Value, Tensor], dict[Value, Tensor]]


def activations(n: int = N, dtype: torch.dtype = torch.float64) -> Sides:
    """Maps and rows that share something; those of "b" at rank 2 have a large mean."""
    drawn = torch.Generator().manual_seed(5)

    def normal(*shape: int) -> Tensor:
        return torch.randn(n, *shape, dtype=torch.float64, generator=drawn)

    base = normal(3, 2, 2)
    fronts = (base + normal(3, 2, 2), normal(6), normal(4, 3, 2) + 100)
    ends = (base.repeat(1, 2, 1, 1) + normal(6, 2, 2), base.flatten(1) + normal(12))
    return (
        {value: side.to(dtype) for value, side in zip(FRONTS, fronts, strict=True)},
        {value: side.to(dtype) for value, side in zip(ENDS, ends, strict=True)},
    )


def asked(batch: int = BATCH, view: str = "flatten") -> list[Request]:
    return [Request("cka_minibatch", x, y, view, options=(("batch", batch),)) for x in FRONTS for y in ENDS]


def run(requests: list[Request], sides: Sides, at_once: int, sample: Sample | None = None) -> dict[Request, Similarity]:
    images = len(next(iter(sides[0].values())))
    gatherer = MinibatchPass(requests, sample or Sample(images))
    for start in range(0, images, at_once):
        front, end = ({value: side[start : start + at_once] for value, side in one.items()} for one in sides)
        gatherer.add(front, end)
    return gatherer.results()


def assert_same(found: dict[Request, Similarity], expected: dict[Request, Similarity], tolerance: float = 1e-12) -> None:
    assert found.keys() == expected.keys()
    for request, one in found.items():
        for name in ("value", "null", "low", "high"):
            assert getattr(one, name) == pytest.approx(getattr(expected[request], name), abs=tolerance), (request, name)
        assert (one.status, one.details) == (expected[request].status, expected[request].details)


@pytest.mark.parametrize("at_once", [1, 5, 12, 23, 24, 49])
def test_how_images_come_changes_nothing(at_once):
    sample = Sample(N, groups=6, draws=12, seed=3)
    for requests in (asked(), asked(8) + asked(50)):
        assert_same(run(requests, activations(), at_once, sample), run(requests, activations(), N, sample))


def test_all_pairs_at_once_are_each_pair_by_itself():
    sides = activations()
    for request, found in run(asked(), sides, 7).items():
        x, y = sides[0][request.front].flatten(1), sides[1][request.end].flatten(1)
        alone = cka_minibatch(x, y, batch=BATCH)
        assert found == replace(alone, value=pytest.approx(alone.value, abs=1e-12))
        assert found.details["images_used"] == N - N % BATCH  # two images are left, and four are needed


def test_a_last_batch_of_four_images_counts():
    (found, *_) = run(asked(23), activations(), 10).values()
    assert found.details["images_used"] == N


def test_an_interval_is_of_batches_and_of_few_there_is_none():
    sample = Sample(N, groups=6, draws=40, seed=3)
    assert all(one.low is not None and one.low < one.value < one.high for one in run(asked(5), activations(), 10, sample).values())
    few = run(asked(16), activations(), 10, sample).values()
    assert all(one.value is not None and one.low is one.high is None for one in few)


@pytest.mark.parametrize("scale", [1e-15, 1.0, 1e8])
def test_single_precision_stays_right_beside_a_mean_of_100_and_at_any_scale(scale):
    single = tuple({value: scale * side for value, side in one.items()} for one in activations(300, torch.float32))
    double = tuple({value: side.double() for value, side in one.items()} for one in single)
    assert_same(run(asked(), single, 64), run(asked(), double, 300), 2e-5)


@pytest.mark.parametrize("first", [0.0, 1e-20, 0.1])
@pytest.mark.parametrize("scale", [1e-17, 1.0, 1e10])
def test_a_first_batch_that_is_flat_sets_no_scale_for_the_others(first, scale):
    drawn = torch.Generator().manual_seed(1)
    x = scale * torch.randn(60, 7, generator=drawn)
    y = x @ torch.randn(7, 5, generator=drawn) / scale + torch.randn(60, 5, generator=drawn)
    x[:BATCH] = first * scale
    asked = [Request("cka_minibatch", FRONTS[0], ENDS[0], "flatten", options=(("batch", BATCH),))]
    single, double = ({FRONTS[0]: x}, {ENDS[0]: y}), ({FRONTS[0]: x.double()}, {ENDS[0]: y.double()})
    assert_same(run(asked, single, 60), run(asked, double, 60), 1e-5)
    assert run(asked, single, 60)[asked[0]].value == pytest.approx(cka_minibatch(x / scale, y, batch=BATCH).value, abs=1e-5)


def test_cores_share_the_layers_and_change_nothing():
    sides = activations(300)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        alone = run(asked(), sides, 64)
        torch.set_num_threads(3)
        assert_same(run(asked(), sides, 64), alone)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_work_on_several_cores_keeps_its_order_takes_one_thread_each_and_passes_its_errors_on():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        found = cores.each(lambda item: (item, torch.get_num_threads()), range(20), torch.device("cpu"))
        assert found == [(item, 1) for item in range(20)]
        with pytest.raises(ZeroDivisionError):
            cores.each(lambda item: 1 / (item - 7), range(20), torch.device("cpu"))
        assert torch.get_num_threads() == 2
        assert cores.each(lambda item: torch.get_num_threads(), range(3), torch.device("cpu")) == [2] * 3
    finally:
        torch.set_num_threads(before)


def test_activations_that_are_not_finite_have_no_value_and_spoil_no_other():
    sides, expected = activations(), run(asked(), activations(), 10)
    sides[1][ENDS[1]][17, 3] = torch.nan
    for request, found in run(asked(), sides, 10).items():
        if request.end == ENDS[1]:
            assert (found.value, found.status) == (None, NOT_FINITE)
        else:
            assert found == expected[request]


@pytest.mark.parametrize("level", [0.0, 1.0, 1e4])
def test_a_layer_that_is_constant_but_for_rounding_has_no_value(level):
    fronts, ends = activations(300, torch.float32)
    noise = torch.randn(fronts[FRONTS[0]].shape, generator=torch.Generator().manual_seed(1))
    fronts[FRONTS[0]] = level * (1 + torch.finfo(torch.float32).eps * noise.clamp(-1, 1))
    for request, found in run(asked(), (fronts, ends), 64).items():
        assert (found.status == "constant layer (front)") == (request.front == FRONTS[0]), request
        assert (found.value is None) == (request.front == FRONTS[0])


def test_rows_of_positions_are_refused():
    with pytest.raises(InputError, match="layer 'a' has 4 rows per image in view channel"):
        run(asked(view="channel"), activations(), 6)
