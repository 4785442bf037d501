"""The methods text of a report says of every kind of sweep what a reader needs to repeat it, from configurations and rows."""

from typing import get_args

import pandas as pd
import pytest

from repsim.report.page import citations, comparewords, controlwords, methods, saying
from repsim.similarity import convention
from repsim.similarity.known import KNOWN
from repsim.similarity.known import View as Views
from repsim.similarity.request import Request, Value
from repsim.stitching.config_fields import Control


def key(measure, images=2000, view=None, align=None, options=()):
    asked = Request(measure, Value("bn1"), Value("bn1"), view or KNOWN[measure].view, align, options)
    return convention.key(asked, images, "0123456789abcdef")


def said_of(measures, keys) -> str:
    return citations.in_words(" ".join(comparewords.told(measures, keys)))


def test_every_measure_has_a_name_and_every_view_and_control_its_words():
    assert comparewords.NAMES.keys() == KNOWN.keys()
    assert comparewords.VIEWS.keys() == set(get_args(Views))
    assert controlwords.CONTROLS.keys() == set(get_args(Control))
    assert {key for name in KNOWN for key in citations.of_measure(name)} <= citations.entries().keys()


@pytest.mark.parametrize("measure", KNOWN)
def test_the_convention_of_every_measure_is_told_without_its_images(measure):
    said = said_of([measure], [key(measure)])
    assert f"{measure} is {comparewords.NAMES[measure]}" in said and convention.ESTIMATORS[measure] in said
    assert "0123456789abcdef" not in said and "Conventions differ" not in said
    assert all(ord(letter) < 0x250 or letter in "–’" for letter in methods.latex(said).replace("–", "--"))
    assert ("Arithmetic: fp32 products, fp64 sums." in said) == (KNOWN[measure].family != "outputs")


def test_what_sets_conventions_of_one_measure_apart_is_said():
    keys = [key("cka_rbf", options=(("bandwidth", width),)) for width in (0.2, 0.4)]
    said = said_of(["cka_rbf"], keys)
    assert "(Kornblith et al. 2019)" in said and "; bandwidth 0.2 and 0.4; view flatten." in said
    assert "Conventions differ (cka_rbf in bandwidth); only numbers of equal conventions are comparable." in said
    assert "(cka in view)" in said_of(["cka"], [key("cka"), key("cka", view="channel")])
    assert "(cka in number of images)" in said_of(["cka"], [key("cka"), key("cka", images=100)])


def test_equal_grids_need_no_alignment_so_that_makes_no_other_convention():
    said = said_of(["cca"], [key("cca"), key("cca", align="pool")])
    assert "differ" not in said and "brought to the smaller one by pool" in said
    assert "Views: channel, one row per image and position, one column per channel." in said


def test_measures_without_rows_say_that_their_convention_is_not_told_yet():
    assert said_of(["cka"], []) == "cka is linear CKA (Kornblith et al. 2019): its convention is told by finished rows."


def test_images_nulls_intervals_and_controls_of_comparisons_are_said():
    config = {"split": "test", "images": 2000, "image_seed": 3, "bootstrap": 1000, "control_seed": 0}
    configs = [config | {"control": None}, config | {"control": "untrained"}]
    assert comparewords.images(configs, "CIFAR-10", [2000]) == (
        "Data: CIFAR-10; 2,000 images of the test split, drawn by seed 3, the same for both networks."
    )
    null, interval = comparewords.chances(configs, ["closed form"])
    assert "the mean of the measure over all orders" in null and "1,000 draws" in interval
    (said,) = controlwords.controls(configs)
    assert "untrained, f's architecture with weights drawn anew and never trained [@bansal2021] (seed 0)" in said
    assert not list(controlwords.controls(configs[:1]))


def test_half_goes_up_as_people_round():
    assert [saying.half_up(one) for one in (0.7825, 0.7667, 0.0005, 0.99949)] == ["0.783", "0.767", "0.001", "0.999"]


def test_values_of_a_column_that_is_not_stored_are_none():
    assert methods._values(pd.DataFrame(), "convention") == []
    assert methods._values(pd.DataFrame({"null_kind": ["shifted", None, "shifted"]}), "null_kind") == ["shifted"]
