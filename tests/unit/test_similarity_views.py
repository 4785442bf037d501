"""Views and alignments: what rows an activation becomes, and which layers fit which view."""

import pytest
import torch
from torch.nn import functional

from repsim.errors import InputError
from repsim.similarity import fit, views

MAP = torch.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
TOKENS = torch.arange(2 * 5 * 3.0).reshape(2, 5, 3)  # a class token and 2×2 patches
VECTOR = torch.arange(2 * 3.0).reshape(2, 3)


def test_flatten_makes_one_row_of_all_values():
    for value in (MAP, TOKENS, VECTOR):
        assert torch.equal(views.rows(value, "flatten"), value.reshape(2, 1, -1))
    assert views.rows(torch.arange(3.0), "flatten").shape == (3, 1, 1)


def test_channel_makes_a_row_of_each_position():
    rows = views.rows(MAP, "channel")
    assert rows.shape == (2, 20, 3)
    assert torch.equal(rows[1, 7], MAP[1, :, 1, 2])
    assert torch.equal(views.rows(TOKENS, "channel"), TOKENS)


def test_pool_leaves_the_class_token_out_and_mean_does_not():
    assert torch.equal(views.rows(MAP, "pool")[:, 0], MAP.mean((2, 3)))
    assert torch.equal(views.rows(TOKENS, "pool")[:, 0], TOKENS[:, 1:].mean(1))
    assert torch.equal(views.rows(TOKENS, "mean")[:, 0], TOKENS.mean(1))
    assert torch.equal(views.rows(TOKENS[:, 1:], "pool")[:, 0], TOKENS[:, 1:].mean(1))
    assert torch.equal(views.rows(TOKENS, "class")[:, 0], TOKENS[:, 0])


@pytest.mark.parametrize("view", fit.VIEWS)
def test_a_vector_is_the_same_in_every_view(view):
    assert torch.equal(views.rows(VECTOR, view), VECTOR[:, None])


@pytest.mark.parametrize("value", [MAP, TOKENS, VECTOR], ids=["map", "tokens", "vector"])
@pytest.mark.parametrize("view", fit.VIEWS)
def test_the_shapes_that_are_planned_are_those_that_come(value, view):
    shape = tuple(value.shape[1:])
    if len(shape) == 3 and view in ("class", "mean"):
        with pytest.raises(InputError, match="has no tokens"):
            views.rows(value, view)
        return
    rows = views.rows(value, view)
    assert rows.shape[1:] == ((fit.positions(shape), fit.channels(shape)) if view == "position" else fit.rows(shape, view))


def test_positions_come_apart_in_the_order_of_the_grid():
    apart = views.by_position(MAP)
    assert apart.shape == (20, 2, 3) and torch.equal(apart[7], MAP[:, :, 1, 2])


@pytest.mark.parametrize("how", fit.ALIGNS)
def test_the_larger_grid_comes_to_the_smaller_and_the_smaller_stays(how):
    other = torch.randn(2, 7, 2, 2)
    x, y = views.align(MAP, other, how)
    assert x.shape == (2, 3, 2, 2) and y is other
    wanted = {
        "pool": lambda v: functional.adaptive_avg_pool2d(v, (2, 2)),
        "bilinear": lambda v: functional.interpolate(v, (2, 2), mode="bilinear"),
        "nearest": lambda v: functional.interpolate(v, (2, 2)),
    }
    assert torch.equal(x, wanted[how](MAP))
    back = views.align(other, MAP, how)
    assert back[0] is other and torch.equal(back[1], x)


def test_maps_of_crossed_grids_meet_at_the_lesser_height_and_width():
    x, y = views.align(torch.randn(2, 3, 4, 8), torch.randn(2, 5, 8, 4), "pool")
    assert x.shape == (2, 3, 4, 4) and y.shape == (2, 5, 4, 4)


def test_tokens_meet_a_map_without_their_class_token():
    grid = torch.randn(2, 6, 2, 2)
    x, y = views.align(TOKENS, grid, None)
    assert y is grid and torch.equal(x[:, :, 0, 1], TOKENS[:, 2]) and torch.equal(x[:, :, 1, 0], TOKENS[:, 3])


def test_layers_of_equal_grids_are_left_as_they_are():
    for value in (MAP, TOKENS, VECTOR):
        x, y = views.align(value, value * 2, "pool")
        assert x is value and y.shape == value.shape


@pytest.mark.parametrize(
    "front, end, how, message",
    [
        ((3, 4, 4), (3, 2, 2), None, "other grids"),
        ((3, 4, 4), (3, 2, 2), "bilinea", "did you mean 'bilinear'"),
        ((3, 4, 4), (3,), "pool", "no positions in common"),
        ((7, 3), (6, 3), "pool", "no positions in common"),
        ((5, 3), (3,), "pool", "no positions in common"),
    ],
)
def test_layers_that_share_no_positions_are_refused(front, end, how, message):
    with pytest.raises(InputError, match=message):
        fit.aligned(front, end, how)


@pytest.mark.parametrize(
    "shape, view, message",
    [
        ((3, 4, 4), "chanel", "did you mean 'channel'"),
        ((3, 4, 4), "class", "has no tokens"),
        ((7, 3), "class", "not s·s patches and a class token"),
        ((2, 3, 4, 4), "channel", "no map, no tokens and no vector"),
    ],
)
def test_a_view_that_a_layer_has_not_is_refused(shape, view, message):
    with pytest.raises(InputError, match=message):
        fit.check_view(shape, view)


def test_every_alignment_that_is_planned_is_the_one_that_comes():
    shapes = [(3, 4, 4), (5, 2, 2), (4, 3, 6), (5, 3), (17, 2), (4, 3)]
    for front in shapes:
        for end in shapes:
            try:
                planned = fit.aligned(front, end, "pool")
            except InputError:
                continue
            x, y = views.align(torch.randn(2, *front), torch.randn(2, *end), "pool")
            assert (tuple(x.shape[1:]), tuple(y.shape[1:])) == planned
            assert fit.positions(planned[0]) == fit.positions(planned[1])
