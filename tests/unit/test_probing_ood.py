"""Detectors of activations: scores with analytic AUROC, distances against scikit-learn, energies by hand, outliers by pixels."""

import copy
import math

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.covariance import EmpiricalCovariance, shrunk_covariance
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import roc_curve
from stitching_networks import images as smooth_images
from stitching_networks import network

from repsim.data.images import Images
from repsim.errors import InputError
from repsim.models.cut import cuts
from repsim.probing import classifiers, energy, outliers, schooling
from repsim.probing.detection import detect, fpr95, halves
from repsim.probing.energy import Margins
from repsim.probing.gaussians import ClassMoments, Mahalanobis, pooled
from repsim.probing.ood_rules import MADE, channels_of
from repsim.probing.schooling import Lessons, Samples
from repsim.stitching.pair import Reading


def normal(n, seed, shift=0.0, scale=1.0, p=None):
    generator = torch.Generator().manual_seed(seed)
    return shift + scale * torch.randn((n,) if p is None else (n, p), generator=generator, dtype=torch.float64)


def standard_error(n, m):
    """Of the AUROC of two samples of one distribution (Mann & Whitney 1947)."""
    return math.sqrt((n + m + 1) / (12 * n * m))


@pytest.mark.parametrize("shift", [0.25, 1.0, -0.5])
def test_auroc_of_shifted_gaussians_is_the_analytic_one(shift):
    found = detect(normal(20_000, 0), normal(20_000, 1, shift))
    assert found.auroc == pytest.approx(stats.norm.cdf(shift / math.sqrt(2)), abs=4 * standard_error(20_000, 20_000))
    passing = stats.norm.cdf(stats.norm.ppf(0.95) - shift)
    assert found.fpr95 == pytest.approx(passing, abs=0.015)


def test_equal_distributions_give_one_half_within_its_standard_error():
    found, split = detect(normal(3000, 0), normal(1000, 1)), halves(normal(4001, 2))
    assert abs(found.auroc - 0.5) < 3 * standard_error(3000, 1000) and abs(found.aupr - 0.75) < 0.03
    assert abs(found.fpr95 - 0.95) < 0.03 and abs(split.auroc - 0.5) < 3 * standard_error(2001, 2000)


def test_detection_of_a_hand_made_case():
    native, other = torch.arange(1, 21), torch.tensor([18.0, 19.0, 20.0, 25.0])
    found = detect(native, other)
    assert found.fpr95 == 0.5  # 19 of 20 native lie at or below 19; so do 18 and 19
    assert found.auroc == pytest.approx((17.5 + 18.5 + 19.5 + 20) / 80)
    perfect, blind = detect(torch.zeros(4), torch.ones(4)), detect(torch.zeros(4), torch.zeros(12))
    assert (perfect.auroc, perfect.aupr, perfect.fpr95) == (1, 1, 0)
    assert (blind.auroc, blind.aupr, blind.fpr95) == (0.5, 0.25, 1)


def test_fpr95_is_the_first_point_of_the_roc_curve_at_that_recall():
    native, other = normal(333, 5).round(decimals=1).numpy(), normal(200, 6, 0.7).round(decimals=1).numpy()
    labels, scores = np.repeat([1, 0], [333, 200]), -np.concatenate([native, other])
    wrong, right, _ = roc_curve(labels, scores, drop_intermediate=False)
    assert fpr95(native, other) == wrong[np.argmax(right >= 0.95)]


def test_scores_that_are_not_finite_say_nothing():
    assert detect(torch.zeros(3), torch.tensor([0.0, math.inf])) is None
    assert detect(torch.tensor([0.0, math.nan]), torch.zeros(3)) is None
    assert halves(torch.zeros(1)) is None


def gaussians(rows, labels, classes, batch=64):
    moments = ClassMoments(classes)
    for part in torch.arange(len(rows)).split(batch):
        moments.add(rows[part], labels[part])
    return moments.fitted()


@pytest.fixture
def clouds():
    """600 points in 5 dimensions around 3 of 4 class means, far from the origin."""
    labels = torch.randint(3, (600,), generator=torch.Generator().manual_seed(0))
    means = 1e4 + normal(3, 1, scale=3, p=5)
    return normal(600, 2, p=5) @ normal(5, 3, p=5) + means[labels], labels


