"""Streamed moments against NumPy on all rows at once."""

import numpy as np
import pytest
import torch

from repsim.errors import InputError
from repsim.stitching.moments import Stream


def maps(n: int, channels: int, seed: int, mean: float = 0.0, dtype=torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(n, channels, 3, 4, generator=generator, dtype=torch.float64) + mean).to(dtype)


def streamed(x: torch.Tensor, y: torch.Tensor, batch: int, products=torch.float64):
    stream = Stream([("a", "b")], products)
    for one, other in zip(x.split(batch), y.split(batch), strict=True):
        stream.add({"a": one}, {"b": other})
    return stream.moments(("a", "b"))


def rows(x: torch.Tensor) -> np.ndarray:
    return x.movedim(1, -1).reshape(-1, x.shape[1]).double().numpy()


def test_moments_are_those_of_all_rows():
    x, y = maps(10, 3, 0, mean=5), maps(10, 2, 1)
    found = streamed(x, y, 4)
    u, v = rows(x), rows(y)
    assert found.rows == 120
    np.testing.assert_allclose(found.mean_x, u.mean(0), rtol=1e-13)
    np.testing.assert_allclose(found.xx, (u - u.mean(0)).T @ (u - u.mean(0)), rtol=1e-11)
    np.testing.assert_allclose(found.yy, (v - v.mean(0)).T @ (v - v.mean(0)), rtol=1e-11)
    np.testing.assert_allclose(found.xy, (u - u.mean(0)).T @ (v - v.mean(0)), atol=1e-11)
    for raw, product in zip(found.raw(), (u.T @ u, v.T @ v, u.T @ v), strict=True):
        np.testing.assert_allclose(raw, product, rtol=1e-11, atol=1e-10)


@pytest.mark.parametrize("batch", [1, 3, 7, 50])
def test_the_split_into_batches_does_not_matter(batch):
    x, y = maps(50, 6, 0, mean=100), maps(50, 4, 1, mean=-3)
    whole, split = streamed(x, y, 50), streamed(x, y, batch)
    for name in ("mean_x", "mean_y", "xx", "yy", "xy"):
        one, other = getattr(whole, name), getattr(split, name)
        assert (one - other).abs().max() <= 1e-12 * one.abs().max(), name


def test_the_shift_saves_single_precision_products_from_a_large_mean():
    x, y = maps(400, 4, 0, mean=1000, dtype=torch.float32), maps(400, 4, 1, mean=1000, dtype=torch.float32)
    exact, single = streamed(x, y, 50), streamed(x, y, 50, torch.float32)
    assert (exact.xy - single.xy).abs().max() <= 1e-5 * exact.xx.abs().max()
    assert single.noise > exact.noise


def test_vectors_are_rows_of_their_own():
    x, y = torch.randn(30, 5, dtype=torch.float64), torch.randn(30, 3, dtype=torch.float64)
    found = streamed(x, y, 8)
    np.testing.assert_allclose(found.xy, (x - x.mean(0)).numpy().T @ (y - y.mean(0)).numpy(), atol=1e-12)


def test_one_pass_serves_all_pairs_of_layers():
    x = {"a": maps(9, 2, 0), "b": maps(9, 3, 1)}
    y = {"c": maps(9, 2, 2), "d": maps(9, 4, 3)}
    pairs = [("a", "c"), ("a", "d"), ("b", "c"), ("a", "c")]
    stream = Stream(pairs)
    for start in (0, 4):
        stop = 9 if start else 4
        stream.add({k: v[start:stop] for k, v in x.items()}, {k: v[start:stop] for k, v in y.items()})
    for pair in pairs:
        torch.testing.assert_close(stream.moments(pair).xy, streamed(x[pair[0]], y[pair[1]], 9).xy)


def test_other_spatial_sizes_are_refused_with_both_shapes():
    stream = Stream([("a", "b")])
    with pytest.raises(InputError, match=r"\(3, 8, 8\) and \(3, 4, 4\)"):
        stream.add({"a": torch.zeros(2, 3, 8, 8)}, {"b": torch.zeros(2, 3, 4, 4)})
