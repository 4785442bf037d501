"""Every null says where it comes from: a formula over all orders of the images, or one shifted order."""

import pytest
import torch
from moment_fixtures import normal

from repsim.similarity import positions
from repsim.similarity.known import KNOWN
from repsim.similarity.measures import MEASURES, of
from repsim.similarity.moment_measures import MOMENT_MEASURES
from repsim.similarity.similarity import Similarity, undefined

ONE_ORDER = {
    *("cca", "svcca", "pwcca", "pwcca_reversed", "nbs", "shape", "ortho_procrustes"),
    *("procrustes", "procrustes_squared", "procrustes_half", "procrustes_angular", "procrustes_scaled"),
    *("procrustes_size_and_shape", "permutation_match", "permutation_procrustes", "permutation_procrustes_squared"),
    *("permutation_angular", "correlation_match", "correlation_match_soft", "wreath_procrustes", "wreath_cosine"),
    *("l2", "sign_overlap", "jensen_shannon"),
}
KINDS = dict.fromkeys(KNOWN, "closed form") | dict.fromkeys(ONE_ORDER, "shifted") | {"accuracy_difference": None}
LABELS = torch.arange(40) % 5


@pytest.mark.parametrize("measure", KNOWN)
def test_the_null_of_every_measure_says_of_what_orders_it_is(measure):
    labels = (LABELS,) if KNOWN[measure].family == "outputs" else ()
    found = MEASURES[measure](normal(40, 5, seed=1), normal(40, 5, seed=2), *labels)
    assert found.null_kind == KINDS[measure]
    assert (found.null is None) == (KINDS[measure] is None)
    if measure in MOMENT_MEASURES:
        assert (found.null_kind == "closed form") == (MOMENT_MEASURES[measure].null is not None)


@pytest.mark.parametrize("measure", MOMENT_MEASURES)
def test_rows_of_positions_have_a_shifted_null_whatever_the_measure(measure):
    x, y = normal(30, 3, 2, 2, seed=1), normal(30, 3, 2, 2, seed=2)
    assert of(measure, x, y, "channel").null_kind == "shifted"


@pytest.mark.parametrize("measure", ["wreath_cka", "ortho_cka"])
def test_kernels_over_channels_have_one_number_for_a_pair_of_images_and_a_closed_null(measure):
    assert of(measure, normal(30, 3, 2, 2, seed=1), normal(30, 3, 2, 2, seed=2), "channel").null_kind == "closed form"


def test_the_mean_over_positions_has_the_kind_of_its_pieces_and_is_shifted_where_one_is():
    x, y = normal(30, 3, 2, 2, seed=1), normal(30, 3, 2, 2, seed=2)
    assert of("cka", x, y, "position").null_kind == "closed form"
    assert of("procrustes", x, y, "position").null_kind == "shifted"
    closed, shifted = Similarity(0.5, null=0.25), Similarity(0.5).with_null(0.75, shifted=True)
    mixed = positions.mean([closed, shifted])
    assert (mixed.null, mixed.null_kind) == (0.5, "shifted")


def test_no_null_has_no_kind():
    assert undefined("constant layer (both)").null_kind is None
    assert Similarity(0.5).with_null(None, shifted=True).null_kind is None
    assert positions.mean([Similarity(0.5, null=0.25), Similarity(0.5)]).null_kind is None
