"""RSA against SciPy and rsatoolbox, its nulls against all orders of the images, and its pass over blocks."""

import itertools
import warnings

import numpy as np
import pytest
import torch
from moment_fixtures import fixture_a, fixture_b, normal, related, shuffles
from scipy.spatial.distance import pdist
from scipy.stats import kendalltau, pearsonr, rankdata, spearmanr
from similarity_tiles import asked, gathered

from repsim.errors import InputError
from repsim.similarity import footprint, ranks
from repsim.similarity.bootstrap import weights
from repsim.similarity.ranks import doubled_ranks
from repsim.similarity.request import Sample
from repsim.similarity.rsa import rsa

KINDS = ("correlation", "euclidean", "sqeuclidean", "cosine")
COMPARISONS = ("pearson", "spearman", "kendall", "cosine")
EVERY = [{"rdm": kind, "comparison": how} for kind in KINDS for how in COMPARISONS]


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return a @ b / np.sqrt((a @ a) * (b @ b))


ORACLES = {
    "pearson": lambda a, b: pearsonr(a, b).statistic,
    "spearman": lambda a, b: spearmanr(a, b).statistic,
    "kendall": lambda a, b: kendalltau(a, b).statistic,
    "cosine": cosine,
}


def by_scipy(x: torch.Tensor, y: torch.Tensor, rdm: str, comparison: str) -> float:
    return ORACLES[comparison](pdist(x.numpy(), rdm), pdist(y.numpy(), rdm))


def test_the_published_values_of_fixture_a():
    x, y = fixture_a()
    assert rsa(x, y).value == pytest.approx(0.4724396738, abs=1e-10)
    assert rsa(x, y, rdm="sqeuclidean", comparison="pearson").value == pytest.approx(0.5062321116, abs=1e-10)


@pytest.mark.parametrize("options", EVERY)
def test_every_kind_and_comparison_is_scipys(options):
    for x, y in (related(n=40, p=7, q=5), fixture_b()):
        assert rsa(x, y, **options).value == pytest.approx(by_scipy(x, y, **options), abs=1e-12)


def test_rsatoolbox_says_the_same():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        toolbox = pytest.importorskip("rsatoolbox")
    x, y = fixture_a()
    kinds = {"correlation": "correlation", "euclidean": "sqeuclidean"}  # its euclidean is the square, over the number of values
    comparisons = {"corr": "pearson", "spearman": "spearman", "tau-b": "kendall", "cosine": "cosine"}
    for theirs, ours in kinds.items():
        one, other = (toolbox.rdm.calc_rdm(toolbox.data.Dataset(side.numpy()), method=theirs) for side in (x, y))
        for compared, comparison in comparisons.items():
            expected = float(np.squeeze(toolbox.rdm.compare(one, other, method=compared)))
            assert rsa(x, y, rdm=ours, comparison=comparison).value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("comparison", COMPARISONS)
def test_the_null_is_the_mean_over_all_orders_of_the_images(comparison):
    x, y = related(n=5, p=4, q=3)
    values = [rsa(x, other, comparison=comparison).value for other in shuffles(y)]
    assert np.mean(values) == pytest.approx(rsa(x, y, comparison=comparison).null, abs=1e-12)


def test_blocks_of_any_size_give_the_same_numbers_for_all_pairs_of_layers():
    fronts = {"a": normal(50, 6, seed=1), "b": normal(50, 2, seed=2)}
    ends = {"c": fronts["a"] + normal(50, 6, seed=3), "d": fronts["b"] ** 3}
    requests = [asked("rsa", x, y, **options) for x in fronts for y in ends for options in EVERY]
    whole, split = (gathered(requests, fronts, ends, block) for block in (50, 13))
    for request in requests:
        alone = rsa(fronts[request.front.layer], ends[request.end.layer], **request.chosen)
        assert whole[request].value == pytest.approx(alone.value, rel=1e-12, abs=1e-13)
        assert split[request].value == pytest.approx(alone.value, rel=1e-12, abs=1e-13)


def test_ranks_in_a_scratch_file_are_those_in_memory(monkeypatch):
    x, y = related(n=30)
    expected = [rsa(x, y, comparison=how).value for how in ("spearman", "kendall")]
    mapped = []
    real = np.memmap
    monkeypatch.setattr(footprint, "RANKED_ROOM", 0)
    monkeypatch.setattr(np, "memmap", lambda *args, **kinds: mapped.append(real(*args, **kinds)) or mapped[-1])
    assert [rsa(x, y, comparison=how).value for how in ("spearman", "kendall")] == expected
    assert [file.shape for file in mapped] == [(2, 435), (2, 435)]


def test_ties_share_their_average_rank():
    values = torch.randint(0, 40, (500,), generator=torch.Generator().manual_seed(0)).float()
    assert np.array_equal(doubled_ranks(values).numpy(), 2 * rankdata(values.numpy()))
    x = torch.randint(0, 3, (25, 4), generator=torch.Generator().manual_seed(1)).double()
    y = torch.randint(0, 3, (25, 4), generator=torch.Generator().manual_seed(2)).double()
    for how in ("spearman", "kendall"):
        assert rsa(x, y, rdm="sqeuclidean", comparison=how).value == pytest.approx(by_scipy(x, y, "sqeuclidean", how), abs=1e-12)


