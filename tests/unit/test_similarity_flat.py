"""A layer that rounding alone moves is constant for every measure that needs variance, as a function and in its pass."""

from typing import Any

import pytest
import torch
from torch import Tensor

from repsim.similarity.known import KNOWN
from repsim.similarity.measures import of
from repsim.similarity.minibatch import MinibatchPass
from repsim.similarity.moment_pass import MomentPass
from repsim.similarity.request import Request, Sample, Value
from repsim.similarity.similarity import Similarity
from repsim.similarity.tiles import TilePass

IMAGES, BLOCK = 40, 16
NOT_CENTRED = ("ortho_procrustes", "wreath_procrustes", "wreath_cosine")  # a constant layer is as good as any other to them
FAMILIES = ("linear", "moments", "minibatch", "pairs")
CENTRED = [name for name, known in KNOWN.items() if known.family in FAMILIES and name not in NOT_CENTRED]
STREAMED = {"linear": [MomentPass], "moments": [MomentPass], "minibatch": [MinibatchPass], "pairs": []}
DEBIASED = ("cka_debiased", "cka_rbf_debiased", "wreath_cka", "ortho_cka", "distance_correlation_debiased")


def normal(*shape: int, seed: int = 0) -> Tensor:
    """fp32, as networks answer."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def outlier(rounding: float) -> Tensor:
    """All images but the last are equal, up to `rounding`."""
    rest = torch.full((IMAGES - 1, 6), 0.5) * (1 + rounding * normal(IMAGES - 1, 6))
    return torch.cat((rest, torch.full((1, 6), 2.0)))


FLAT = {
    "equal images": torch.full((IMAGES, 6), 0.1),
    "noise far below the rounding": 1e-3 + 1e-10 * normal(IMAGES, 6),
    "a bit or two": 1 + 1e-7 * normal(IMAGES, 6),
    "a bit or two about other values": normal(1, 6, seed=3) + 1e-7 * normal(IMAGES, 6),
    "one image a bit off": torch.ones(IMAGES, 6).index_fill(0, torch.tensor([7]), 1 + 2.0**-23),
    "ten bits": 1 + 1e-6 * normal(IMAGES, 6),
}


def options(measure: str) -> dict[str, Any]:
    return {"neighbours": 5} if "neighbours" in KNOWN[measure].options else {}


def passed(measure: str, x: Tensor, y: Tensor) -> list[Similarity]:
    """What each pass that can compute a measure makes of it."""
    asked = Request(measure, Value("x"), Value("y"), KNOWN[measure].view, None, tuple(options(measure).items()))
    family, found = KNOWN[measure].family, []
    for gathers in STREAMED[family]:
        one = gathers([asked], Sample(IMAGES))
        one.add({asked.front: x}, {asked.end: y})
        found.append(one.results()[asked])
    if family in ("linear", "pairs"):
        tiles = TilePass([asked], Sample(IMAGES), BLOCK)
        tiles.run(lambda i: tuple({Value(k): v.split(BLOCK)[i]} for k, v in (("x", x), ("y", y))))  # pyright: ignore
        found.append(tiles.results()[asked])
    return found


@pytest.mark.parametrize("measure", CENTRED)
def test_a_layer_that_only_rounding_moves_is_constant_to_every_measure(measure):
    y = normal(IMAGES, 6, seed=5)
    for case, x in FLAT.items():
        for front, end, side in ((x, y, "front"), (y, x, "end"), (x, x, "both")):
            found = [of(measure, front, end, KNOWN[measure].view, **options(measure)), *passed(measure, front, end)]
            assert {(one.value, one.status) for one in found} == {(None, f"constant layer ({side})")}, case


@pytest.mark.parametrize("measure", CENTRED)
def test_a_layer_that_moves_by_more_than_rounding_has_a_number(measure):
    x, y = 1 + 1e-4 * normal(IMAGES, 6), normal(IMAGES, 6, seed=5)
    for found in (of(measure, x, y, KNOWN[measure].view, **options(measure)), *passed(measure, x, y)):
        assert found.value is not None and found.status == "ok"


@pytest.mark.parametrize("measure", CENTRED)
def test_many_units_that_each_move_by_more_than_their_rounding_are_not_taken_for_rounding(measure):
    """Numbers are rounded each by itself, so that what rounding moves does not grow with the width as what they hold does."""
    x, y = 1e3 + 1e-2 * normal(IMAGES, 20), normal(IMAGES, 6, seed=5)
    for found in (of(measure, x, y, KNOWN[measure].view, **options(measure)), *passed(measure, x, y)):
        assert found.value is not None and found.status == "ok"


def test_numbers_of_double_precision_are_judged_by_theirs():
    x, y = 1 + 1e-8 * normal(IMAGES, 6).double(), normal(IMAGES, 6, seed=5).double()
    for measure in ("cka", "cka_debiased", "ortho_cka", "cka_rbf", "distance_correlation", "mutual_knn", "cca"):
        assert of(measure, x, y, "flatten", **options(measure)).value is not None


@pytest.mark.parametrize("rounding", [0.0, 6e-8])
@pytest.mark.parametrize("measure", DEBIASED)
def test_a_layer_of_equal_images_and_one_outlier_is_undefined_where_no_image_meets_itself(measure, rounding):
    """Every pair of distinct images but those of the outlier is one and the same: nothing is left to be compared."""
    x, y = outlier(rounding), normal(IMAGES, 6, seed=5)
    for front, end, side in ((x, y, "front"), (y, x, "end"), (x, x, "both")):
        found = [of(measure, front, end, KNOWN[measure].view), *passed(measure, front, end)]
        assert {(one.value, one.status) for one in found} == {(None, f"all images are equally alike ({side})")}


@pytest.mark.parametrize("rounding", [0.0, 6e-8])
def test_minibatch_cka_of_equal_images_and_one_outlier_is_undefined(rounding):
    x, y = outlier(rounding), normal(IMAGES, 6, seed=5)
    for found in (
        of("cka_minibatch", x, y, "flatten"),
        of("cka_minibatch", x, y, "flatten", batch=BLOCK),
        *passed("cka_minibatch", x, y),
    ):
        assert (found.value, found.status) == (None, "the images of every batch are equally alike")
