"""Maps of saved stitchers: a permutation shows as a diagonal, zero is white, and both maps of a row share one range."""

import numpy as np
import pytest

from repsim.errors import UserError
from repsim.report import weights
from repsim.report.weights import Item

IMAGES = slice(0, 2)


def test_the_rows_of_a_permutation_are_sorted_to_the_identity():
    order = np.random.default_rng(0).permutation(12)
    permutation = np.eye(12)[order]
    assert (permutation[weights.assigned(permutation)] == np.eye(12)).all()
    noisy = permutation * 0.9 + 0.05 * np.random.default_rng(1).random((12, 12))
    assert (np.argmax(noisy[weights.assigned(noisy)], axis=1) == np.arange(12)).all()
    signed = -permutation
    assert (signed[weights.assigned(signed)] == -np.eye(12)).all()


@pytest.mark.parametrize("shape", [(5, 3), (3, 5)])
def test_maps_that_are_not_square_keep_every_row_once(shape):
    order = weights.assigned(np.random.default_rng(0).random(shape))
    assert sorted(order.tolist()) == list(range(shape[0]))
    tall = np.zeros((4, 2))
    tall[3, 0] = tall[1, 1] = 1
    assert weights.assigned(tall).tolist() == [3, 1, 0, 2]


def item(family="birkhoff", start=None, end=None):
    permutation = np.eye(6)[[3, 0, 5, 1, 4, 2]]
    return Item(
        "birkhoff · run abc",
        family,
        np.full((6, 6), 1 / 6) if start is None else start,
        permutation if end is None else end,
        "rank 6",
    )


def test_a_soft_permutation_is_drawn_sorted_and_a_linear_map_as_it_is():
    for family, wanted in (("birkhoff", np.eye(6)), ("linear", item().end)):
        axes = weights.picture([item(family)]).axes
        assert (axes[1].images[0].get_array() == wanted).all()
        assert (axes[0].images[0].get_array() == np.full((6, 6), 1 / 6)).all()


def test_zero_is_the_middle_of_colours_that_before_and_after_share():
    figure = weights.picture([item("linear", start=np.full((2, 2), -4.0), end=np.eye(2))])
    norms = [axes.images[0].norm for axes in figure.axes[IMAGES]]
    assert [(norm.vmin, norm.vmax) for norm in norms] == [(-4.0, 4.0)] * 2
    red, green, blue, _ = figure.axes[0].images[0].cmap(norms[0](0.0))
    assert min(red, green, blue) > 0.95


def test_singular_values_stand_beside_and_the_title_says_what_the_row_says():
    figure = weights.picture([item("linear", end=np.diag([3.0, 2.0, 1.0]), start=np.zeros((3, 3)))])
    before, after = figure.axes[2].get_lines()
    assert after.get_ydata().tolist() == pytest.approx([3, 2, 1]) and before.get_ydata().tolist() == [0, 0, 0]
    assert "birkhoff · run abc · rank 6" in figure.axes[0].get_title(loc="left")
    assert "n = 1" in figure.get_suptitle()


def test_six_stitchers_are_two_pages_and_none_is_an_error():
    assert [len(page) for page in weights.pages([item()] * 6).values()] == [3, 3]
    with pytest.raises(UserError, match="no stitcher is saved"):
        weights.pages([])
