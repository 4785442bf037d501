"""Direct matching against independent solvers: NumPy, SciPy, scikit-learn, alternating least squares, brute force, optimality."""

import itertools
import math

import numpy as np
import pytest
import torch
from matching_data import moments, normal, rectified, related
from scipy.linalg import orthogonal_procrustes
from scipy.optimize import minimize
from sklearn.linear_model import Lasso, Ridge

from repsim.errors import InputError
from repsim.stitching import alignment, assignment, birkhoff, doubly, matching, regression
from repsim.stitching import lasso as lasso_module
from repsim.stitching.lasso import lasso
from repsim.stitching.moments import Moments, NotFinite, Stream, principal
from repsim.stitching.shapes import join
from repsim.stitching.stitchers import STITCHERS, Affine

EVERY_FAMILY = [
    ("linear", {}),
    ("lowrank", {"rank": 2}),
    ("lasso", {"lasso_weight": 0.01}),
    ("orthogonal", {}),
    ("orthogonal", {"scales": True}),
    ("permutation", {}),
    ("wreath", {}),
    ("birkhoff", {}),
    ("birkhoff", {"scales": True}),
]


def applied(affine: Affine, x: torch.Tensor) -> torch.Tensor:
    return x @ affine.matrix.T + (0 if affine.bias is None else affine.bias)


def error(affine: Affine, x: torch.Tensor, y: torch.Tensor) -> float:
    return (applied(affine, x) - y).square().sum().item()


