"""How stitchers start: every init of every family has a known answer."""

import numpy as np
import pytest
import torch
from torch import nn

from repsim.errors import InputError
from repsim.stitching import matching
from repsim.stitching.inits import FROM_MOMENTS, STARTS, start_
from repsim.stitching.moments import Moments
from repsim.stitching.shapes import join
from repsim.stitching.stitchers import STITCHERS, Birkhoff, Linear, LowRank, Orthogonal, Stitcher, build, project_all

OPTIONS = {"lowrank": {"rank": 2}, "lasso": {"lasso_weight": 0.02}}
EVERY = [(kind, init) for kind, family in STITCHERS.items() for init in STARTS[family]]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def data(p: int = 5, q: int = 5, rows: int = 200) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(rows, p, generator=generator(8), dtype=torch.float64).relu()
    y = x @ torch.randn(p, q, generator=generator(9), dtype=torch.float64)
    return x, y + 0.1 * torch.randn(rows, q, generator=generator(10), dtype=torch.float64)


def moments(x: torch.Tensor, y: torch.Tensor) -> Moments:
    a, b = x - x.mean(0), y - y.mean(0)
    return Moments(len(x), x.mean(0), y.mean(0), a.T @ a, b.T @ b, a.T @ b)


def started(kind: str, init: str, p: int = 5, q: int = 5, seed: int = 0) -> Stitcher:
    stitcher = STITCHERS[kind](p, q, **OPTIONS.get(kind, {}))
    start_(stitcher, init, generator(seed), moments(*data(p, q)) if init in FROM_MOMENTS else None)
    return stitcher


@pytest.mark.parametrize("kind, init", EVERY)
def test_every_start_is_finite_keeps_to_its_family_and_rounds_to_a_stitcher(kind, init):
    stitcher = started(kind, init)
    before = [parameter.detach().clone() for parameter in stitcher.parameters()]
    assert all(parameter.isfinite().all() for parameter in before)
    project_all([stitcher])
    for old, new in zip(before, stitcher.parameters(), strict=True):
        torch.testing.assert_close(new.detach(), old, atol=1e-5, rtol=0)
    assert stitcher.rounded().affine().matrix.isfinite().all()


@pytest.mark.parametrize("kind, init", EVERY)
def test_a_start_follows_its_seed_alone(kind, init):
    torch.manual_seed(1)
    one = started(kind, init, seed=4).affine().matrix
    torch.manual_seed(2)
    assert torch.equal(one, started(kind, init, seed=4).affine().matrix)
    assert torch.equal(one, started(kind, init, seed=5).affine().matrix) == (init not in ("random", "perm"))


@pytest.mark.parametrize("kind", [kind for kind, init in EVERY if init == "eye"])
def test_eye_is_the_identity_after_rounding(kind):
    assert torch.equal(started(kind, "eye").rounded().affine().matrix, torch.eye(5))


@pytest.mark.parametrize("kind", [kind for kind, init in EVERY if init == "perm"])
def test_perm_is_a_permutation_after_rounding(kind):
    weight = started(kind, "perm").rounded().affine().matrix
    assert ((weight == 0) | (weight == 1)).all() and (weight.sum(0) == 1).all() and (weight.sum(1) == 1).all()


@pytest.mark.parametrize("kind, shapes", [("linear", [(4, 9), (9, 4)]), ("orthogonal", [(4, 9)])])
def test_perm_of_a_rectangle_matches_the_smaller_side_one_to_one(kind, shapes):
    for shape in shapes:
        weight = started(kind, "perm", *shape).affine().matrix
        assert weight.sum() == 4 and weight.sum(0).max() == 1 and weight.sum(1).max() == 1


@pytest.mark.parametrize("kind", ["linear", "lasso"])
def test_zeros_and_ones_are_what_they_say(kind):
    for init, value in (("zeros", 0.0), ("ones-zeros", 1.0)):
        affine = started(kind, init).affine()
        assert torch.equal(affine.weight, torch.full((5, 5), value)) and torch.equal(affine.bias, torch.zeros(5))


@pytest.mark.parametrize("kind", ["linear", "lasso"])
def test_a_random_linear_start_has_the_spread_of_the_framework(kind):
    ours, theirs = started(kind, "random", 400, 300), nn.Conv2d(400, 300, 1)
    for mine, reference in ((ours.weight, theirs.weight), (ours.bias, theirs.bias)):
        assert mine.abs().max() <= 400**-0.5
        assert mine.std().item() == pytest.approx(reference.std().item(), rel=0.1)


def test_a_random_lowrank_start_has_unit_singular_values_of_its_rank():
    values = torch.linalg.svdvals(started("lowrank", "random", 9, 7).affine().weight)
    torch.testing.assert_close(values, torch.tensor([1.0, 1, 0, 0, 0, 0, 0]), atol=1e-5, rtol=0)


def test_a_random_orthogonal_start_is_a_rotation_or_reflection_without_a_preferred_direction():
    weights = []
    for seed in range(400):
        stitcher = Orthogonal(3, 4)
        start_(stitcher, "random", generator(seed))
        weights.append(stitcher.weight.detach())
    stack = torch.stack(weights)
    torch.testing.assert_close(stack.mT @ stack, torch.eye(3).expand(400, 3, 3), atol=1e-5, rtol=0)
    assert stack.mean(0).abs().max() < 4 * 0.5 / 400**0.5, "mean 0, standard deviation ½ per entry"


def test_a_random_birkhoff_start_is_inside_the_polytope():
    weight = started("birkhoff", "random").affine().weight
    assert weight.min() > 0
    torch.testing.assert_close(weight.sum(0), torch.ones(5))
    torch.testing.assert_close(weight.sum(1), torch.ones(5))


