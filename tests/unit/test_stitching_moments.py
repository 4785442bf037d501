"""Streamed moments against NumPy on all rows at once."""

import numpy as np
import pytest
import torch
from matching_data import moments as defined
from matching_data import normal, related
from torch._subclasses.fake_tensor import FakeTensorMode

from repsim.errors import InputError
from repsim.stitching import alignment
from repsim.stitching import moments as module
from repsim.stitching.moments import Moments, NotFinite, Stream, principal
from repsim.stitching.shapes import Joint, join

SUMS = ("mean_x", "mean_y", "xx", "yy", "xy")


def maps(n: int, channels: int, seed: int, mean: float = 0.0, grid: tuple[int, int] = (3, 4)) -> torch.Tensor:
    return normal(n, channels, *grid, seed=seed) + mean


def joined(x: torch.Tensor, y: torch.Tensor, **options) -> Joint:
    return join(tuple(x.shape[1:]), tuple(y.shape[1:]), **options)


def gathered(x: torch.Tensor, y: torch.Tensor, batch: int, products=None, **options) -> tuple[Moments, Moments]:
    """The moments and their null."""
    joint = joined(x, y, **options)
    stream = Stream([("a", "b", joint)], {joint: alignment.make(joint)}, null=True, products=products)
    for one, other in zip(x.split(batch), y.split(batch), strict=True):
        stream.add({"a": one}, {"b": other})
    return stream.moments(("a", "b", joint)), stream.null(("a", "b", joint))


def rows(x: torch.Tensor) -> torch.Tensor:
    return x.movedim(1, -1).reshape(-1, x.shape[1]).double()


def assert_same(found: Moments, expected: Moments, tolerance: float = 1e-11) -> None:
    assert found.rows == expected.rows
    for name in SUMS:
        one, other = getattr(found, name), getattr(expected, name)
        assert (one - other).abs().max() <= tolerance * max(1.0, other.abs().max().item()), name


def test_moments_are_those_of_all_rows():
    x, y = maps(10, 3, 0, mean=5), maps(10, 2, 1)
    found, _ = gathered(x, y, 4)
    u, v = rows(x).numpy(), rows(y).numpy()
    assert found.rows == 120
    np.testing.assert_allclose(found.mean_x, u.mean(0), rtol=1e-13)
    np.testing.assert_allclose(found.xx, (u - u.mean(0)).T @ (u - u.mean(0)), rtol=1e-11)
    np.testing.assert_allclose(found.yy, (v - v.mean(0)).T @ (v - v.mean(0)), rtol=1e-11)
    np.testing.assert_allclose(found.xy, (u - u.mean(0)).T @ (v - v.mean(0)), atol=1e-11)
    for raw, product in zip(found.raw(), (u.T @ u, v.T @ v, u.T @ v), strict=True):
        np.testing.assert_allclose(raw, product, rtol=1e-11, atol=1e-10)


@pytest.mark.parametrize("batch", [1, 3, 7, 50])
def test_the_split_into_batches_matters_neither_for_the_moments_nor_for_the_null(batch):
    x, y = maps(50, 6, 0, mean=100), maps(50, 4, 1, mean=-3)
    for whole, split in zip(gathered(x, y, 50), gathered(x, y, batch), strict=True):
        assert_same(split, whole, 1e-12)


def test_the_split_into_blocks_of_rows_does_not_matter(monkeypatch):
    x, y = maps(50, 6, 0), maps(50, 4, 1)
    whole = gathered(x, y, 20)
    monkeypatch.setattr(module, "BLOCK", 7)
    for one, other in zip(gathered(x, y, 20), whole, strict=True):
        assert_same(one, other, 1e-12)


def test_the_null_matches_every_image_with_the_one_before_it_at_the_same_place():
    x, y = maps(9, 3, 0, mean=2), maps(9, 2, 1, mean=1)
    _, found = gathered(x, y, 4)
    assert_same(found, defined(rows(x), rows(y.roll(1, 0))))


def test_one_image_alone_has_no_null():
    with pytest.raises(InputError, match="one image alone"):
        gathered(maps(1, 3, 0), maps(1, 2, 1), 1)


def test_a_large_mean_does_no_harm_in_single_precision():
    x, y = maps(400, 4, 0, mean=100).float(), maps(400, 4, 1, mean=100).float()
    exact = defined(rows(x), rows(y))
    single, _ = gathered(x, y, 50)
    assert (exact.xy - single.xy).abs().max() <= 1e-6 * exact.xx.abs().max()
    double, _ = gathered(x, y, 50, torch.float64)
    assert_same(double, exact)
    assert single.noise > double.noise


def test_vectors_are_rows_of_their_own():
    x, y = normal(30, 5), normal(30, 3, seed=1)
    found, _ = gathered(x, y, 8)
    assert_same(found, defined(x, y))