def by_numpy(x: torch.Tensor, y: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Least squares of minimal norm with a bias: W (q, p), b (q,)."""
    u, v = x - x.mean(0), y - y.mean(0)
    weight = np.linalg.lstsq(u.numpy(), v.numpy(), rcond=1e-10)[0].T
    return weight, y.mean(0).numpy() - weight @ x.mean(0).numpy()


def shuffled(width: int, seed: int = 2) -> torch.Tensor:
    return torch.randperm(width, generator=torch.Generator().manual_seed(seed))


# linear


def test_linear_is_numpy_least_squares_with_bias():
    x, y = related()
    found, (weight, bias) = regression.linear(moments(x, y)), by_numpy(x, y)
    np.testing.assert_allclose(found.weight, weight, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found.bias, bias, rtol=1e-8)


def test_linear_cuts_directions_that_carry_nothing_and_takes_the_solution_of_minimal_norm():
    x, y = related(p=4)
    doubled = torch.cat([x, x[:, :2], torch.full((len(x), 1), 7.0, dtype=torch.float64)], 1)
    np.testing.assert_allclose(regression.linear(moments(doubled, y)).weight, by_numpy(doubled, y)[0], rtol=1e-6, atol=1e-8)


def test_linear_of_fewer_images_than_channels_is_the_solution_of_minimal_norm():
    x, y = normal(10, 30), normal(10, 5, seed=1)
    found, (weight, bias) = regression.linear(moments(x, y)), by_numpy(x, y)
    np.testing.assert_allclose(found.weight, weight, atol=1e-9)
    np.testing.assert_allclose(found.bias, bias, atol=1e-9)
    assert error(found, x, y) < 1e-18


@pytest.mark.parametrize("ridge", [1e-3, 1.0, 30.0])
@pytest.mark.parametrize("n", [200, 5])
def test_ridge_is_the_one_of_scikit_learn(ridge, n):
    x, y = related(n=n)
    alpha = ridge * (x - x.mean(0)).square().sum().item() / 6
    oracle = Ridge(alpha=alpha).fit(x.numpy(), y.numpy())
    found = regression.linear(moments(x, y), ridge)
    np.testing.assert_allclose(found.weight, oracle.coef_, atol=1e-10)
    np.testing.assert_allclose(found.bias, oracle.intercept_, atol=1e-9)


def test_a_small_ridge_is_nearly_least_squares():
    x, y = related()
    torch.testing.assert_close(
        regression.linear(moments(x, y), 1e-12).weight, regression.linear(moments(x, y)).weight, rtol=1e-6, atol=1e-8
    )


def test_a_negative_ridge_is_refused():
    with pytest.raises(InputError, match="rewards large weights"):
        regression.linear(moments(*related()), -0.1)


def test_masked_is_numpy_least_squares_on_the_inputs_allowed_to_each_output():
    x, y = related(p=7, q=6)
    x[:, 5] = x[:, 4]  # rank-deficient where both are allowed
    mask = normal(6, 7, seed=5) > 0
    mask[1], mask[2], mask[3] = False, True, mask[4]
    found = matching.match(_masked(mask), moments(x, y))
    assert (found.weight[~mask] == 0).all()
    for output, allowed in enumerate(mask):
        weight, bias = by_numpy(x[:, allowed], y[:, output : output + 1])
        np.testing.assert_allclose(found.weight[output, allowed], weight[0], atol=1e-8)
        np.testing.assert_allclose(found.bias[output], bias[0], atol=1e-8)


def test_masked_with_a_ridge_is_scikit_learns_on_the_inputs_allowed():
    x, y = related(p=5, q=3)
    mask = torch.tensor([[1, 0, 1, 1, 0], [0, 1, 0, 0, 0], [1, 1, 1, 1, 1]], dtype=torch.bool)
    alpha = 0.2 * (x - x.mean(0)).square().sum().item() / 5
    found = matching.match(_masked(mask), moments(x, y), ridge=0.2)
    for output, allowed in enumerate(mask):
        oracle = Ridge(alpha=alpha).fit(x[:, allowed].numpy(), y[:, output].numpy())
        np.testing.assert_allclose(found.weight[output, allowed], oracle.coef_, atol=1e-9)


def _masked(mask: torch.Tensor):
    stitcher = STITCHERS["linear"](mask.shape[1], mask.shape[0])
    stitcher.mask_(mask)
    return stitcher


# low rank


@pytest.mark.parametrize("ridge", [0.0, 0.1])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_lowrank_is_the_limit_of_alternating_least_squares(rank, ridge):
    x, y = related(p=6, q=5)
    u, v = (x - x.mean(0)).numpy(), (y - y.mean(0)).numpy()
    alpha = ridge * (u**2).sum() / 6
    u, v = np.vstack([u, alpha**0.5 * np.eye(6)]), np.vstack([v, np.zeros((6, 5))])  # a ridge is six more rows
    inner = np.random.default_rng(0).normal(size=(6, rank))
    for _ in range(1000):
        outer = np.linalg.lstsq(u @ inner, v, rcond=None)[0]
        # min over A of ‖U A C − V‖: A = U⁺ V C⁺
        inner = np.linalg.lstsq(u, v @ np.linalg.pinv(outer), rcond=None)[0]
    found = regression.low_rank(moments(x, y), rank, ridge)
    np.testing.assert_allclose(found.weight.T, inner @ outer, atol=1e-6)
    assert torch.linalg.matrix_rank(found.weight) == rank


def test_lowrank_of_full_rank_is_linear():
    x, y = related()
    torch.testing.assert_close(regression.low_rank(moments(x, y), 4).weight, regression.linear(moments(x, y)).weight)


# lasso


@pytest.mark.parametrize("penalty", [1e-4, 1e-2, 0.3])
def test_lasso_is_the_one_of_scikit_learn(penalty):
    x, y = rectified(n=400, p=16, q=6)
    oracle = Lasso(alpha=penalty, tol=1e-12, max_iter=100_000).fit(x.numpy(), y.numpy())
    found = lasso(moments(x, y), penalty)
    np.testing.assert_allclose(found.weight, oracle.coef_, atol=1e-7)
    np.testing.assert_allclose(found.bias, oracle.intercept_, atol=1e-7)
    np.testing.assert_array_equal(found.weight != 0, oracle.coef_ != 0)


@pytest.mark.parametrize("penalty", [1e-4, 1e-1])
def test_lasso_meets_its_optimality_conditions_on_ill_conditioned_channels(penalty):
    """xᵀ(y − Wx − b)/n is λ·sign W where W is not 0, and within ±λ elsewhere: the proof that W is the optimum."""
    x, y = rectified()
    found = lasso(moments(x, y), penalty)
    slope = ((y - applied(found, x)).T @ (x - x.mean(0))) / len(x)
    held, free = found.weight != 0, found.weight == 0
    assert 0 < held.double().mean() < 1
    assert (slope - penalty * found.weight.sign())[held].abs().max() < 1e-8
    assert slope[free].abs().max() <= penalty + 1e-8


def test_lasso_of_fewer_images_than_channels_is_as_good_as_scikit_learns():
    x, y = normal(15, 40), normal(15, 3, seed=1)
    oracle = Lasso(alpha=0.05, tol=1e-12, max_iter=100_000).fit(x.numpy(), y.numpy())
    found = lasso(moments(x, y), 0.05)
    np.testing.assert_allclose(found.weight, oracle.coef_, atol=1e-6)


def test_lasso_gives_dead_channels_nothing_and_twins_no_more_than_one_needs():
    x, y = related(p=5, q=3)
    dead = torch.cat([x, torch.full((len(x), 1), 3.0, dtype=torch.float64), x[:, :1]], 1)
    found, alone = lasso(moments(dead, y), 0.1), lasso(moments(x, y), 0.1)
    assert (found.weight[:, 5] == 0).all()
    torch.testing.assert_close(found.weight[:, 0] + found.weight[:, 6], alone.weight[:, 0], atol=1e-7, rtol=0)
    torch.testing.assert_close(found.weight[:, 1:5], alone.weight[:, 1:], atol=1e-7, rtol=0)


def test_a_large_penalty_leaves_the_mean_alone():
    x, y = related()
    found = lasso(moments(x, y), 1e6)
    assert (found.weight == 0).all()
    torch.testing.assert_close(found.bias, y.mean(0))


def test_lasso_with_a_mask_is_scikit_learns_on_the_inputs_allowed():
    x, y = related(p=6, q=3)
    stitcher = STITCHERS["lasso"](6, 3, lasso_weight=0.05)
    mask = normal(3, 6, seed=3) > 0
    stitcher.mask_(mask)
    found = matching.match(stitcher, moments(x, y))
    assert (found.weight[~mask] == 0).all()
    for output, allowed in enumerate(mask):
        oracle = Lasso(alpha=0.05, tol=1e-12, max_iter=100_000).fit(x[:, allowed].numpy(), y[:, output].numpy())
        np.testing.assert_allclose(found.weight[output, allowed], oracle.coef_, atol=1e-7)


def test_a_lasso_without_a_penalty_is_linear():
    x, y = related()
    found = matching.match(STITCHERS["lasso"](6, 4, lasso_weight=0.0), moments(x, y))
    torch.testing.assert_close(found.weight, regression.linear(moments(x, y)).weight)
    with pytest.raises(InputError, match="lasso_weight"):
        lasso(moments(x, y), 0.0)


def test_a_lasso_that_runs_out_of_rounds_says_so(monkeypatch):
    monkeypatch.setattr(lasso_module, "ROUNDS", 1)
    with pytest.raises(ArithmeticError, match="did not converge in 1 rounds"):
        lasso(moments(*rectified()), 1e-4)


# orthogonal


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("p, q", [(5, 5), (3, 5)])
def test_orthogonal_is_the_procrustes_solution_of_scipy(p, q, scaled):
    x, y = related(p=p, q=q)
    u, v = (x - x.mean(0)).numpy(), (y - y.mean(0)).numpy()
    found = regression.orthogonal(moments(x, y), scaled)
    torch.testing.assert_close(found.weight.T @ found.weight, torch.eye(p, dtype=torch.float64))
    if p == q:
        rotation, total = orthogonal_procrustes(u, v)
        np.testing.assert_allclose(found.weight.T, rotation, atol=1e-10)
    else:  # SciPy's is square: empty channels in front make room for any completion
        total = orthogonal_procrustes(np.column_stack([u, np.zeros((len(u), q - p))]), v)[1]
    assert np.sum(found.weight.numpy().T * (u.T @ v)) == pytest.approx(total)
    scale = total / (u**2).sum()
    assert (found.scales is None) if not scaled else found.scales[0].item() == pytest.approx(scale)
    torch.testing.assert_close(applied(found, x).mean(0), y.mean(0))


@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_a_rotated_layer_is_recovered_exactly(scale):
    x, _ = related(p=6)
    rotation = torch.linalg.qr(normal(6, 6, seed=4)).Q
    y = scale * x @ rotation.T + 5
    found = matching.match(STITCHERS["orthogonal"](6, 6, scales=scale != 1), moments(x, y))
    torch.testing.assert_close(found.weight, rotation)
    assert matching.residual(moments(x, y), found) < 1e-12


def test_orthogonal_needs_room_behind():
    with pytest.raises(InputError, match=r"6 channels in front .* 4 behind"):
        regression.orthogonal(moments(*related(p=6, q=4)))


# one to one


def test_permutation_is_the_best_of_all():
    x, y = related(p=5, q=5)
    found = assignment.permutation(moments(x, y))
    best = min((x[:, list(order)] - y).square().sum().item() for order in itertools.permutations(range(5)))
    assert error(found, x, y) == pytest.approx(best)


def test_g_relu_is_the_best_of_all_permutations_with_their_best_scales():
    x, y = (torch.relu(part) for part in related(p=6, q=6))
    x[:, 3] = 0  # a dead channel
    found = matching.match(STITCHERS["wreath"](6, 6), moments(x, y))
    inner, power = (x.T @ y).numpy().clip(min=0), (x.T @ x).diagonal().numpy()
    gain = np.divide(inner**2, power[:, None], out=np.zeros((6, 6)), where=power[:, None] > 0)
    best = max(sum(gain[i, j] for j, i in enumerate(order)) for order in itertools.permutations(range(6)))
    assert error(found, x, y) == pytest.approx(y.square().sum().item() - best)
    assert found.scales is not None and found.scales.min() >= 0 and found.scales.isfinite().all()


def test_a_shuffled_copy_is_recovered_by_permutation_and_a_scaled_one_by_g_relu():
    x, order = related(p=9)[0].relu(), shuffled(9)
    scales = torch.linspace(0.2, 3.0, 9, dtype=torch.float64)
    plain, scaled = moments(x, x[:, order]), moments(x, scales * x[:, order])
    found = matching.match(STITCHERS["permutation"](9, 9), plain)
    assert torch.equal(found.weight, torch.eye(9, dtype=torch.float64)[order]) and matching.residual(plain, found) < 1e-12
    found = matching.match(STITCHERS["birkhoff"](9, 9, scales=True), scaled)
    torch.testing.assert_close(found.matrix, scales[:, None] * torch.eye(9, dtype=torch.float64)[order])
    assert matching.residual(scaled, found) < 1e-12


@pytest.mark.parametrize("small, large", [(1e-4, 1e4), (1e-2, 1e6)])
@pytest.mark.parametrize("side", ["front", "end", "both"])
def test_g_relu_recovers_a_shuffled_copy_whose_channels_differ_by_many_orders_of_magnitude(small, large, side):
    y, order = related(n=600, p=9)[0].relu(), shuffled(9)
    scales = torch.logspace(math.log10(small), math.log10(large), 9, dtype=torch.float64)
    x = torch.empty_like(y)
    x[:, order] = y  # so y = x[:, order]
    front, end = scales[shuffled(9, seed=3)], scales[shuffled(9, seed=4)]
    x = x if side == "end" else x * front
    y = y if side == "front" else y * end
    expected = (1.0 if side == "front" else end) / (1.0 if side == "end" else front[order])
    for found in (assignment.g_relu(moments(x, y)), assignment.g_relu(streamed(x.float(), y.float(), batch=100))):
        assert torch.equal(found.weight, torch.eye(9, dtype=torch.float64)[order])
        torch.testing.assert_close(found.scales, expected, rtol=1e-5, atol=0)


def test_g_relu_gives_nothing_to_channels_that_are_dead():
    x, y = (part.relu() for part in related(p=5, q=5))
    x[:, 1], x[:, 3] = 0, 1e-20
    found = assignment.g_relu(moments(x, y))
    assert found.scales is not None and found.scales.isfinite().all()
    assert set(found.weight.argmax(1)[found.scales == 0].tolist()) == {1, 3}


def streamed(x: torch.Tensor, y: torch.Tensor, batch: int) -> Moments:
    """Of rows, gathered in batches in the precision they have."""
    joint = join((x.shape[1],), (y.shape[1],))
    stream = Stream([("a", "b", joint)], {joint: alignment.make(joint)})
    for one, other in zip(x.split(batch), y.split(batch), strict=True):
        stream.add({"a": one}, {"b": other})
    return stream.moments(("a", "b", joint))


def test_channels_of_unequal_number_cannot_be_matched_one_to_one():
    for match in (assignment.permutation, assignment.g_relu, doubly.doubly_stochastic):
        with pytest.raises(InputError, match="6 in front, 4 behind"):
            match(moments(*related()))


# Birkhoff


@pytest.mark.parametrize("width, seed", [(4, 0), (4, 10), (5, 20)])
def test_birkhoff_matching_is_the_optimum_of_a_general_solver(width, seed):
    x = normal(50, width, seed=seed)
    y = 0.5 * x[:, shuffled(width)] + normal(50, width, seed=seed + 1)
    gram, cross = (x.T @ x).numpy(), (y.T @ x).numpy()
    ones, eye = np.ones(width), np.eye(width)
    sums = np.vstack([np.kron(eye, ones), np.kron(ones, eye)])[1:]  # one of them follows from the others
    general = minimize(
        lambda w: error(Affine(torch.tensor(w.reshape(width, width))), x, y) / 2,
        np.full(width**2, 1 / width),
        jac=lambda w: (w.reshape(width, width) @ gram - cross).ravel(),
        method="SLSQP",
        bounds=[(0, None)] * width**2,
        constraints={"type": "eq", "fun": lambda w: sums @ w - 1, "jac": lambda w: sums},
        options={"ftol": 1e-15, "maxiter": 1000},
    )
    found = doubly.doubly_stochastic(moments(x, y)).weight.numpy()
    assert 0 < (found == 0).mean() < 1  # a face, neither the interior nor a vertex
    np.testing.assert_allclose(found, general.x.reshape(width, width), atol=1e-6)


@pytest.mark.parametrize("width, dead", [(12, 0), (12, 3), (40, 0)])
def test_birkhoff_matching_satisfies_the_optimality_condition(width, dead):
    """⟨∇, W − V⟩ ≤ 0 for the best vertex V: no doubly stochastic matrix is better."""
    x, y = (part.relu() for part in related(n=300, p=width, q=width))
    x[:, :dead] = 0
    weight = doubly.doubly_stochastic(moments(x, y)).weight
    ones = torch.ones(width, dtype=torch.float64)
    torch.testing.assert_close(weight.sum(0), ones, atol=1e-9, rtol=0)
    torch.testing.assert_close(weight.sum(1), ones, atol=1e-9, rtol=0)
    assert weight.min() >= 0
    slope = (weight @ x.T - y.T) @ x
    vertex = torch.eye(width, dtype=torch.float64)[birkhoff.best_permutation(-slope)]
    assert (slope * (weight - vertex)).sum() <= 1.1e-9 * y.square().sum()


def test_birkhoff_matching_recovers_a_doubly_stochastic_map():
    x, _ = related(p=7)
    truth = birkhoff.sinkhorn(torch.rand(7, 7, generator=torch.Generator().manual_seed(3)), sweeps=300)
    torch.testing.assert_close(doubly.doubly_stochastic(moments(x, x @ truth.T)).weight, truth, atol=1e-6, rtol=0)


def test_birkhoff_matching_recovers_a_permutation():
    x, order = related(p=30)[0], shuffled(30)
    weight = doubly.doubly_stochastic(moments(x, x[:, order])).weight
    torch.testing.assert_close(weight, torch.eye(30, dtype=torch.float64)[order], atol=1e-9, rtol=0)


def test_birkhoff_matching_of_what_is_dead_is_any_doubly_stochastic_matrix():
    weight = doubly.doubly_stochastic(moments(torch.zeros(9, 4, dtype=torch.float64), normal(9, 4))).weight
    torch.testing.assert_close(weight.sum(1), torch.ones(4, dtype=torch.float64))


def test_birkhoff_matching_that_runs_out_of_rounds_says_so(monkeypatch):
    monkeypatch.setattr(doubly, "ROUNDS", 1)
    monkeypatch.setattr(doubly, "GRADIENT_STEPS", 1)
    monkeypatch.setattr(doubly, "FACE_STEPS", 0)
    with pytest.raises(ArithmeticError, match="did not converge in 1 rounds"):
        doubly.doubly_stochastic(moments(*related(p=12, q=12)))


# all families


@pytest.mark.parametrize("kind, options", EVERY_FAMILY)
def test_every_family_is_matched_and_its_residual_is_that_of_the_rows(kind, options):
    x, y = related(p=5, q=5)
    affine = matching.match(STITCHERS[kind](5, 5, **options), moments(x, y))
    expected = error(affine, x, y) / (y - y.mean(0)).square().sum().item()
    assert matching.residual(moments(x, y), affine) == pytest.approx(expected)


@pytest.mark.parametrize("kind, options", [case for case in EVERY_FAMILY if case[0] != "wreath"])  # one is relaxed at its start
def test_a_stitcher_that_starts_at_its_match_applies_it(kind, options):
    x, y = related(p=5, q=5)
    stitcher = STITCHERS[kind](5, 5, **options)
    affine = matching.match(stitcher, moments(x, y))
    stitcher.start_(affine)
    torch.testing.assert_close(stitcher(x.float()).double(), applied(affine, x), rtol=1e-4, atol=1e-4)


def test_every_family_has_its_match():
    assert set(matching.MATCHES) == set(STITCHERS.values())


@pytest.mark.parametrize("kind", ["permutation", "orthogonal", "lasso", "birkhoff", "wreath"])
def test_a_ridge_is_refused_where_it_has_no_meaning(kind):
    with pytest.raises(InputError, match="not matched with a ridge"):
        matching.match(STITCHERS[kind](5, 5), moments(*related(p=5, q=5)), ridge=0.1)


@pytest.mark.parametrize("kind, options", EVERY_FAMILY)
@pytest.mark.parametrize("side", ["front", "end"])
def test_activations_that_are_not_finite_are_refused_by_side(kind, options, side):
    x, y = related(p=5, q=5)
    (x if side == "front" else y)[3, 2] = torch.inf
    with pytest.raises(NotFinite, match=f"{side} layer are not all finite"):
        matching.match(STITCHERS[kind](5, 5, **options), moments(x, y))
    with pytest.raises(NotFinite, match=f"{side} layer are not all finite"):
        regression.linear(moments(x, y))


@pytest.mark.parametrize(
    "kind, options, solver", [("lowrank", {"rank": 2}, "eigh"), ("linear", {}, "eigh"), ("orthogonal", {}, "svd")]
)
def test_a_matrix_that_cannot_be_factored_is_an_arithmetic_error(kind, options, solver, monkeypatch):
    _let_fail(monkeypatch, solver)
    with pytest.raises(ArithmeticError, match="gave up"):
        matching.match(STITCHERS[kind](5, 5, **options), moments(*related(p=5, q=5)))


def test_least_squares_and_principal_components_that_cannot_be_had_are_arithmetic_errors(monkeypatch):
    _let_fail(monkeypatch, "eigh")
    for solve in (regression.linear, lambda found: principal(found, 2)):
        with pytest.raises(ArithmeticError, match="gave up"):
            solve(moments(*related()))


def _let_fail(monkeypatch, solver: str) -> None:
    """Let torch's solver fail as LAPACK's does."""

    def fail(*_, **__):
        raise torch.linalg.LinAlgError("the solver gave up")

    monkeypatch.setattr(torch.linalg, solver, fail)


def test_a_match_within_a_subspace_is_that_of_the_projected_rows():
    x, y = related(p=6, q=4)
    basis, mean = principal(moments(x, y), 3)
    seen = mean + (x - mean) @ basis @ basis.T
    found = regression.linear(moments(x, y).restricted(basis))
    np.testing.assert_allclose(found.weight, by_numpy(seen, y)[0], atol=1e-8)


# measures


def test_residual_of_the_mean_is_one_and_of_a_constant_layer_undefined():
    x, y = related()
    constant = Affine(torch.zeros(4, 6, dtype=torch.float64), y.mean(0))
    assert matching.residual(moments(x, y), constant) == pytest.approx(1.0)
    assert np.isnan(matching.residual(moments(x, torch.ones(200, 4, dtype=torch.float64)), constant))


def test_cka_is_the_published_number_of_the_demonstration():
    """Kornblith et al. 2019: their demonstration prints 0.55761 for these inputs."""
    draw = np.random.RandomState(1337)
    x = draw.randn(100, 10)
    y = draw.randn(100, 10) + x
    assert matching.cka(moments(torch.from_numpy(x), torch.from_numpy(y))) == pytest.approx(0.5576132566, abs=1e-10)
    draw = np.random.RandomState(0)
    x, y = torch.from_numpy(draw.randn(20, 50)), torch.from_numpy(draw.randn(20, 30))
    assert matching.cka(moments(x, y)) == pytest.approx(0.6718973743, abs=1e-10)


def test_cka_of_a_stitched_layer_is_that_of_its_rows():
    x, y = related(p=6, q=4)
    affine = Affine(normal(4, 6, seed=5), normal(4, seed=6), normal(4, seed=7).abs())
    expected = matching.cka(moments(applied(affine, x), y))
    assert matching.cka(moments(x, y), affine) == pytest.approx(expected)


def test_cka_is_one_after_a_rotation_and_none_where_a_side_is_constant():
    x, y = related(p=5, q=5)
    rotated = 3 * x @ torch.linalg.qr(normal(5, 5)).Q + 1
    assert matching.cka(moments(x, rotated)) == pytest.approx(1.0)
    constant = torch.full_like(x, 0.1)
    assert matching.cka(moments(x, constant)) is None and matching.cka(moments(constant, y)) is None
    assert matching.cka(moments(x, y), Affine(torch.zeros(5, 5, dtype=torch.float64))) is None
    assert matching.cka(moments(x, y), Affine(torch.full((5, 5), torch.nan))) is None
