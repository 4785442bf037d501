"""Measures of neighbours against scikit-learn and dcor, their nulls against all orders of the images, ties, and blocks."""

import warnings

import numpy as np
import pytest
import torch
from moment_fixtures import fixture_a, fixture_b, normal, related, shuffles
from similarity_tiles import asked, gathered
from sklearn.neighbors import NearestNeighbors

from repsim.errors import InputError
from repsim.similarity.bootstrap import weights
from repsim.similarity.nearest import Nearest
from repsim.similarity.neighbours import cknna, jaccard, mutual_knn
from repsim.similarity.request import Sample
from repsim.similarity.similarity import Similarity

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import dcor

MEASURES = {"mutual_knn": mutual_knn, "jaccard": jaccard, "cknna": cknna}
METRICS = ("cosine", "euclidean")


def sets(x: torch.Tensor, k: int, metric: str) -> list[set[int]]:
    """The neighbours of each image by scikit-learn, which knows that an image of the fit is no neighbour of itself."""
    found = NearestNeighbors(n_neighbors=k, metric=metric, algorithm="brute").fit(x.numpy()).kneighbors(return_distance=False)
    return [set(row) for row in found.tolist()]


def cosines(x: torch.Tensor) -> torch.Tensor:
    unit = x / x.norm(dim=1, keepdim=True)
    return unit @ unit.mT


def centred(k: torch.Tensor) -> torch.Tensor:
    n = len(k)
    k = k.clone().fill_diagonal_(0)
    rows = k.sum(1) / (n - 2)
    return (k - rows[:, None] - rows[None] + k.sum() / ((n - 1) * (n - 2))).fill_diagonal_(0)


def by_definition(x: torch.Tensor, y: torch.Tensor, k: int) -> float:
    """CKNNA from whole matrices."""
    u, v = centred(cosines(x)), centred(cosines(y))
    near = [torch.zeros_like(u) for _ in (x, y)]
    for mask, side in zip(near, (x, y), strict=True):
        for image, found in enumerate(sets(side, k, "cosine")):
            mask[image, list(found)] = 1
    return float((near[0] * near[1] * u * v).sum() / ((near[0] * u**2).sum() * (near[1] * v**2).sum()).sqrt())


def value(found: Similarity) -> float:
    assert found.value is not None
    return found.value


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("k", [1, 4, 10])
def test_the_shared_neighbours_are_scikit_learns(k, metric):
    for x, y in (fixture_a(), fixture_b(), related(n=70, p=6, q=3)):
        pairs = list(zip(sets(x, k, metric), sets(y, k, metric), strict=True))
        overlaps = [(len(a & b) / k, len(a & b) / len(a | b)) for a, b in pairs]
        expected = np.mean(overlaps, 0)
        assert value(mutual_knn(x, y, neighbours=k, metric=metric)) == pytest.approx(expected[0])
        assert value(jaccard(x, y, neighbours=k, metric=metric)) == pytest.approx(expected[1])


@pytest.mark.parametrize("k", [1, 4, 10, 98])
def test_cknna_is_its_formula_on_whole_matrices(k):
    x, y = fixture_a()
    assert value(cknna(x, y, neighbours=k)) == pytest.approx(by_definition(x, y, k), abs=1e-12)


def test_cknna_of_all_neighbours_is_the_debiased_cka_of_unit_rows():
    for x, y in (fixture_a(), fixture_b()):
        one, other = ((side / side.norm(dim=1, keepdim=True)).numpy() for side in (x, y))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = dcor.u_distance_correlation_sqr(one, other, exponent=2)
        assert value(cknna(x, y, neighbours=len(x) - 1)) == pytest.approx(float(expected), abs=1e-12)


@pytest.mark.parametrize("name", MEASURES)
def test_the_null_is_the_mean_over_all_orders_of_the_images(name):
    x, y = related(n=5, p=4, q=3)
    values = [value(MEASURES[name](x, other, neighbours=2)) for other in shuffles(y)]
    assert np.mean(values) == pytest.approx(MEASURES[name](x, y, neighbours=2).null, abs=1e-12)


def test_blocks_of_any_size_give_the_same_numbers_for_all_pairs_of_layers():
    fronts = {"a": normal(50, 6, seed=1), "b": normal(50, 9, seed=2)}
    ends = {"c": fronts["a"] + normal(50, 6, seed=3), "d": fronts["b"] ** 3}
    requests = [asked(name, x, y, neighbours=k) for name in MEASURES for k in (3, 12) for x in fronts for y in ends]
    requests += [asked(name, x, y, metric="euclidean") for name in ("mutual_knn", "jaccard") for x in fronts for y in ends]
    found = gathered(requests, fronts, ends, 13)
    for request in requests:
        alone = MEASURES[request.measure](fronts[request.front.layer], ends[request.end.layer], **request.chosen)
        assert found[request].value == pytest.approx(alone.value, rel=1e-12, abs=1e-13)
        assert found[request].null == pytest.approx(alone.null, rel=1e-12, abs=1e-13)


def test_of_equally_near_images_those_that_come_first_are_the_neighbours():
    grid = torch.cartesian_prod(torch.arange(4.0), torch.arange(4.0)).double()
    distance = (grid[:, None] - grid[None]).square().sum(2).fill_diagonal_(torch.inf)
    expected = [set(row.argsort(stable=True)[:6].tolist()) for row in distance]
    y = normal(16, 3)
    shared = np.mean([len(a & b) / 6 for a, b in zip(expected, sets(y, 6, "euclidean"), strict=True)])
    request = asked("mutual_knn", neighbours=6, metric="euclidean")
    for layer in (grid, grid + 0.1, (grid / 4 - 3.3).flip(1)):
        for block in (16, 5, 3):
            assert gathered([request], {"x": layer}, {"y": y}, block)[request].value == pytest.approx(shared)


