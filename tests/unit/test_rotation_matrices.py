"""Random matrices behind a layer: what each is, how it is distributed, and what it commutes with."""

import numpy as np
import pytest
import torch
from scipy import stats

from repsim.errors import InputError
from repsim.rotation.matrices import channels_of, condition, draw, rotate

KINDS = ("orthogonal", "permutation", "g_relu")


def drawn(kind: str, channels: int = 7, seed: int = 3, sigma: float = 1.0) -> torch.Tensor:
    matrix = draw(kind, channels, seed, sigma)
    assert matrix is not None
    return matrix


@pytest.mark.parametrize("channels", [1, 2, 7, 64])
def test_an_orthogonal_matrix_keeps_lengths_and_angles(channels):
    q = drawn("orthogonal", channels)
    assert q.dtype == torch.float64
    assert (q.T @ q - torch.eye(channels, dtype=torch.float64)).abs().max() < 1e-12
    assert condition(q) == pytest.approx(1, abs=1e-12)


def test_orthogonal_matrices_are_uniform():
    """In three dimensions each entry of a uniform one is uniform on [−1, 1] (Archimedes), E tr(Q)² = 1, half are reflections."""
    many = torch.stack([drawn("orthogonal", 3, seed) for seed in range(1500)])
    for i in range(3):
        for j in range(3):
            assert stats.kstest(many[:, i, j].numpy(), stats.uniform(-1, 2).cdf).pvalue > 0.005
    assert float(many.diagonal(dim1=1, dim2=2).sum(1).square().mean()) == pytest.approx(1, abs=0.15)
    assert float((torch.linalg.det(many) < 0).double().mean()) == pytest.approx(0.5, abs=0.05)


def test_a_permutation_moves_every_channel_once():
    p = drawn("permutation", 50)
    assert set(p.unique().tolist()) == {0.0, 1.0}
    assert p.sum(0).tolist() == p.sum(1).tolist() == [1.0] * 50
    assert not torch.equal(p, torch.eye(50, dtype=torch.float64))


def test_a_g_relu_matrix_is_a_permutation_times_log_normal_scales_of_mean_one():
    many = [drawn("g_relu", 500, seed, sigma=0.5) for seed in range(20)]
    assert all(((matrix != 0).sum(axis) == 1).all() for matrix in many for axis in (0, 1))
    scales = torch.cat([matrix.sum(0) for matrix in many]).numpy()
    assert stats.kstest(np.log(scales), stats.norm(-0.125, 0.5).cdf).pvalue > 0.01
    assert scales.mean() == pytest.approx(1, abs=0.02)


def test_the_condition_of_a_g_relu_matrix_is_the_ratio_of_its_scales():
    scales = drawn("g_relu", 20).sum(0)
    assert condition(drawn("g_relu", 20)) == pytest.approx(float(scales.max() / scales.min()))


def test_without_spread_a_g_relu_matrix_is_the_permutation_of_its_seed():
    assert torch.equal(drawn("g_relu", 9, 5, sigma=0.0), drawn("permutation", 9, 5))


@pytest.mark.parametrize("kind", KINDS)
def test_only_g_relu_matrices_commute_with_relu(kind):
    matrix = drawn(kind, 16)
    x = torch.randn(100, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    before, after = (matrix @ x.T).relu(), matrix @ x.T.relu()
    if kind == "orthogonal":
        assert (before - after).norm() > 0.3 * after.norm()
    else:
        assert torch.equal(before, after)


def test_nothing_is_inserted_for_an_identity():
    assert draw("identity", 4, 0) is None
    assert condition(None) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_one_matrix_whatever_was_drawn_elsewhere(kind):
    first, state = drawn(kind), torch.random.get_rng_state()
    torch.rand(5)
    assert torch.equal(first, drawn(kind))
    assert not torch.equal(first, drawn(kind, seed=4))
    torch.random.set_rng_state(state)
    drawn(kind)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize(
    ("shape", "rule"), [((2, 7, 3, 5), "ij,njhw->nihw"), ((2, 4, 7), "ij,ntj->nti"), ((2, 7), "ij,nj->ni")], ids=str
)
def test_maps_are_rotated_at_every_position_tokens_and_vectors_in_their_dimensions(shape, rule):
    value = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    matrix = drawn("orthogonal")
    assert channels_of(shape[1:]) == 7
    assert torch.allclose(rotate(value, matrix), torch.einsum(rule, matrix, value), atol=1e-12)
    assert torch.allclose(rotate(rotate(value, matrix), matrix.T.contiguous()), value, atol=1e-12)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("ortogonal", 4, 0), r"there is no matrix 'ortogonal'\n  → did you mean 'orthogonal'"),
        (("orthogonal", 4, -1), "matrix_seed: cannot be -1"),
        (("g_relu", 4, 0, -0.5), "sigma: cannot be -0.5"),
        (("g_relu", 4, 0, float("nan")), "sigma: cannot be nan"),
        (("identity", 0, 0), "channels: cannot be 0"),
    ],
)
def test_what_is_no_matrix_is_refused(asked, message):
    with pytest.raises(InputError, match=message):
        draw(*asked)
