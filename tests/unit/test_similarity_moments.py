"""Moments of pairs against their definitions: brute force over distinct images, one pass for all pairs, nulls and intervals."""

from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest
import torch
from moment_fixtures import fixture_a, fixture_c, normal, related
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from repsim.errors import InputError
from repsim.similarity import bootstrap, products
from repsim.similarity.moment_measures import MOMENT_MEASURES
from repsim.similarity.moment_pass import MomentPass
from repsim.similarity.moments import Drawn, PairMoments, between
from repsim.similarity.request import Request, Sample, Value
from repsim.similarity.similarity import NOT_FINITE, Similarity
from repsim.similarity.stream import Stream

X, Y = Value("x"), Value("y")
CHEAP = ("cka", "cka_debiased", "cka_angular", "procrustes", "cca_squared", "regression")


def squared_covariance(x: Tensor, y: Tensor, images: list[int] | None = None) -> float:
    """The mean of ⟨C_i, C_j⟩ − 2 s_iᵀC_jt_k + ⟨s_i, s_j⟩⟨t_k, t_l⟩, s, t, C means over rows, over all tuples of distinct images."""
    c, s, t = (x.mT @ y / x.shape[1]).numpy(), x.mean(1).numpy(), y.mean(1).numpy()
    drawn = list(range(len(x))) if images is None else images
    tuples = np.array([four for four in product(drawn, repeat=4) if len(set(four)) == 4])
    i, j, k, m = tuples.T
    one = np.einsum("nab,nab->n", c[i], c[j])
    two = np.einsum("na,nab,nb->n", s[i], c[j], t[k])
    return (one - 2 * two + (s[i] * s[j]).sum(1) * (t[k] * t[m]).sum(1)).mean()


def hsic(k: np.ndarray, other: np.ndarray) -> float:
    """HSIC₁ of two Gram matrices by U-centring (Székely & Rizzo 2014)."""

    def centred(gram: np.ndarray) -> np.ndarray:
        gram, n = gram - np.diag(np.diag(gram)), len(gram)
        rows = gram.sum(0) / (n - 2)
        found = gram - rows[:, None] - rows + gram.sum() / ((n - 1) * (n - 2))
        return found - np.diag(np.diag(found))

    return float((centred(k) * centred(other)).sum() / (len(k) * (len(k) - 3)))


