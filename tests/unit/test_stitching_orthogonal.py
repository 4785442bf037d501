"""The orthogonal stitcher and the polar factor, against singular values and rotations that are known."""

import pytest
import torch
from torch import optim

from repsim.stitching.inits import start_
from repsim.stitching.orthogonal import polar
from repsim.stitching.stitchers import Affine, Orthogonal, project_all


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("shape", [(6, 6), (4, 9), (1, 1)])
@pytest.mark.parametrize("size", [1e-3, 1.0])
def test_an_orthogonal_stitcher_is_the_nearest_orthogonal_one_after_a_step(shape, size):
    stitcher = Orthogonal(*shape)
    start_(stitcher, "random", generator())
    moved = stitcher.weight.data + size * torch.randn(stitcher.weight.shape, generator=generator(3))
    stitcher.weight.data = moved.clone()
    project_all([stitcher])
    left, _, right = torch.linalg.svd(moved.double(), full_matrices=False)
    torch.testing.assert_close(stitcher.weight.data, (left @ right).float(), atol=1e-6, rtol=0)
    torch.testing.assert_close(stitcher.weight.T @ stitcher.weight, torch.eye(shape[0]), atol=1e-6, rtol=0)


def test_the_polar_factor_near_and_far_is_that_of_singular_values():
    near = torch.linalg.qr(torch.randn(3, 9, 5, generator=generator(), dtype=torch.float64)).Q
    for size in (0.0, 1e-6, 1e-3, 5e-2, 3.0):
        stack = near + size * torch.randn(3, 9, 5, generator=generator(1), dtype=torch.float64)
        left, _, right = torch.linalg.svd(stack, full_matrices=False)
        torch.testing.assert_close(polar(stack), left @ right, atol=1e-12, rtol=0)
    torch.testing.assert_close(polar(stack[1]), (left @ right)[1], atol=1e-12, rtol=0)


def test_an_orthogonal_start_of_a_scaled_rotation_keeps_rotation_and_scale():
    rotation = torch.linalg.qr(torch.randn(5, 5, generator=generator())).Q
    stitcher = Orthogonal(5, 5, scales=True)
    for start in (Affine(2.5 * rotation), Affine(rotation, scales=torch.full((5,), 2.5))):
        stitcher.start_(start)
        torch.testing.assert_close(stitcher.weight.data, rotation)
        torch.testing.assert_close(stitcher.affine().matrix, 2.5 * rotation)


def test_training_an_orthogonal_stitcher_finds_a_rotation_and_its_scale():
    rotation = torch.linalg.qr(torch.randn(6, 6, generator=generator())).Q
    x = torch.randn(256, 6, generator=generator(1))
    y = 1.7 * x @ rotation.T + 0.3
    stitcher = Orthogonal(6, 6, scales=True)
    stitcher.start_(Affine(rotation + 0.5 * torch.randn(6, 6, generator=generator(2))))
    optimizer = optim.SGD(stitcher.parameters(), lr=0.2)
    for _ in range(150):
        optimizer.zero_grad()
        (stitcher(x) - y).square().mean().backward()
        optimizer.step()
        project_all([stitcher])
    torch.testing.assert_close(stitcher.weight.data, rotation, atol=1e-3, rtol=0)
    torch.testing.assert_close(stitcher.affine().matrix, 1.7 * rotation, atol=1e-3, rtol=0)