def test_ranks_of_more_entries_than_single_precision_can_count_are_exact():
    values = torch.zeros(2**24 + 3, dtype=torch.uint8)
    values[-3:] = torch.tensor([3, 1, 2])
    assert doubled_ranks(values).unique().tolist() == [2**24 + 1] + [2 * (2**24 + place) for place in (1, 2, 3)]


def test_single_precision_with_a_mean_of_a_hundred_stays_right():
    x, y = normal(60, 20, seed=1), normal(60, 20, seed=2)
    y = y + x
    for options in EVERY:
        request = asked("rsa", **options)
        far = {"x": (x + 100).float()}, {"y": (y + 100).float()}
        exact = rsa(far[0]["x"], far[1]["y"], **options).value
        assert gathered([request], *far, block=25)[request].value == pytest.approx(exact, abs=2e-4)


@pytest.mark.parametrize("comparison", ["pearson", "spearman", "cosine"])
def test_the_interval_is_that_of_pairs_counted_as_often_as_both_images_are_drawn(comparison):
    x, y = related(n=30, p=5, q=4)
    sample = Sample(images=30, groups=7, draws=40, seed=3)
    request = asked("rsa", comparison=comparison)
    found = gathered([request], {"x": x}, {"y": y}, 11, sample)[request]
    i, j = np.triu_indices(30, 1)
    group = np.array([sample.group(index) for index in range(30)])
    a, b = (pdist(side.numpy(), "correlation") for side in (x, y))
    if comparison == "spearman":
        a, b = rankdata(a), rankdata(b)
    values = []
    for drawn in weights(sample).numpy():
        count = drawn[group[i]] * drawn[group[j]]
        if comparison == "cosine":
            values.append((count * a * b).sum() / np.sqrt((count * a * a).sum() * (count * b * b).sum()))
        else:
            covariance = np.cov(a, b, aweights=count)
            values.append(covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]))
    moved = np.quantile(values, [0.025, 0.975]) - np.mean(values) + found.value
    assert [found.low, found.high] == pytest.approx(moved.tolist(), abs=1e-10)
    assert found.value == pytest.approx(rsa(x, y, comparison=comparison).value, abs=1e-12)


def test_an_image_without_direction_is_at_distance_1_and_counted():
    x, y = normal(12, 5, seed=1), normal(12, 5, seed=2)
    x[3], x[7] = 0.1, -2.0
    found = rsa(x, y, comparison="pearson")
    assert found.details == {"still_images_front": 2.0}
    expected = pdist(x.numpy(), "correlation")
    still = np.array([bool({3, 7} & set(pair)) for pair in itertools.combinations(range(12), 2)])
    expected[still] = 1
    assert found.value == pytest.approx(cosine_of_centred(expected, pdist(y.numpy(), "correlation")), abs=1e-12)


def cosine_of_centred(a: np.ndarray, b: np.ndarray) -> float:
    return cosine(a - a.mean(), b - b.mean())


def test_images_that_are_all_equally_far_apart_are_undefined():
    y = normal(6, 4)
    multiples = torch.outer(torch.arange(1, 7), y[0])
    for x, kinds in ((torch.eye(6) * 3 + 1, KINDS), (multiples, ["cosine"])):
        for kind, how in itertools.product(kinds, COMPARISONS):
            found = rsa(x.double(), y, rdm=kind, comparison=how)
            assert (found.value, found.null) == (None, None)
            assert found.status == "all images are equally far apart (front)"
    both = rsa(torch.eye(5).double(), torch.eye(5).double())
    assert both.status == "all images are equally far apart (both)"


def test_in_single_precision_equal_images_are_undefined_too():
    x = (torch.full((40, 30), 0.1) * torch.linspace(1, 2, 30)).float()
    for options in EVERY:
        request = asked("rsa", **options)
        assert gathered([request], {"x": x}, {"y": normal(40, 3).float()}, 16)[request].value is None


@pytest.mark.parametrize("images", [1, 2])
def test_fewer_than_three_images_are_undefined(images):
    for how in COMPARISONS:
        assert rsa(normal(images, 4), normal(images, 4, seed=1), comparison=how).status == "fewer than 3 images"


def test_three_images_are_enough():
    x, y = normal(3, 4), normal(3, 4, seed=1)
    assert rsa(x, y, comparison="pearson").value == pytest.approx(by_scipy(x, y, "correlation", "pearson"), abs=1e-12)


def test_kendall_of_too_many_pairs_is_refused_before_anything_is_read(monkeypatch):
    monkeypatch.setattr(ranks, "KENDALL_PAIRS", 100)
    x, y = normal(15, 3), normal(15, 3, seed=1)
    with pytest.raises(InputError, match="105 pairs of images"):
        rsa(x, y, comparison="kendall")
    assert rsa(x, y, comparison="spearman").value is not None


def test_unknown_kinds_and_comparisons_are_refused_with_what_there_is():
    x, y = normal(5, 3), normal(5, 3, seed=1)
    with pytest.raises(InputError, match="euclidean"):
        rsa(x, y, rdm="euclidian")
    with pytest.raises(InputError, match="spearman"):
        rsa(x, y, comparison="spearmann")
