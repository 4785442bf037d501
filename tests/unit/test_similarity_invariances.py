"""What must change each measure and what must not, for all of them, alone and in the pass that computes it for many layers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from moment_fixtures import normal, rotation
from torch import Tensor

from repsim.errors import InputError
from repsim.similarity.known import KNOWN
from repsim.similarity.measures import MEASURES
from repsim.similarity.minibatch import MinibatchPass
from repsim.similarity.moment_pass import MomentPass
from repsim.similarity.outputs import OutputPass
from repsim.similarity.request import Request, Sample, Value
from repsim.similarity.rows import RowPass
from repsim.similarity.similarity import OK, Similarity
from repsim.similarity.tiles import TilePass

IMAGES, WIDTH, NARROW = 40, 6, 4
SAME_WIDTH = ("l2", "sign_overlap", "agreement", "jensen_shannon", "accuracy_difference")
LABELS = torch.randint(0, WIDTH, (IMAGES,), generator=torch.Generator().manual_seed(5))

SCALES = torch.tensor([0.1, 6.0, 0.7, 1.9, 9.0, 0.3], dtype=torch.float64)
MAPS: dict[str, Callable[[Tensor], Tensor]] = {
    "orthogonal": lambda x: x @ rotation(x.shape[1]),
    "permutation": lambda x: x[:, torch.randperm(x.shape[1], generator=torch.Generator().manual_seed(1))],
    "isotropic": lambda x: 3.7 * x,
    "channels": lambda x: x * SCALES[: x.shape[1]],
    "translation": lambda x: x + 4 * normal(x.shape[1], seed=8),
    "invertible": lambda x: x @ normal(x.shape[1], x.shape[1], seed=7),
    "images": lambda x: x * normal(len(x), 1, seed=6).exp(),
}

ROTATIONS = {"orthogonal", "permutation", "isotropic"}
SHAPES = ROTATIONS | {"translation"}
INVERTIBLE = SHAPES | {"channels", "invertible"}
CHANNELS = {"permutation", "isotropic", "channels"}

Case = tuple[str, dict[str, Any], set[str], set[str]]
STREAMED = {"linear": MomentPass, "moments": MomentPass, "minibatch": MinibatchPass, "rows": RowPass}


def case(measure: str, of_x: set[str], of_y: set[str] | None = None, **options: Any) -> Case:
    """A measure, what leaves it as it is when done to x, and when done to y; all other maps must change it."""
    return measure, options, of_x, of_x if of_y is None else of_y


CASES: list[Case] = [
    *(case(name, SHAPES) for name in ("cka", "cka_debiased", "cka_angular", "cka_rbf", "cka_rbf_debiased")),
    case("cka_minibatch", SHAPES, batch=64),
    case("cka_minibatch", SHAPES, batch=16),
    *(case(name, INVERTIBLE) for name in ("cca", "cca_squared")),
    *(case(name, SHAPES, variance=0.8) for name in ("svcca", "svcca_squared")),
    case("pwcca", {"permutation", "isotropic", "translation"}, INVERTIBLE),
    case("pwcca_reversed", INVERTIBLE, {"permutation", "isotropic", "translation"}),
    *(case(name, SHAPES) for name in ("nbs", "procrustes", "procrustes_squared", "procrustes_half", "procrustes_angular")),
    case("procrustes_scaled", SHAPES),
    case("procrustes_size_and_shape", SHAPES - {"isotropic"}),
    case("ortho_procrustes", ROTATIONS),
    case("shape", SHAPES, alpha=1.0),
    case("shape", SHAPES - {"isotropic"}, alpha=0.5),
    case("shape", INVERTIBLE, alpha=0.0),
    *(
        case(name, {"permutation", "isotropic", "translation"})
        for name in ("permutation_match", "permutation_procrustes", "permutation_procrustes_squared", "permutation_angular")
    ),
    *(case(name, CHANNELS | {"translation"}) for name in ("correlation_match", "correlation_match_soft")),
    *(case(name, CHANNELS) for name in ("wreath_procrustes", "wreath_cosine")),
    case("regression", INVERTIBLE, SHAPES),
    case("regression_reversed", SHAPES, INVERTIBLE),
    *(case(name, SHAPES) for name in ("ridge", "ridge_reversed", "gulp")),
    case("ridge", INVERTIBLE, SHAPES, ridge=0.0),
    case("gulp", INVERTIBLE, ridge=0.0),
    *(
        case(name, CHANNELS | {"translation"}, statistic=statistic)
        for name in ("wreath_cka", "wreath_cka_biased")
        for statistic in ("max", "median")
    ),
    case("wreath_cka", CHANNELS, centred=False),
    case("wreath_cka_biased", CHANNELS, centred=False),
    case("ortho_cka", CHANNELS | {"translation"}),
    *(case(name, SHAPES) for name in ("distance_correlation", "distance_correlation_debiased")),
    *(
        case("rsa", unchanged, rdm=rdm, comparison=comparison)
        for rdm, unchanged in (
            ("correlation", {"permutation", "isotropic", "images"}),
            ("cosine", ROTATIONS | {"images"}),
            ("euclidean", SHAPES),
            ("sqeuclidean", SHAPES),
        )
        for comparison in ("pearson", "spearman", "kendall", "cosine")
    ),
    *(case(name, ROTATIONS | {"images"}, metric="cosine", neighbours=5) for name in ("mutual_knn", "jaccard")),
    *(case(name, SHAPES, metric="euclidean", neighbours=5) for name in ("mutual_knn", "jaccard")),
    case("cknna", ROTATIONS | {"images"}, neighbours=5),
    case("l2", set()),
    case("sign_overlap", {"isotropic", "channels", "images"}),
    case("agreement", {"isotropic", "images"}),
    case("jensen_shannon", set()),
    case("accuracy_difference", {"isotropic", "images"}),
]
NAMES = [f"{name} {' '.join(map(str, options.values()))}".strip() for name, options, _, _ in CASES]
every = pytest.mark.parametrize("name,options", [found[:2] for found in CASES], ids=NAMES)
SYMMETRIC = [(name, options) for name, options, of_x, of_y in CASES if not KNOWN[name].one_way]


def layers(name: str, images: int = IMAGES, width: int = WIDTH, narrow: int = NARROW) -> tuple[Tensor, Tensor]:
    """Two layers with means, scales and correlations of their own, partly of the same cause; logits that are often right."""
    x = normal(images, width, seed=1) @ normal(width, width, seed=2) + normal(width, seed=3)
    if name in SAME_WIDTH:
        x = x + 6 * torch.nn.functional.one_hot(LABELS[:images], width)
        return x, x + 3 * normal(images, width, seed=5)
    return x, x @ normal(width, narrow, seed=4) + 4 * normal(images, narrow, seed=5) - normal(narrow, seed=6)


def labels(name: str, images: Tensor | slice) -> tuple[Tensor, ...]:
    """What a measure wants beside two layers."""
    return (LABELS[images],) if name == "accuracy_difference" else ()


def measured(name: str, x: Tensor, y: Tensor, **options: Any) -> Similarity:
    return MEASURES[name](x, y, *labels(name, slice(None)), **options)


def number(name: str, x: Tensor, y: Tensor, **options: Any) -> float:
    found = measured(name, x, y, **options)
    assert found.value is not None, found.status
    return found.value


def passed(name: str, x: Tensor, y: Tensor, block: int, **options: Any) -> Similarity:
    """The same number from the pass that computes it for many layers."""
    request = Request(name, Value("x"), Value("y"), KNOWN[name].view, options=tuple(sorted(options.items())))
    sample, fronts, ends = Sample(len(x)), x.split(block), y.split(block)
    if KNOWN[name].family == "pairs":
        tiles = TilePass([request], sample, block)
        tiles.run(lambda index: ({request.front: fronts[index]}, {request.end: ends[index]}))
        return tiles.results()[request]
    if KNOWN[name].family == "outputs":
        outputs = OutputPass([request], sample)
        for batch in zip(fronts, ends, LABELS.split(block), strict=True):
            outputs.add(*batch)
        return outputs.results()[request]
    gathering = STREAMED[KNOWN[name].family]([request], sample)
    for one, other in zip(fronts, ends, strict=True):
        gathering.add({request.front: one}, {request.end: other})
    return gathering.results()[request]


def sound(name: str, found: Similarity) -> bool:
    """A number within the range of the measure, or none and why."""
    if found.value is None:
        return found.status != OK and found.null is None
    known, slack = KNOWN[name], 1e-9
    return known.low - slack <= found.value <= known.high + slack


def test_every_measure_is_in_the_table():
    assert {name for name, *_ in CASES} == set(MEASURES) == set(KNOWN)


@pytest.mark.parametrize("side", ["x", "y"])
@pytest.mark.parametrize("name,options,of_x,of_y", CASES, ids=NAMES)
def test_what_must_not_change_a_measure_does_not_and_everything_else_does(name, options, of_x, of_y, side):
    x, y = layers(name)
    before = number(name, x, y, **options)
    unchanged = set()
    for made, change in MAPS.items():
        after = number(name, change(x), y, **options) if side == "x" else number(name, x, change(y), **options)
        if after == pytest.approx(before, abs=1e-8):
            unchanged.add(made)
        else:
            assert abs(after - before) > 1e-4, made
    assert unchanged == (of_x if side == "x" else of_y)


@every
def test_a_layer_and_itself_are_the_same(name, options):
    x, _ = layers(name)
    found = number(name, x, x, **options)
    if name.startswith("ridge") and options.get("ridge") != 0:
        assert 0.9 < found < 1  # shrinkage
    else:
        assert found == pytest.approx(1 if KNOWN[name].scale == "similarity" else 0, abs=2e-6)  # roots of roundings


@pytest.mark.parametrize("name,options", SYMMETRIC)
def test_a_measure_that_is_not_one_way_is_symmetric(name, options):
    x, y = layers(name)
    assert number(name, x, y, **options) == pytest.approx(number(name, y, x, **options), rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("name", ["pwcca", "regression", "ridge"])
def test_a_one_way_measure_differs_from_its_reverse_which_swaps_the_layers(name):
    x, y = layers(name)
    there, back = number(name, x, y), number(f"{name}_reversed", x, y)
    assert back == pytest.approx(number(name, y, x), rel=1e-12)
    assert abs(there - back) > 1e-4
    assert KNOWN[name].one_way and KNOWN[f"{name}_reversed"].one_way


@pytest.mark.parametrize("name,options", [found[:2] for found in CASES if found[1].get("batch") != 16])
def test_the_order_of_the_images_says_nothing_but_which_are_a_minibatch(name, options):
    x, y = layers(name)
    order = torch.randperm(IMAGES, generator=torch.Generator().manual_seed(0))
    again = MEASURES[name](x[order], y[order], *labels(name, order), **options).value
    assert again == pytest.approx(number(name, x, y, **options), rel=1e-10, abs=1e-12)


@every
def test_images_in_another_order_on_one_side_give_about_the_null(name, options):
    if name == "accuracy_difference":
        return
    x, y = layers(name)
    found = measured(name, x, y, **options)
    orders = [torch.randperm(IMAGES, generator=torch.Generator().manual_seed(seed)) for seed in range(12)]
    chance = np.array([number(name, x, y[order], **options) for order in orders])
    assert abs(chance.mean() - found.null) < 4 * chance.std()
    assert abs(found.value - found.null) > 4 * chance.std()


@every
def test_the_pass_over_many_layers_gives_the_same_number_and_null(name, options):
    x, y = layers(name)
    alone = measured(name, x, y, **options)
    together = passed(name, x, y, 13, **options)
    assert together.status == alone.status
    assert together.value == pytest.approx(alone.value, rel=1e-10, abs=1e-12)
    assert together.null == alone.null or together.null == pytest.approx(alone.null, rel=1e-9, abs=1e-11)


@every
def test_single_precision_with_a_mean_of_a_hundred_stays_right(name, options):
    x, y = ((side + 100).float() for side in layers(name))
    exact = number(name, x.double(), y.double(), **options)
    for found in (measured(name, x, y, **options), passed(name, x, y, 13, **options)):
        assert found.value == pytest.approx(exact, rel=1e-4, abs=1e-4)


@every
def test_more_channels_than_images_give_a_number_in_range_or_a_reason(name, options):
    x, y = layers(name, images=IMAGES, width=70, narrow=50)
    for found in (measured(name, x, y, **options), passed(name, x, y, 13, **options)):
        assert sound(name, found)


@every
def test_a_dead_channel_gives_a_number_in_range(name, options):
    x, y = layers(name)
    x[:, 2] = 0
    for found in (measured(name, x, y, **options), passed(name, x, y, 13, **options)):
        assert found.value is not None
        assert sound(name, found)


@every
def test_an_image_of_equal_numbers_gives_a_number_in_range(name, options):
    for constant in (0.0, 0.1):
        x, y = layers(name)
        x[7] = constant
        for found in (measured(name, x, y, **options), passed(name, x, y, 13, **options)):
            assert found.value is not None
            assert sound(name, found)


@every
def test_a_constant_layer_is_undefined_and_says_so(name, options):
    if KNOWN[name].family in ("rows", "outputs"):
        return
    _, y = layers(name)
    for constant in (torch.full((IMAGES, WIDTH), 0.1), torch.zeros(IMAGES, WIDTH)):
        for found in (measured(name, constant.double(), y, **options), passed(name, constant, y.float(), 13, **options)):
            uncentred = name in ("ortho_procrustes", "wreath_procrustes", "wreath_cosine") or options.get("centred") is False
            assert sound(name, found)
            assert found.value is None or (uncentred and bool(constant.any())), found


@every
@pytest.mark.parametrize("images", [1, 2, 3, 4, 5])
def test_few_images_give_a_number_in_range_or_a_reason(name, options, images):
    x, y = (side[:images] for side in layers(name))
    assert sound(name, MEASURES[name](x, y, *labels(name, slice(images)), **options))


@every
def test_what_is_no_pair_of_layers_is_refused(name, options):
    x, y = layers(name)
    wrong = [(x.int(), y), (x, y > 0), (x.to(torch.complex64), y), (x[:-1], y), (x, y / 0), (x * torch.nan, y), (x[:, 0], y)]
    for one, other in wrong:
        with pytest.raises(InputError):
            measured(name, one, other, **options)
    with pytest.raises(InputError, match="ndarray is no tensor"):
        measured(name, x.numpy(), y, **options)  # pyright: ignore[reportArgumentType] (that is the point)
