"""So few images, or so many neighbours, that a number follows from them alone: the status says so."""

from typing import Any

import pytest
import torch
from moment_fixtures import normal

from repsim.data import sources
from repsim.errors import InputError
from repsim.similarity import rules
from repsim.similarity.known import KNOWN
from repsim.similarity.measures import MEASURES, of
from repsim.similarity.moment_pass import MomentPass
from repsim.similarity.request import Request, Sample, Value
from repsim.similarity.similarity import TWO

FREE = {
    *("procrustes_size_and_shape", "ortho_procrustes", "wreath_procrustes", "wreath_cosine"),
    *("permutation_match", "permutation_procrustes", "permutation_procrustes_squared", "permutation_angular"),
    *("l2", "sign_overlap", "agreement", "jensen_shannon", "accuracy_difference"),
}
"""What two images do not decide: sizes, single values, and what is not centred."""


def found(measure: str, images: int, seed: int = 0):
    known = KNOWN[measure]
    labels = (torch.arange(images),) if known.family == "outputs" else ()
    options = {"neighbours": 1} if "neighbours" in known.options else {}
    x, y = normal(images, 5, seed=seed + 1), normal(images, 5, seed=seed + 2)
    return MEASURES[measure](x, y, *labels, **options)


@pytest.mark.parametrize("measure", KNOWN)
def test_two_images_give_a_status_wherever_they_decide_the_number(measure):
    one, other = found(measure, 2), found(measure, 2, seed=10)
    if measure in FREE:
        assert one.status == other.status == "ok"
        return
    assert one.status == other.status != "ok"
    if measure in ("correlation_match", "correlation_match_soft", "wreath_cka_biased"):
        assert abs(abs(one.value) - 1) < 1e-9 or measure == "correlation_match"  # a mean of correlations of ±1
    elif one.value is not None:
        assert one.value == pytest.approx(other.value, abs=1e-6)


@pytest.mark.parametrize("measure", KNOWN)
def test_three_images_give_a_number_that_they_do_not_decide_or_a_reason(measure):
    one, other = found(measure, 3), found(measure, 3, seed=10)
    free = measure in ("agreement", "accuracy_difference", "rsa", "mutual_knn", "jaccard", "sign_overlap")  # of few possible values
    assert one.status != "ok" or free or abs(one.value - other.value) > 1e-6


@pytest.mark.parametrize("view", ["position", "channel"])
def test_two_maps_decide_what_has_one_row_of_each_and_nothing_else(view):
    x, y = normal(2, 3, 2, 2, seed=1), normal(2, 3, 2, 2, seed=2)
    assert of("procrustes", x, y, view).status == (f"at 4 of 4 positions: {TWO}" if view == "position" else "ok")


def test_the_pass_says_the_same_of_two_images():
    asked = Request("procrustes", Value("x"), Value("y"), "flatten")
    run = MomentPass([asked], Sample(2))
    run.add({asked.front: normal(2, 5, seed=1)}, {asked.end: normal(2, 5, seed=2)})
    assert run.results()[asked].status == TWO


@pytest.mark.parametrize("measure", ["mutual_knn", "jaccard"])
def test_where_every_other_image_is_a_neighbour_all_agree_by_construction(measure):
    x, y = normal(8, 5, seed=1), normal(8, 5, seed=2)
    all_near, most = (MEASURES[measure](x, y, neighbours=k) for k in (7, 6))
    assert (all_near.value, all_near.status) == (
        1.0,
        "neighbours = n − 1: every other image is one, and the value 1 by construction",
    )
    assert most.value < 1 and most.status == "ok"


class Asked:
    """The fields of a comparison that `check_images` reads."""

    split, comparison, neighbours, batch = "test", "spearman", 10, 256

    def __init__(self, measure: str, **fields: Any):
        self.measure, self.images = measure, None
        self.__dict__.update(fields)


@pytest.mark.parametrize("measure", ["mutual_knn", "jaccard", "cknna"])
def test_as_many_neighbours_as_images_are_refused_before_anything_runs(measure):
    digits = sources.get("digits")
    rules.check_images(Asked(measure, images=11), digits)
    with pytest.raises(InputError, match="10 neighbours are wanted of 10 images") as said:
        rules.check_images(Asked(measure, images=10), digits)
    assert (said.value.where, said.value.do) == ("neighbours", "ask for 9 at most, or for more images")
    with pytest.raises(InputError, match=f"of {digits.test_images} images"):
        rules.check_images(Asked(measure, neighbours=digits.test_images), digits)


def test_a_batch_of_more_than_all_images_is_refused_before_anything_runs():
    digits = sources.get("digits")
    rules.check_images(Asked("cka_minibatch", images=256), digits)
    rules.check_images(Asked("cka", images=100), digits)
    with pytest.raises(InputError, match="a batch of 256 images is wanted of 255") as said:
        rules.check_images(Asked("cka_minibatch", images=255), digits)
    assert (said.value.where, said.value.do) == ("batch", "say batch: 255 or less, or take cka_debiased")


@pytest.mark.parametrize("measure", KNOWN)
def test_an_option_that_a_measure_has_not_is_named_with_the_nearest_one(measure):
    x, y = normal(9, 4, seed=1), normal(9, 4, seed=2)
    options = KNOWN[measure].options
    wrong = options[0][:-1] if options else "bandwidth"
    calls = [lambda: MEASURES[measure](x, y, **{wrong: 1})]
    if KNOWN[measure].family != "outputs":
        calls.append(lambda: of(measure, x, y, KNOWN[measure].view, **{wrong: 1}))
    for call in calls:
        with pytest.raises(InputError, match=f"{measure} has no option '{wrong}'") as said:
            call()
        assert said.value.where == wrong
        assert said.value.do == (f"did you mean '{options[0]}'?" if options else "leave it out")


def test_a_measure_that_there_is_not_is_refused_by_of_too():
    with pytest.raises(InputError, match="there is no measure 'ckaa'"):
        of("ckaa", normal(9, 4), normal(9, 4), "flatten")
