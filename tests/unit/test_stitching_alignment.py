"""What surrounds a stitcher's map, against the same thing written in plain PyTorch."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from repsim.stitching import alignment
from repsim.stitching.shapes import join
from repsim.stitching.stitchers import build


def values(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(3, *shape, generator=torch.Generator().manual_seed(seed))


def pieces(front, end, **asked):
    """A linear stitcher with random weights for this joint, and the plain layer with the same weights."""
    stitcher = build("linear", join(front, end, **asked))
    layer = nn.Linear(stitcher.inputs, stitcher.outputs)
    stitcher.load_state_dict(layer.state_dict(), strict=False)
    return stitcher, layer


def conv(layer: nn.Linear, x: Tensor) -> Tensor:
    return functional.conv2d(x, layer.weight[:, :, None, None], layer.bias)


def as_tokens(x: Tensor) -> Tensor:
    return x.reshape(*x.shape[:2], -1).transpose(1, 2)


def as_map(tokens: Tensor, side: int) -> Tensor:
    return tokens.transpose(1, 2).reshape(len(tokens), -1, side, side)


def test_maps_of_one_grid_are_convolved_without_a_copy():
    stitcher, layer = pieces((5, 4, 6), (7, 4, 6))
    x = values(5, 4, 6).contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(stitcher(x), conv(layer, x))
    assert stitcher.alignment.before(x).data_ptr() == x.data_ptr()
    assert stitcher(x).is_contiguous(memory_format=torch.channels_last)


def test_vectors_go_through_the_linear_layer_alone():
    stitcher, layer = pieces((5,), (7,))
    torch.testing.assert_close(stitcher(values(5)), layer(values(5)))


def test_flatten_maps_all_values_in_the_order_of_channels_rows_columns():
    stitcher, layer = pieces((2, 4, 3), (3, 2, 2), view="flatten")
    x = values(2, 4, 3)
    expected = layer(x.reshape(3, -1)).reshape(3, 3, 2, 2)
    torch.testing.assert_close(stitcher(x), expected)
    torch.testing.assert_close(stitcher(x.contiguous(memory_format=torch.channels_last)), expected)
    y = values(3, 2, 2)
    assert torch.equal(stitcher.alignment.value(stitcher.alignment.target(y)), y)


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@pytest.mark.parametrize("place", ["pre", "post"])
@pytest.mark.parametrize("grid", [(4, 4), (7, 5), (16, 12)])
def test_resize_before_or_after_is_interpolation_and_a_convolution(mode, place, grid):
    stitcher, layer = pieces((5, 8, 6), (7, *grid), resize=mode, resize_at=place)
    x = values(5, 8, 6)
    torch.testing.assert_close(stitcher(x), conv(layer, functional.interpolate(x, size=grid, mode=mode)), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(stitcher(x), functional.interpolate(conv(layer, x), size=grid, mode=mode), atol=1e-5, rtol=1e-5)


def test_tokens_are_mapped_each_alone_and_the_class_token_like_the_others():
    stitcher, layer = pieces((10, 6), (10, 4))
    torch.testing.assert_close(stitcher(values(10, 6)), layer(values(10, 6)))


@pytest.mark.parametrize("place", ["pre", "post"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_a_map_becomes_tokens_with_the_mean_as_class_token(mode, place):
    stitcher, layer = pieces((5, 8, 8), (17, 6), class_token="pooled", resize=mode, resize_at=place)
    x = values(5, 8, 8)
    patches = layer(as_tokens(functional.interpolate(x, size=(4, 4), mode=mode)))
    expected = torch.cat((patches.mean(1, keepdim=True), patches), 1)
    torch.testing.assert_close(stitcher(x), expected, atol=1e-5, rtol=1e-5)


def test_a_map_becomes_patches_where_the_end_has_no_class_token():
    stitcher, layer = pieces((5, 4, 4), (16, 6))
    torch.testing.assert_close(stitcher(values(5, 4, 4)), layer(as_tokens(values(5, 4, 4))))


def test_a_learned_class_token_starts_at_a_mean_and_gets_its_own_gradient():
    stitcher, layer = pieces((5, 4, 4), (17, 6), class_token="learned")
    x, y = values(5, 4, 4), values(17, 6)
    start = stitcher.alignment.class_token(y)
    stitcher.alignment.start_(start.mean(0))
    out = stitcher(x)
    torch.testing.assert_close(out[:, 1:], layer(as_tokens(x)))
    torch.testing.assert_close(out[:, 0], y[:, 0].mean(0).expand(3, -1))
    out[:, 0].sum().backward()
    torch.testing.assert_close(stitcher.alignment.token.grad, torch.full((6,), 3.0))
    assert stitcher.parameter_count() == 5 * 6 + 6 + 6


@pytest.mark.parametrize("asked", [{}, {"class_token": "pooled"}])
def test_only_a_learned_class_token_takes_a_start(asked):
    made = alignment.make(join((5, 4, 4), (17, 6), **asked))
    assert made.class_token(values(17, 6)) is None
    made.start_(torch.ones(6))
    assert not list(made.parameters())


@pytest.mark.parametrize("place", ["pre", "post"])
def test_tokens_become_a_map_without_their_class_token(place):
    stitcher, layer = pieces((17, 6), (5, 8, 8), resize="bilinear", resize_at=place)
    x = values(17, 6)
    expected = functional.interpolate(as_map(layer(x[:, 1:]), 4), size=(8, 8), mode="bilinear")
    torch.testing.assert_close(stitcher(x), expected, atol=1e-5, rtol=1e-5)


def test_patches_alone_become_a_map():
    stitcher, layer = pieces((16, 6), (5, 4, 4))
    torch.testing.assert_close(stitcher(values(16, 6)), as_map(layer(values(16, 6)), 4))


def test_an_added_class_token_has_a_weight_that_is_trained():
    stitcher, layer = pieces((17, 6), (5, 4, 4), class_token="added")
    x = values(17, 6)
    torch.testing.assert_close(stitcher(x), as_map(layer(x[:, 1:] + 0.1 * x[:, :1]), 4))
    stitcher(x).sum().backward()
    expected = (16 * x[:, 0] @ layer.weight.T).sum()
    torch.testing.assert_close(stitcher.alignment.weight.grad, expected, atol=1e-4, rtol=1e-4)
    assert stitcher.parameter_count() == 5 * 6 + 5 + 1


@pytest.mark.parametrize("grid", [(4, 4), (8, 5), (1, 1)])
def test_the_only_class_token_is_seen_at_every_position(grid):
    stitcher, layer = pieces((17, 6), (5, *grid), class_token="only")
    x = values(17, 6)
    torch.testing.assert_close(stitcher(x), layer(x[:, 0])[:, :, None, None].expand(-1, -1, *grid))


EVERY = [
    ((5, 4, 6), (7, 4, 6), {}),
    ((5,), (7,), {}),
    ((5, 4, 6), (3, 2, 2), {"view": "flatten"}),
    ((5, 8, 8), (7, 4, 4), {"resize": "bilinear"}),
    ((5, 8, 8), (7, 4, 4), {"resize": "bilinear", "resize_at": "post"}),
    ((10, 6), (10, 4), {}),
    ((5, 8, 8), (17, 6), {"resize_at": "post"}),
    ((5, 8, 8), (17, 6), {"class_token": "learned"}),
    ((5, 4, 4), (16, 6), {}),
    ((17, 6), (5, 8, 8), {}),
    ((17, 6), (5, 8, 8), {"resize_at": "post", "class_token": "added"}),
    ((17, 6), (5, 8, 8), {"class_token": "only"}),
]


@pytest.mark.parametrize("front, end, asked", EVERY)
def test_matched_rows_lie_where_the_targets_lie_and_give_the_same_rows_of_the_end(front, end, asked):
    """Mapping `matched_rows` gives exactly the rows that the stitched value is made of: a residual of one is that of the other."""
    stitcher, layer = pieces(front, end, **asked)
    around = stitcher.alignment
    rows, target = around.matched_rows(values(*front)), around.target(values(*end))
    assert rows.shape == (*target.shape[:-1], stitcher.inputs) and target.shape[-1] == stitcher.outputs
    out = stitcher(values(*front))
    assert out.shape == (3, *end)
    torch.testing.assert_close(around.target(out), layer(rows), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("front, end, asked", EVERY)
def test_an_alignment_can_be_copied_and_loaded(front, end, asked):
    stitcher, _ = pieces(front, end, **asked)
    for parameter in stitcher.parameters():
        parameter.data.normal_(generator=torch.Generator().manual_seed(3))
    loaded = build("linear", join(front, end, **asked))
    loaded.load_state_dict(stitcher.state_dict())
    for other in (copy.deepcopy(stitcher), loaded):
        assert torch.equal(other(values(*front)), stitcher(values(*front)))