def pair(n: int, m: int, p: int = 4, q: int = 3, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Rows (n, m, p) and (n, m, q) that share something, between images and within them."""
    shared = normal(n, m, 2, seed=seed) + 2 * normal(n, 1, 2, seed=seed + 1)
    x = shared @ normal(2, p, seed=seed + 2) + normal(n, m, p, seed=seed + 3) + 1
    return x, shared @ normal(2, q, seed=seed + 4) + normal(n, m, q, seed=seed + 5) - 2


def unbiased(moments: PairMoments) -> list[float]:
    assert moments.unbiased is not None
    return [part.item() for part in moments.unbiased]


def truth(x: Tensor, y: Tensor, images: list[int] | None = None) -> list[float]:
    return [squared_covariance(one, other, images) for one, other in ((x, y), (x, x), (y, y))]


@pytest.mark.parametrize("m", [1, 3])
@pytest.mark.parametrize("n", [4, 7])
def test_unbiased_estimates_are_means_over_all_tuples_of_four_distinct_images(n, m):
    x, y = pair(n, m)
    np.testing.assert_allclose(unbiased(between(x, y)), truth(x, y), rtol=1e-11)


@pytest.mark.parametrize("width", [2, 40])
def test_squares_within_images_are_the_same_from_rows_and_from_columns(width, monkeypatch):
    x, y = pair(7, 3, width, width + 1)
    taken = []
    for name in ("_squares_by_rows", "_squares_by_columns"):
        original = getattr(products, name)
        monkeypatch.setattr(products, name, lambda *args, o=original, n=name: taken.append(n) or o(*args))
    monkeypatch.setattr(products, "ROOM", 1)  # one image at a time
    np.testing.assert_allclose(unbiased(between(x, y)), truth(x, y), rtol=1e-11)
    assert set(taken) == {"_squares_by_rows" if width == 40 else "_squares_by_columns"}


def test_with_one_row_per_image_unbiased_estimates_are_hsic_of_the_linear_gram_matrices():
    x, y = related(30)
    grams = [(one @ one.T).numpy() for one in (x, y)]
    expected = [hsic(grams[i], grams[j]) for i, j in ((0, 1), (0, 0), (1, 1))]
    np.testing.assert_allclose(unbiased(between(x, y)), expected, rtol=1e-11)


def test_an_image_drawn_twice_is_no_pair_of_distinct_images():
    x, y = pair(6, 3)
    counts = torch.tensor([2, 0, 1, 3, 1, 1])
    stream = Stream({("x", "y"): True}, groups=6)
    for image in range(6):
        stream.add({"x": x[image : image + 1]}, {"y": y[image : image + 1]}, image)
    drawn = Drawn(stream, counts.double()[None]).moments("x", "y")
    repeated = torch.arange(6).repeat_interleave(counts)
    np.testing.assert_allclose(unbiased(drawn), truth(x, y, repeated.tolist()), rtol=1e-11)
    plain = between(x[repeated], y[repeated])
    assert (drawn.rows, drawn.images) == (plain.rows, plain.images) == (24, 8)
    for name in ("mean_x", "mean_y", "xx", "yy", "xy"):
        torch.testing.assert_close(getattr(drawn, name), getattr(plain, name), rtol=1e-12, atol=1e-12)


def test_fewer_than_four_distinct_images_have_no_unbiased_estimate():
    x, y = pair(3, 2)
    assert between(x, y).unbiased is None
    stream = Stream({("x", "y"): True}, groups=5)
    for image, (one, other) in enumerate(zip(*pair(5, 2), strict=True)):
        stream.add({"x": one[None]}, {"y": other[None]}, image)
    weights = torch.tensor([[3.0, 1.0, 1.0, 0.0, 0.0], [2.0, 1.0, 1.0, 1.0, 0.0]])
    three, four = Drawn(stream, weights).draws("x", "y")
    assert three.unbiased is None and four.unbiased is not None


def test_rows_that_repeat_within_an_image_say_nothing_new():
    x, y = pair(9, 1)
    once, often = between(x, y), between(x.expand(-1, 5, -1), y.expand(-1, 5, -1))
    np.testing.assert_allclose(unbiased(often), unbiased(once), rtol=1e-11)


def test_unbiased_estimates_are_right_on_average_where_biased_ones_are_not():
    """Independent images whose rows resemble one another: the truth is 0."""
    estimates, plain = [], []
    for seed in range(0, 360, 3):
        moments = between(normal(6, 1, 3, seed=seed).expand(6, 4, 3), normal(6, 1, 3, seed=seed + 1).expand(6, 4, 3))
        estimates.append(unbiased(moments)[0])
        plain.append((moments.xy / moments.rows).square().sum().item())
    error = np.std(estimates) / np.sqrt(len(estimates))
    assert abs(np.mean(estimates)) < 4 * error < 0.5 * np.mean(plain)


def test_moments_are_those_of_all_rows_and_a_mean_of_100_leaves_them_right_in_single_precision():
    x, y = pair(50, 4)
    found = between(x, y)
    u, v = x.reshape(200, -1).numpy(), y.reshape(200, -1).numpy()
    np.testing.assert_allclose(found.mean_x, u.mean(0), rtol=1e-13)
    np.testing.assert_allclose(found.xy, (u - u.mean(0)).T @ (v - v.mean(0)), rtol=1e-11)
    np.testing.assert_allclose(found.xx, (u - u.mean(0)).T @ (u - u.mean(0)), rtol=1e-11)
    assert (found.images, found.rows, found.positions) == (50, 200, 4)
    far_x, far_y = (x + 100).float(), (y - 100).float()
    expected = between(far_x, far_y)  # of the very same numbers, in double
    gathered = stream([(far_x, far_y)])
    np.testing.assert_allclose(unbiased(gathered), unbiased(expected), rtol=2e-6)
    torch.testing.assert_close(gathered.xy, expected.xy, rtol=2e-6, atol=2e-6 * expected.xx.trace().item())


def stream(batches: list[tuple[Tensor, Tensor]]) -> PairMoments:
    found = Stream({("x", "y"): True})
    for x, y in batches:
        found.add({"x": x}, {"y": y})
    return Drawn(found).moments("x", "y")


def test_moments_swap_and_restrict():
    x, y = related(40)
    found, turned = between(x, y).swapped(), between(y, x)
    torch.testing.assert_close(found.xy, turned.xy)
    np.testing.assert_allclose(unbiased(found), unbiased(turned), rtol=1e-12)
    basis = torch.linalg.qr(normal(5, 2)).Q
    low, expected = between(x, y).restricted(basis), between((x - x.mean(0)) @ basis @ basis.T + x.mean(0), y)
    torch.testing.assert_close(low.xy, expected.xy)
    assert low.unbiased is None and low.images == 40


def test_what_follows_from_one_layer_is_computed_once_for_all_its_pairs():
    gathered, calls = Stream({("x", "y"): False, ("x", "z"): False}), []
    gathered.add({"x": normal(9, 1, 3)}, {"y": normal(9, 1, 2), "z": normal(9, 1, 4)})
    drawn = Drawn(gathered)

    def trace(gram: Tensor, times: int) -> Tensor:
        calls.append(times)
        return times * gram.trace()

    one, other = drawn.moments("x", "y"), drawn.moments("x", "z")
    assert one.once_x(trace, 2) == other.once_x(trace, 2) == other.swapped().once_y(trace, 2) == 2 * one.xx.trace()
    assert one.once_x(trace, 3) == 3 * one.xx.trace() and one.once_y(trace, 2) == 2 * one.yy.trace()
    assert calls == [2, 3, 2]
    assert one.restricted(torch.eye(3, 1)).once_x(trace, 2) < one.once_x(trace, 2)


def test_only_the_pairs_that_ask_for_unbiased_estimates_pay_for_them():
    gathered = Stream({("x", "y"): True, ("x", "z"): False})
    gathered.add({"x": normal(9, 1, 3)}, {"y": normal(9, 1, 2), "z": normal(9, 1, 4)})
    assert Drawn(gathered).moments("x", "y").unbiased is not None
    assert Drawn(gathered).moments("x", "z").unbiased is None
    assert gathered.ends["z"].cross().sums is None


def test_a_stream_never_mixes_devices_and_sums_in_double_where_its_rows_lie():
    """Under a mode that only keeps account of devices and refuses to mix them: there need be no such device."""
    with FakeTensorMode():
        for m in (1, 3):
            gathered = Stream({("x", "y"): True}, {("x", "y"): True}, groups=2)
            for group in (0, 0, 1):
                gathered.add({"x": torch.ones(4, m, 3, device="cuda")}, {"y": torch.ones(4, m, 2, device="cuda")}, group)
            gathered.close()
            for found in (Drawn(gathered).moments("x", "y"), Drawn(gathered).shifted("x", "y")):
                assert found.unbiased is not None
                sums = [found.mean_x, found.mean_y, found.xx, found.yy, found.xy, *found.unbiased]
                assert {(part.device.type, part.dtype) for part in sums} == {("cuda", torch.float64)}


@pytest.mark.parametrize(
    ("x", "y", "complaint"),
    [
        (normal(5), normal(5, 2), "no list of rows"),
        (normal(5, 2, 2, 2), normal(5, 2), "no list of rows"),
        (normal(0, 2), normal(0, 2), "no list of rows"),
        (normal(5, 2), normal(6, 2), "x has 5 images, y 6"),
        (normal(5, 3, 2), normal(5, 4, 2), "rows per image"),
        (normal(5, 3, 2), normal(5, 2), "rows per image"),
        (torch.ones(5, 2, dtype=torch.int64), normal(5, 2), "int64"),
        (normal(5, 2), torch.ones(5, 2, dtype=torch.bool), "bool"),
        (normal(5, 2), torch.ones(5, 2, dtype=torch.complex64), "complex64"),
        (normal(5, 2), torch.full((5, 2), float("nan")), "not all numbers are finite"),
        (torch.full((5, 2), float("inf")), normal(5, 2), "not all numbers are finite"),
    ],
)
def test_tensors_that_are_no_pair_are_refused(x, y, complaint):
    with pytest.raises(InputError, match=complaint):
        between(x, y)


# The pass


def requests(*names: str, x: Value = X, y: Value = Y, view: str = "channel", align: str | None = None) -> list[Request]:
    return [Request(name, x, y, view, align) for name in names]


def passed(
    asked: list[Request], front: dict[Value, Tensor], end: dict[Value, Tensor], batch: int = 1000, products=None, **sample: int
) -> dict[Request, Similarity]:
    n = len(next(iter(front.values())))
    gathered = MomentPass(asked, Sample(n, **sample), products)
    for start in range(0, n, batch):
        taken = slice(start, start + batch)
        gathered.add({value: side[taken] for value, side in front.items()}, {value: side[taken] for value, side in end.items()})
    return gathered.results()


def numbers(found: dict[Request, Similarity]) -> Iterator[float]:
    for similarity in found.values():
        for number in (similarity.value, similarity.null, similarity.low, similarity.high):
            assert number is not None, similarity
            yield number


def test_the_pass_gives_for_every_measure_what_the_measure_gives_by_itself():
    x, y = related(60)
    found = passed(requests(*MOMENT_MEASURES), {X: x}, {Y: y}, batch=17)
    assert len(found) == len(MOMENT_MEASURES)
    for request, similarity in found.items():
        alone = MOMENT_MEASURES[request.measure](x, y)
        assert similarity.value == pytest.approx(alone.value, rel=1e-9, abs=1e-9), request.measure
        assert similarity.null == pytest.approx(alone.null, rel=1e-9, abs=1e-9), request.measure
        assert (similarity.status, dict(similarity.details)) == (alone.status, alone.details)


def test_the_pass_serves_many_layers_and_views_at_once():
    a, b, c = Value("a"), Value("b", 2), Value("c")
    front = {a: normal(12, 3, 4, 4), b: normal(12, 5, 4, 4, seed=1), c: normal(12, 7, seed=2)}
    end = {X: normal(12, 4, 4, 4, seed=3) + front[a][:, :1], Y: normal(12, 6, 4, 4, seed=4), c: normal(12, 2, seed=5)}
    asked = [r for x, y in product((a, b), (X, Y)) for r in requests("cka", "cka_debiased", x=x, y=y)]
    asked += requests("procrustes", x=a, y=Y) + requests("cka_debiased", x=c, y=c) + requests("cka", x=b, y=c, view="pool")
    asked += requests("cka", x=a, y=X, view="flatten")
    found = passed(asked, front, end, batch=5)

    def rows(value: Tensor, view: str) -> Tensor:
        if value.ndim == 2:
            return value
        return {"channel": value.flatten(2).mT, "pool": value.mean((2, 3)), "flatten": value.flatten(1)}[view]

    assert set(found) == set(asked)
    for request, similarity in found.items():
        alone = MOMENT_MEASURES[request.measure](rows(front[request.front], request.view), rows(end[request.end], request.view))
        assert similarity.value == pytest.approx(alone.value, rel=1e-10, abs=1e-12), request
        assert similarity.null == pytest.approx(alone.null, rel=1e-10, abs=1e-12), request


def test_layers_of_other_grids_meet_as_the_request_aligns_them():
    x, y = normal(10, 3, 4, 4), normal(10, 5, 2, 2, seed=1)
    asked = requests("cka_debiased", align="pool") + requests("cka_debiased", align="nearest")
    pooled, picked = passed(asked, {X: x}, {Y: y}, batch=4).values()
    small = torch.nn.functional.avg_pool2d(x, 2)
    assert pooled.value == pytest.approx(MOMENT_MEASURES["cka_debiased"](small.flatten(2).mT, y.flatten(2).mT).value, rel=1e-11)
    assert picked.value != pytest.approx(pooled.value, rel=1e-3)
    with pytest.raises(InputError, match="other grids"):
        passed(requests("cka"), {X: x}, {Y: y})


@pytest.mark.parametrize("batch", [1, 3, 7])
@pytest.mark.parametrize("view", ["channel", "flatten"])
def test_how_the_stream_is_cut_into_batches_changes_nothing(batch, view):
    x, y = normal(23, 3, 2, 2) + 100, normal(23, 4, 2, 2, seed=1) - 3
    y[:, :3] += x - 100
    whole, cut = (passed(requests(*CHEAP, view=view), {X: x}, {Y: y}, size, groups=5, draws=20) for size in (23, batch))
    np.testing.assert_allclose(list(numbers(cut)), list(numbers(whole)), rtol=1e-12, atol=1e-12)


def test_blocks_of_rows_change_nothing(monkeypatch):
    x, y = normal(23, 3, 2, 2), normal(23, 4, 2, 2, seed=1)
    whole = passed(requests(*CHEAP), {X: x}, {Y: y})
    monkeypatch.setattr(products, "BLOCK", 7)
    for request, similarity in passed(requests(*CHEAP), {X: x}, {Y: y}).items():
        assert similarity.value == pytest.approx(whole[request].value, rel=1e-12)
        assert similarity.null == pytest.approx(whole[request].null, rel=1e-12)


def test_where_no_formula_is_known_the_null_is_of_every_image_beside_the_one_before_it():
    x, y = fixture_c()
    maps = x.mT.unflatten(-1, (5, 5)), y.mT.unflatten(-1, (5, 5))
    for request, similarity in passed(requests("cka", "cka_debiased", "procrustes"), {X: maps[0]}, {Y: maps[1]}, batch=5).items():
        beside = MOMENT_MEASURES[request.measure](x, y.roll(1, 0))
        assert similarity.null == pytest.approx(beside.value, rel=1e-10), request.measure
        assert similarity.null == pytest.approx(MOMENT_MEASURES[request.measure](x, y).null, rel=1e-10)


def test_the_interval_holds_the_central_share_of_groups_drawn_with_replacement():
    x, y = related(40)
    sample = Sample(40, groups=8, draws=30, seed=3)
    (found,) = passed(requests("cka"), {X: x}, {Y: y}, batch=11, groups=8, draws=30, seed=3).values()
    values = []
    for weights in bootstrap.weights(sample):
        rows = torch.cat([torch.arange(5 * g, 5 * g + 5).repeat(int(w)) for g, w in enumerate(weights)])
        values.append(float(MOMENT_MEASURES["cka"](x[rows], y[rows])))
    moved = np.percentile(values, (2.5, 97.5)) - np.mean(values) + float(found)
    assert (found.low, found.high) == pytest.approx(tuple(moved), rel=1e-10)
    assert found.low < float(found) < found.high


def test_an_interval_of_a_measure_that_images_drawn_twice_raise_still_holds_its_value():
    x, y = torch.randn(60, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(5)).split(20, dim=1)
    (found,) = passed(requests("regression"), {X: x}, {Y: y}, batch=60, groups=60, draws=200, seed=3).values()
    assert found.low < float(found) < found.high


def test_groups_of_unequal_size_take_every_image_once():
    sample = Sample(11, groups=4, draws=1)
    for batch in (1, 2, 3, 11):
        seen = [
            (group, start + at)
            for start in range(0, 11, batch)
            for group, where in bootstrap.runs(sample, start, min(batch, 11 - start))
            for at in range(where.start, where.stop)
        ]
        assert seen == [(sample.group(image), image) for image in range(11)]
    assert list(bootstrap.runs(Sample(11, groups=4), 3, 8)) == [(0, slice(0, 8))]


def test_draws_are_of_as_many_groups_as_there_are_and_the_same_for_one_seed():
    sample = Sample(100, groups=10, draws=500, seed=1)
    weights = bootstrap.weights(sample)
    assert weights.shape == (500, 10) and (weights.sum(1) == 10).all()
    assert torch.equal(weights, bootstrap.weights(sample))
    assert not torch.equal(weights, bootstrap.weights(Sample(100, groups=10, draws=500, seed=2)))
    assert 0.8 < weights.var(0).mean() < 1.0  # of one out of ten, drawn ten times: 0.9


def test_an_interval_of_few_defined_draws_is_none():
    assert bootstrap.interval([None, None, 1.0], 1.0) == (None, None)
    assert bootstrap.interval([1.0, None, 1.0], 0.5) == (0.5, 0.5)
    assert bootstrap.interval([], 1.0) == (None, None)


def test_activations_that_are_not_finite_and_constant_layers_have_a_status_in_place_of_a_number():
    x, y, still = normal(20, 3), normal(20, 2, seed=1), torch.full((20, 4), 3.7, dtype=torch.float64)
    x[7, 1] = float("nan")
    found = passed(requests("cka", "cka_debiased", "procrustes"), {X: x}, {Y: y}, batch=6, groups=4, draws=5)
    assert {(s.value, s.null, s.low, s.status) for s in found.values()} == {(None, None, None, NOT_FINITE)}
    for similarity in passed(requests("cka", "cka_debiased"), {X: still}, {Y: y}, groups=4, draws=5).values():
        assert (similarity.value, similarity.null, similarity.low) == (None, None, None)
        assert similarity.status == "constant layer (front)"


def test_a_pass_that_has_not_seen_every_image_gives_nothing():
    gathered = MomentPass(requests("cka"), Sample(10))
    gathered.add({X: normal(9, 2)}, {Y: normal(9, 2)})
    with pytest.raises(AssertionError, match="9 of 10"):
        gathered.results()


def test_measures_are_called_by_the_options_they_have():
    x, y = fixture_a()
    request = Request("svcca", X, Y, "flatten", None, (("variance", 0.9),))
    assert passed([request], {X: x}, {Y: y})[request].value == pytest.approx(0.7057648081, abs=1e-10)
    with pytest.raises(InputError, match="did you mean 'variance'"):
        MOMENT_MEASURES["svcca"](x, y, varianc=0.9)
    with pytest.raises(InputError, match="has no option 'variance'"):
        MOMENT_MEASURES["cka"](x, y, variance=0.9)


def test_the_null_of_one_image_is_none():
    (found,) = passed(requests("procrustes_size_and_shape"), {X: normal(1, 3)}, {Y: normal(1, 3, seed=1)}).values()
    assert found.null is None