def test_streamed_gaussians_are_those_of_scikit_learn(clouds):
    rows, labels = clouds
    found = gaussians(rows, labels, 4)
    means = torch.stack([rows[labels == c].mean(0) for c in range(3)])
    torch.testing.assert_close(found.means, means)
    assert found.classes.tolist() == [0, 1, 2]  # no image of class 3 was seen
    within = EmpiricalCovariance(assume_centered=True).fit((rows - means[labels]).numpy())
    total = EmpiricalCovariance().fit(rows.numpy())
    np.testing.assert_allclose(found.within, within.covariance_, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(found.total, total.covariance_, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("shrinkage", [0.0, 0.1])
def test_distances_are_those_of_scikit_learn_and_of_their_formula(clouds, shrinkage):
    rows, labels = clouds
    found = gaussians(rows, labels, 4)
    asked = 1e4 + normal(50, 9, scale=4, p=5)
    inverse, whole = (np.linalg.inv(shrunk_covariance(each.numpy(), shrinkage)) for each in (found.within, found.total))
    offsets = (asked[:, None] - found.means[None]).numpy()
    distances = np.einsum("ncp,pq,ncq->nc", offsets, inverse, offsets)
    background = np.einsum("np,pq,nq->n", *[(asked - found.mean).numpy(), whole, (asked - found.mean).numpy()])
    score, nearest = Mahalanobis(found, shrinkage, relative=False).look(asked)
    np.testing.assert_allclose(score, distances.min(1), rtol=1e-6)
    assert nearest.tolist() == distances.argmin(1).tolist()
    relative, _ = Mahalanobis(found, shrinkage, relative=True).look(asked)
    np.testing.assert_allclose(relative, distances.min(1) - background, rtol=1e-6, atol=1e-6)


def test_the_nearest_mean_is_the_class_of_linear_discriminant_analysis(clouds):
    rows, labels = clouds
    balanced = LinearDiscriminantAnalysis(priors=np.full(3, 1 / 3)).fit(rows.numpy(), labels.numpy())
    _, nearest = Mahalanobis(gaussians(rows, labels, 4), 0.0, relative=False).look(rows)
    assert nearest.tolist() == balanced.predict(rows.numpy()).tolist()


@pytest.mark.parametrize("scale", [1.0, 1.2])
def test_auroc_of_wider_gaussians_is_that_of_an_f_distribution(scale):
    """Distances are χ² of 6 degrees of freedom, those of the others scale² times as long."""
    labels = torch.zeros(40_000, dtype=torch.int64)
    detector = Mahalanobis(gaussians(normal(40_000, 0, p=6), labels, 2, batch=5000), 0.0, relative=False)
    native, other = (detector.look(normal(10_000, seed, scale=s, p=6))[0] for seed, s in ((1, 1.0), (2, scale)))
    assert float(native.mean()) == pytest.approx(6, abs=0.15)
    assert detect(native, other).auroc == pytest.approx(stats.f.sf(1 / scale**2, 6, 6), abs=4 * standard_error(10_000, 10_000))


def test_a_singular_covariance_is_refused_unless_it_is_shrunk():
    rows = normal(40, 0, p=3)
    found = gaussians(torch.cat([rows, rows[:, :1]], 1), torch.zeros(40, dtype=torch.int64), 1)
    with pytest.raises(InputError, match=r"singular with a shrinkage of 0") as error:
        Mahalanobis(found, 0.0, relative=False)
    assert error.value.where == "shrinkage"
    assert Mahalanobis(found, 1e-3, relative=True).look(torch.zeros(2, 4))[0].isfinite().all()


def test_pooling_takes_the_mean_over_positions():
    map_, tokens = torch.arange(24.0).reshape(1, 2, 3, 4), torch.arange(6.0).reshape(1, 3, 2)
    assert pooled(map_).tolist() == [[5.5, 17.5]] and pooled(tokens).tolist() == [[2, 3]]
    assert pooled(torch.ones(2, 3)).dtype == torch.float64


def test_energy_and_its_loss_by_hand():
    inside, outside = torch.tensor([[2.0, 2.0], [0.0, 0.0]]), torch.tensor([[1.0, 1.0]])
    assert energy.energy(inside).tolist() == pytest.approx([-2 - math.log(2), -math.log(2)])
    margins = Margins(inside=-1.0, outside=0.5, weight=0.25)
    above = (0 + (1 - math.log(2)) ** 2) / 2  # only the second is above −1
    below = (0.5 + 1 + math.log(2)) ** 2
    said = energy.loss(inside, torch.tensor([0, 1]), outside, margins)
    assert float(said) == pytest.approx(math.log(2) + 0.25 * (above + below), rel=1e-6)


def test_the_margins_are_those_of_the_paper():
    assert Margins() == Margins(inside=-25.0, outside=-7.0, weight=0.1)


class Fixed:
    """Stands in for the activations of a layer: the points themselves."""

    def __init__(self, points):
        self.points = points

    def read(self, x, index):
        return Reading({}, {}, {"layer": self.points[index]})


def samples(points, labels):
    pixels = torch.zeros(len(points), 1, 1, 1, dtype=torch.uint8)
    return Samples(Images("points", pixels, labels, 2), Fixed(points), "layer")


def over(text, loop):
    return loop


def test_fine_tuning_puts_native_energies_below_those_of_outliers_and_keeps_the_classes():
    labels = torch.arange(400) % 2
    native = normal(400, 0, p=2).float() + torch.tensor([[6.0, 0.0], [-6.0, 0.0]])[labels]
    strange = normal(300, 1, p=2).float() + torch.tensor([0.0, 8.0])
    torch.manual_seed(0)
    classifier = torch.nn.Sequential(torch.nn.Linear(2, 32), torch.nn.BatchNorm1d(32), torch.nn.ReLU(), torch.nn.Linear(32, 2))
    lessons = Lessons(3, 20, 40, 0.02, 1e-5, Margins(-6.0, -2.0), 0)
    schooling.teach(classifier, samples(native, labels), lessons, over)
    before = detect(energy.energy(classifier(native)).detach(), energy.energy(classifier(strange)).detach()).auroc
    schooling.finetune(classifier, samples(native, labels), samples(strange, torch.zeros(300, dtype=torch.int64)), lessons, over)
    inside, outside = classifier(native), classifier(strange)
    assert not classifier.training and (inside.argmax(1) == labels).float().mean() > 0.99
    assert energy.energy(inside).mean() < -5 and energy.energy(outside).mean() > -3
    assert detect(energy.energy(inside).detach(), energy.energy(outside).detach()).auroc > max(0.99, before)


def test_the_same_seed_teaches_the_same_classifier():
    labels = torch.arange(100) % 2
    native = normal(100, 0, p=2).float() + labels[:, None]
    start = torch.nn.Linear(2, 2)
    made = [copy.deepcopy(start) for _ in range(3)]
    for one, seed in zip(made, (0, 0, 1), strict=True):
        schooling.teach(one, samples(native, labels), Lessons(2, 0, 16, 0.1, 0.0, Margins(), seed), over)
    assert torch.equal(made[0].weight, made[1].weight) and not torch.equal(made[0].weight, made[2].weight)


def test_the_layers_behind_the_cut_are_copied_so_that_teaching_them_leaves_g_alone():
    g = network(seed=1).requires_grad_(False)
    before = copy.deepcopy(g.state_dict())
    x, y = smooth_images(8)
    value = cuts(g).reader(values=("bn6",))(x).values["bn6"]
    made = classifiers.make("suffix", None, g, "bn6", (64, 4, 4), seed=0)
    torch.testing.assert_close(made.eval()(value), g(x))
    pixels = torch.zeros(8, 3, 32, 32, dtype=torch.uint8)
    lesson = Lessons(2, 0, 4, 0.1, 0.0, Margins(), 0)
    schooling.teach(made, Samples(Images("x", pixels, y, 10), Fixed(value), "layer"), lesson, over)
    assert not torch.allclose(made(value), g(x))
    for name, tensor in g.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_fresh_layers_are_drawn_by_their_seed():
    g, value = network(seed=1).requires_grad_(False), normal(4, 0, p=64).float()[:, :, None, None].expand(-1, -1, 4, 4)
    one, same, other = (classifiers.make("fresh", None, g, "bn6", (64, 4, 4), seed).eval()(value) for seed in (0, 0, 1))
    assert torch.equal(one, same) and not torch.allclose(one, other)
    assert not torch.allclose(one, classifiers.make("suffix", None, g, "bn6", (64, 4, 4), 0).eval()(value))


@pytest.mark.parametrize("shape, seen", [((64, 4, 4), 64), ((17, 12), 24), ((16, 12), 12), ((10,), 10)])
def test_another_architecture_sees_maps_tokens_and_vectors_as_images(shape, seen):
    made = classifiers.make("resnet20", 1, network(seed=1), "bn6", shape, seed=0)
    assert channels_of(shape) == seen == made.network.facts.channels
    assert made(torch.randn(2, *shape)).shape == (2, 10)


def test_tokens_lie_on_their_grid_with_the_class_token_at_each_position():
    tokens = torch.arange(10.0).reshape(1, 5, 2)
    seen = classifiers.as_map(tokens)
    assert seen.shape == (1, 4, 2, 2)
    assert seen[0, 0].tolist() == [[2, 4], [6, 8]] and seen[0, 2].unique().tolist() == [0] and seen[0, 3].unique().tolist() == [1]


@pytest.fixture
def pictures():
    pixels = torch.randint(256, (40, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))
    return Images("pictures", pixels, torch.arange(40) % 10, 10)


def test_what_is_made_has_a_name_that_may_be_asked_for():
    assert tuple(outliers.KINDS) == MADE


@pytest.mark.parametrize("name", MADE)
def test_outliers_that_are_made_are_the_same_every_time(pictures, name, tmp_path):
    one, other = (outliers.gather([name], "train", pictures, 30, (), tmp_path) for _ in range(2))
    assert torch.equal(one.images, other.images) and one.images.shape == (30, 3, 16, 16) and one.images.dtype == torch.uint8
    assert len({tuple(image.flatten().tolist()) for image in one.images}) > 15


def test_a_jigsaw_has_the_pixels_of_an_image_at_hand_in_another_order(pictures, tmp_path):
    made = outliers.gather(["jigsaw"], "train", pictures, 20, (), tmp_path).images
    parts = {tuple(image[:, :4, :4].flatten().tolist()) for image in made}
    for image in made:
        origin = [one for one in pictures.images if torch.equal(one.flatten().sort().values, image.flatten().sort().values)]
        assert len(origin) == 1 and not torch.equal(origin[0], image)
        blocks = {tuple(origin[0][:, i : i + 4, j : j + 4].flatten().tolist()) for i in range(0, 16, 4) for j in range(0, 16, 4)}
        assert tuple(image[:, 4:8, 8:12].flatten().tolist()) in blocks
    assert len(parts) > 10


def test_images_that_cannot_be_cut_are_refused(tmp_path):
    odd = Images("odd", torch.zeros(3, 1, 10, 10, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64), 2)
    with pytest.raises(InputError, match="10 pixels cannot be cut"):
        outliers.gather(["jigsaw"], "train", odd, 2, (), tmp_path)


def test_mixed_images_are_means_of_two(tmp_path):
    pixels = torch.tensor([0, 100, 250], dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 4, 4).contiguous()
    own = Images("three", pixels, torch.zeros(3, dtype=torch.int64), 2)
    made = outliers.gather(["mixed"], "train", own, 200, (), tmp_path).images
    assert set(made.flatten().tolist()) == {0, 50, 100, 125, 175, 250}


def test_grey_digits_become_colour_images_of_the_size_at_hand(pictures, tmp_path):
    found = outliers.gather(["digits32", "noise"], "test", pictures, 11, (), tmp_path).images
    digits = found[:6]
    assert found.shape == (11, 3, 16, 16) and torch.equal(digits[:, 0], digits[:, 1]) and torch.equal(digits[:, 0], digits[:, 2])
    assert digits.float().std() > 40 and not torch.equal(found[6:, 0], found[6:, 1])


def test_a_data_set_with_fewer_images_gives_all_it_has(pictures, tmp_path):
    assert len(outliers.gather(["digits"], "test", pictures, 3000, (), tmp_path)) == 500