def test_flattened_images_are_one_row_each():
    x, y = maps(12, 2, 0), maps(12, 3, 1, grid=(2, 2))
    found, null = gathered(x, y, 5, view="flatten")
    assert_same(found, defined(x.flatten(1), y.flatten(1)))
    assert_same(null, defined(x.flatten(1), y.roll(1, 0).flatten(1)))


@pytest.mark.parametrize("place", ["pre", "post"])
def test_a_resized_map_is_matched_on_the_grid_behind(place):
    x, y = maps(8, 3, 0, grid=(8, 8)), maps(8, 2, 1, grid=(4, 4))
    found, _ = gathered(x, y, 3, resize="bilinear", resize_at=place)
    resized = torch.nn.functional.interpolate(x, size=(4, 4), mode="bilinear")
    assert_same(found, defined(rows(resized), rows(y)))


def test_a_map_is_matched_to_the_patches_of_tokens_and_the_other_way_round():
    x, tokens = maps(8, 3, 0, grid=(4, 4)), normal(8, 17, 5, seed=1)
    patches = tokens[:, 1:].reshape(-1, 5)
    assert_same(gathered(x, tokens, 3)[0], defined(rows(x), patches))
    assert_same(gathered(tokens, x, 3)[0], defined(patches, rows(x)))
    assert_same(gathered(tokens, tokens[..., :2], 3)[0], defined(tokens.flatten(0, 1), tokens[..., :2].flatten(0, 1)))


def test_one_pass_serves_all_matches_and_sums_each_layer_once(monkeypatch):
    x = {"a": maps(9, 2, 0), "b": maps(9, 3, 1), "c": maps(9, 3, 2, grid=(6, 8))}
    y = {"d": maps(9, 2, 3), "e": maps(9, 4, 4)}
    matches = [(f, e, joined(x[f], y[e], resize="nearest" if f == "c" else None)) for f in x for e in y]
    matches.append(("a", "d", joined(x["a"], y["d"], view="flatten")))
    stream = Stream([*matches, matches[0]], {match[2]: alignment.make(match[2]) for match in matches})
    sums = []
    add = module._Side.add
    monkeypatch.setattr(module._Side, "add", lambda side, rows: sums.append(side) or add(side, rows))
    stream.add(x, y)
    assert len(sums) == 3 + 2 + 2  # every layer, and the flattened two again
    for front, end, joint in matches:
        shape = {"view": "flatten"} if joint.kind == "flatten" else {"resize": joint.resize}
        assert_same(stream.moments((front, end, joint)), gathered(x[front], y[end], 9, **shape)[0])


def test_restricted_moments_are_those_of_the_projected_rows():
    x, y = related(p=6, q=3)
    basis, mean = torch.linalg.qr(normal(6, 2, seed=9)).Q, normal(6, seed=8)
    projected = mean + (x - mean) @ basis @ basis.T
    assert_same(defined(x, y).restricted(basis, mean), defined(projected, y))
    around = x.mean(0) + (x - x.mean(0)) @ basis @ basis.T
    assert_same(defined(x, y).restricted(basis), defined(around, y))


def test_principal_components_are_those_of_the_singular_value_decomposition():
    x, y = related(p=6)
    basis, mean = principal(defined(x, y), 3)
    right = np.linalg.svd((x - x.mean(0)).numpy())[2][:3]
    torch.testing.assert_close(mean, x.mean(0))
    np.testing.assert_allclose(np.abs(right @ basis.numpy()), np.eye(3), atol=1e-9)


@pytest.mark.parametrize("rank", [0, 7])
def test_a_subspace_larger_than_the_layer_is_refused(rank):
    with pytest.raises(InputError, match="6 channels"):
        principal(defined(*related(p=6)), rank)


def test_a_stream_never_mixes_devices_and_sums_in_fp64_where_its_rows_lie():
    """Under a mode that only keeps account of devices and refuses to mix them: there need be no such device."""
    with FakeTensorMode():
        x, y = torch.ones(6, 3, 4, 4, device="cuda"), torch.ones(6, 2, 4, 4, device="cuda")
        for found in gathered(x, y, 4):
            sums = [getattr(found, name) for name in SUMS]
            assert {(part.device.type, part.dtype) for part in sums} == {("cuda", torch.float64)}


def test_activations_that_are_not_finite_have_no_principal_components():
    x, y = related(p=6)
    x[0, 0] = torch.nan
    with pytest.raises(NotFinite, match="front layer are not all finite"):
        principal(defined(x, y), 2)


def test_swapped_moments_are_those_of_the_other_direction():
    x, y = related()
    assert_same(defined(x, y).swapped(), defined(y, x))