def test_a_random_wreath_mixes_every_channel_at_any_temperature():
    for tau in (0.01, 1.0, 50.0):
        stitcher = STITCHERS["wreath"](5, 5, tau=tau)
        start_(stitcher, "random", generator(2))
        assert (stitcher.affine().weight.max(1).values < 0.9).all() and torch.equal(stitcher.scales.data, torch.ones(5))


def by_least_squares(p: int = 5, q: int = 5) -> np.ndarray:
    x, y = (side.numpy() for side in data(p, q))
    return np.linalg.lstsq(np.column_stack([x, np.ones(len(x))]), y, rcond=None)[0]


@pytest.mark.parametrize("kind", ["linear", "lasso"])
def test_ps_inv_is_least_squares(kind):
    affine, solution = started(kind, "ps_inv", 5, 3).affine(), by_least_squares(5, 3)
    np.testing.assert_allclose(affine.weight.detach().numpy(), solution[:-1].T, atol=1e-5)
    np.testing.assert_allclose(affine.bias.detach().numpy(), solution[-1], atol=1e-5)


def test_ps_inv_of_a_low_rank_is_truncated_least_squares():
    left, values, right = np.linalg.svd(by_least_squares(5, 4)[:-1].T)
    expected = left[:, :2] * values[:2] @ right[:2]
    np.testing.assert_allclose(started("lowrank", "ps_inv", 5, 4).affine().weight.detach().numpy(), expected, atol=1e-5)


def test_ps_inv_of_a_masked_stitcher_is_least_squares_over_the_inputs_of_each_output():
    x, y = (side.numpy() for side in data(5, 3))
    mask = torch.tensor([[1, 0, 1, 0, 0], [0, 0, 0, 0, 1], [1, 1, 1, 1, 1]], dtype=torch.bool)
    stitcher = Linear(5, 3)
    stitcher.mask_(mask)
    start_(stitcher, "ps_inv", generator(), moments(*data(5, 3)))
    for output, allowed in enumerate(mask.numpy()):
        solution = np.linalg.lstsq(np.column_stack([x[:, allowed], np.ones(len(x))]), y[:, output], rcond=None)[0]
        np.testing.assert_allclose(stitcher.affine().weight[output].detach().numpy()[allowed], solution[:-1], atol=1e-5)


@pytest.mark.parametrize("kind", list(STITCHERS))
def test_matched_is_the_optimum_of_the_family(kind):
    stitcher = started(kind, "matched")
    found = matching.match(stitcher, moments(*data()))
    mine = stitcher.rounded().affine() if kind == "wreath" else stitcher.affine()  # a wreath is only near it before rounding
    torch.testing.assert_close(mine.matrix.detach().double(), found.matrix, atol=1e-4, rtol=1e-4)
    if mine.bias is not None and found.bias is not None:
        torch.testing.assert_close(mine.bias.detach().double(), found.bias, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["linear", "lowrank", "lasso", "orthogonal", "birkhoff"])
def test_no_small_change_of_a_matched_stitcher_within_its_family_fits_better(kind):
    x, y = data()
    stitcher = started(kind, "matched")
    gain = _gain_of_a_step(stitcher, x.float(), y.float())
    assert gain < 1e-4 * float(y.square().sum(1).mean())


def _gain_of_a_step(stitcher: Stitcher, x: torch.Tensor, y: torch.Tensor) -> float:
    """How much 20 careful steps of projected gradient lower what matching minimises."""

    def cost() -> torch.Tensor:
        penalty = stitcher.penalty() if stitcher.family == "lasso" else None
        fit = (stitcher(x) - y).square().sum(1).mean() / (2 if penalty is not None else 1)
        return fit if penalty is None else fit + penalty

    first = best = cost().item()
    optimizer = torch.optim.SGD(stitcher.parameters(), lr=1e-3)
    for _ in range(20):
        optimizer.zero_grad()
        cost().backward()
        optimizer.step()
        project_all([stitcher])
        best = min(best, cost().item())
    return first - best


def test_a_ridge_shrinks_the_optimum_and_is_refused_where_a_family_has_none():
    for kind, init in (("linear", "matched"), ("linear", "ps_inv"), ("lowrank", "ps_inv"), ("lasso", "ps_inv")):
        plain, shrunk = (STITCHERS[kind](5, 5, **OPTIONS.get(kind, {})) for _ in range(2))
        start_(plain, init, generator(), moments(*data()))
        start_(shrunk, init, generator(), moments(*data()), ridge=10.0)
        assert shrunk.affine().weight.norm() < 0.5 * plain.affine().weight.norm()
    with pytest.raises(InputError) as error:
        start_(Birkhoff(5, 5), "matched", generator(), moments(*data()), ridge=10.0)
    assert error.value.where == "ridge"


def test_a_learned_class_token_is_left_to_the_alignment():
    stitcher = build("linear", join((5, 2, 2), (5, 5), class_token="learned"))
    start_(stitcher, "ps_inv", generator(), moments(*data()))
    assert torch.equal(stitcher.alignment.token.data, torch.zeros(5))


def test_an_init_that_a_family_lacks_is_refused_with_those_that_it_has():
    with pytest.raises(InputError, match="no init 'ps_inv'") as error:
        start_(Birkhoff(3, 3), "ps_inv", generator())
    assert error.value.where == "init" and error.value.do == "choose random or eye or perm or matched"
    with pytest.raises(InputError, match="did you mean 'matched'"):
        start_(LowRank(3, 3, 1), "macthed", generator())
    assert set(STARTS) == set(STITCHERS.values())