def test_the_order_in_which_distances_come_does_not_matter():
    distance = torch.randint(0, 6, (9, 40), generator=torch.Generator().manual_seed(0)).double()
    whole, parts = Nearest(9, 7, distance), Nearest(9, 7, distance)
    whole.offer(0, 0, distance)
    for start in (30, 0, 20, 10):
        parts.offer(0, start, distance[:, start : start + 10])
    assert torch.equal(whole.sorted()[0], parts.sorted()[0])
    assert whole.sorted()[0].tolist() == [sorted(row.argsort(stable=True)[:7].tolist()) for row in distance]


@pytest.mark.parametrize("name", MEASURES)
def test_single_precision_with_a_mean_of_a_hundred_finds_the_same_neighbours(name):
    x = normal(80, 20, seed=1)
    far = ((x + 100).float(), (x + normal(80, 20, seed=2) + 100).float())
    request = asked(name, neighbours=5)
    assert gathered([request], {"x": far[0]}, {"y": far[1]}, 30)[request].value == pytest.approx(
        value(MEASURES[name](*far, neighbours=5)), abs=1e-4
    )


@pytest.mark.parametrize("name", MEASURES)
def test_the_interval_draws_images_with_their_neighbours_among_all(name):
    x, y = related(n=40, p=5, q=4)
    sample = Sample(images=40, groups=9, draws=60, seed=2)
    found = gathered([request := asked(name, neighbours=4)], {"x": x}, {"y": y}, 17, sample)[request]
    count = weights(sample)[:, [sample.group(index) for index in range(40)]]
    near = [torch.zeros(40, 40, dtype=torch.float64) for _ in (x, y)]
    for mask, side in zip(near, (x, y), strict=True):
        for image, neighbours in enumerate(sets(side, 4, "cosine")):
            mask[image, list(neighbours)] = 1
    shared = (near[0] * near[1]).sum(1)
    if name == "cknna":
        u, v = centred(cosines(x)), centred(cosines(y))
        sums = [count @ part.sum(1) for part in (near[0] * near[1] * u * v, near[0] * u**2, near[1] * v**2)]
        values = sums[0] / (sums[1] * sums[2]).sqrt()
    else:
        values = count @ (shared / 4 if name == "mutual_knn" else shared / (8 - shared)) / count.sum(1)
    moved = np.quantile(values.numpy(), [0.025, 0.975]) - values.numpy().mean() + found.value
    assert [found.low, found.high] == pytest.approx(moved.tolist(), abs=1e-12)


def test_an_image_of_zeros_is_at_cosine_0_of_every_other_and_counted():
    x, y = normal(30, 4, seed=1), normal(30, 4, seed=2)
    x[[2, 11]] = 0
    found = mutual_knn(x, y, neighbours=29 - 5)
    pairs = list(zip(sets(x, 24, "cosine"), sets(y, 24, "cosine"), strict=True))
    moving = [image for image in range(30) if image not in (2, 11)]  # to an image of zeros all others are equally near
    assert found.details == {"still_images_front": 2.0}
    tied = {2: set(range(25)) - {2}, 11: set(range(25)) - {11}}
    shared = [len(pairs[i][0] & pairs[i][1]) for i in moving] + [len(tied[i] & pairs[i][1]) for i in tied]
    assert value(found) == pytest.approx(sum(shared) / (30 * 24))


@pytest.mark.parametrize("name", MEASURES)
def test_too_few_images_are_undefined(name):
    for images, k in ((10, 10), (10, 40), (1, 1)):
        found = MEASURES[name](normal(images, 4), normal(images, 3, seed=1), neighbours=k)
        assert (found.value, found.null) == (None, None)
        assert found.status == f"{images} images are too few for {k} neighbours"
    assert MEASURES[name](normal(10, 4), normal(10, 3, seed=1), neighbours=9).value is not None


def test_cknna_of_three_images_is_undefined():
    assert cknna(normal(3, 4), normal(3, 4, seed=1), neighbours=1).status == "3 images are too few for 1 neighbours"


@pytest.mark.parametrize("name", MEASURES)
def test_images_that_are_all_equally_far_apart_have_no_nearest(name):
    y = normal(12, 4)
    for x in (torch.eye(12), torch.outer(torch.arange(1, 13), y[0])):
        found = MEASURES[name](y, x.double(), neighbours=3)
        assert (found.value, found.status) == (None, "all images are equally far apart (end)")
    assert mutual_knn(y * 0 + 0.1, y * 0, metric="euclidean").status == "constant layer (both)"


@pytest.mark.parametrize("neighbours", [0, -1, 2.5, True, "ten"])
def test_a_number_of_neighbours_that_means_nothing_is_refused(neighbours):
    with pytest.raises(InputError, match="neighbours"):
        mutual_knn(normal(12, 3), normal(12, 3, seed=1), neighbours=neighbours)


def test_an_unknown_metric_is_refused_with_what_there_is():
    with pytest.raises(InputError, match="euclidean"):
        jaccard(normal(12, 3), normal(12, 3, seed=1), metric="euclid")
