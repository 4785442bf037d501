"""Stitchers as maps of rows: what they compute, what they keep to, and what they refuse."""

import copy

import pytest
import torch
from torch import nn, optim

from repsim.errors import InputError
from repsim.stitching.inits import start_
from repsim.stitching.shapes import join
from repsim.stitching.stitchers import STITCHERS, Affine, Lasso, Linear, LowRank, build, project_all

EVERY = [
    ("linear", {}),
    ("lowrank", {"rank": 3}),
    ("lasso", {"lasso_weight": 0.1}),
    ("orthogonal", {}),
    ("orthogonal", {"scales": True}),
    ("permutation", {}),
    ("wreath", {"tau": 0.5}),
    ("birkhoff", {}),
    ("birkhoff", {"scales": True}),
]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def started(kind: str, inputs: int, outputs: int, init: str = "random", seed: int = 0, **options):
    stitcher = STITCHERS[kind](inputs, outputs, **options)
    start_(stitcher, "perm" if kind == "permutation" else init, generator(seed))
    return stitcher


def test_a_linear_stitcher_is_a_1x1_convolution_of_maps():
    stitcher = started("linear", 5, 7)
    convolution = nn.Conv2d(5, 7, 1)
    convolution.weight.data = stitcher.weight.data[:, :, None, None]
    convolution.bias.data = stitcher.bias.data
    x = torch.randn(3, 5, 4, 6, generator=generator())
    torch.testing.assert_close(stitcher(x), convolution(x))


def test_a_linear_stitcher_is_a_linear_layer_of_vectors():
    stitcher = started("linear", 5, 7)
    x = torch.randn(3, 5, generator=generator())
    torch.testing.assert_close(stitcher(x), x @ stitcher.weight.T + stitcher.bias)


def test_the_value_stays_channels_last_so_that_no_copy_is_made():
    x = torch.randn(3, 5, 4, 6).contiguous(memory_format=torch.channels_last)
    assert started("linear", 5, 7)(x).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("kind", ["linear", "lasso", "orthogonal", "birkhoff"])
def test_eye_gives_back_the_input_bit_for_bit(kind):
    x = torch.randn(4, 6, 3, 3)
    assert torch.equal(started(kind, 6, 6, "eye")(x), x)


def test_a_lowrank_stitcher_takes_the_best_approximation_of_its_start():
    target = torch.randn(7, 9, generator=generator())
    stitcher = LowRank(9, 7, rank=2)
    stitcher.start_(Affine(target))
    left, values, right = torch.linalg.svd(target, full_matrices=False)
    torch.testing.assert_close(stitcher.affine().weight, left[:, :2] * values[:2] @ right[:2])


@pytest.mark.parametrize("kind, options", EVERY)
def test_every_stitcher_applies_the_map_that_it_tells(kind, options):
    stitcher = started(kind, 6, 6, **options)
    affine, x = stitcher.affine(), torch.randn(5, 6, 2, 3, generator=generator())
    expected = torch.einsum("qp,nphw->nqhw", affine.matrix, x)
    if affine.bias is not None:
        expected = expected + affine.bias[:, None, None]
    torch.testing.assert_close(stitcher(x), expected)


def test_a_masked_stitcher_never_uses_what_the_mask_leaves_out():
    stitcher = started("linear", 6, 4)
    mask = torch.rand(4, 6, generator=generator(1)) < 0.5
    stitcher.mask_(mask)
    stitcher(torch.randn(8, 6)).square().sum().backward()
    assert (stitcher.weight.grad[~mask] == 0).all() and (stitcher.weight.grad[mask] != 0).all()
    start_(stitcher, "ones-zeros", generator())
    assert torch.equal(stitcher.affine().matrix, mask.float())
    assert stitcher.parameter_count() == int(mask.sum()) + 4


def test_lasso_adds_the_sum_of_absolute_weights_and_cuts_small_ones_when_rounded():
    stitcher = Lasso(3, 2, lasso_weight=0.5)
    stitcher.start_(Affine(torch.tensor([[1.0, -2.0, 5e-5], [-9e-5, 2e-4, 0.0]]), torch.tensor([1.0, 1e-6])))
    assert stitcher.penalty().item() == pytest.approx(0.5 * 3.00034)
    rounded = stitcher.rounded().affine()
    torch.testing.assert_close(rounded.weight, torch.tensor([[1.0, -2.0, 0.0], [0.0, 2e-4, 0.0]]))
    torch.testing.assert_close(rounded.bias, torch.tensor([1.0, 1e-6]))
    assert stitcher.weight[0, 2] == 5e-5, "the stitcher in training keeps its weights"
    assert Lasso(3, 2, lasso_weight=0.0).penalty() is None


def test_the_lasso_penalty_drives_an_unneeded_weight_to_zero():
    x = torch.randn(256, 4, generator=generator())
    stitcher = Lasso(4, 1, lasso_weight=0.05)
    start_(stitcher, "random", generator())
    optimizer = optim.SGD(stitcher.parameters(), lr=1.5e-3)
    for _ in range(1000):
        optimizer.zero_grad()
        ((stitcher(x) - 2 * x[:, :1]).square().mean() * 8 + stitcher.penalty()).backward()
        optimizer.step()
    weight = stitcher.rounded().affine().weight
    assert (weight[0, 1:] == 0).sum() >= 2 and weight[0, 0].item() == pytest.approx(2, abs=0.02)


@pytest.mark.parametrize("kind, options", EVERY)
def test_a_restricted_stitcher_sees_only_its_subspace(kind, options):
    stitcher = started(kind, 6, 6, **options)
    basis = torch.linalg.qr(torch.randn(6, 2, generator=generator(5))).Q
    mean = torch.randn(6, generator=generator(6))
    x = torch.randn(7, 6, generator=generator(7))
    expected = stitcher(mean + (x - mean) @ basis @ basis.T)
    stitcher.restrict_(basis.double(), mean.double())
    torch.testing.assert_close(stitcher(x), expected, atol=1e-5, rtol=1e-5)
    assert torch.linalg.matrix_rank(stitcher.applied().matrix, tol=1e-4) <= 2


@pytest.mark.parametrize("kind, options", [("birkhoff", {"scales": True}), ("wreath", {}), ("lasso", {})])
def test_rounding_keeps_the_subspace_and_the_alignment(kind, options):
    stitcher = build(kind, join((16, 4, 4), (17, 16), class_token="learned"), **options)
    start_(stitcher, "eye", generator())
    stitcher.restrict_(torch.eye(16)[:, :3], torch.ones(16))
    stitcher.alignment.start_(torch.arange(16.0))
    rounded, x = stitcher.rounded(), torch.randn(2, 16, 4, 4, generator=generator())
    assert rounded is not stitcher and rounded.alignment is not stitcher.alignment
    seen = torch.ones_like(x)
    seen[:, :3] = x[:, :3]
    torch.testing.assert_close(rounded(x)[:, 1:], seen.flatten(2).mT)
    torch.testing.assert_close(rounded(x)[:, 0], torch.arange(16.0).expand(2, -1))


def test_projecting_many_equals_projecting_each():
    def family():
        made = [
            started("birkhoff", n, n, seed=n + k, projection=p) for n in (4, 6) for k in (0, 1) for p in ("euclidean", "sinkhorn")
        ] + [started("orthogonal", *shape, seed=k) for k, shape in enumerate([(4, 6), (6, 6), (4, 6), (4, 5)])]
        for stitcher in made:
            stitcher.weight.data += 0.1 * torch.randn(stitcher.weight.shape, generator=generator(7))
        return made

    together, alone = family(), family()
    for _ in range(2):  # the second time from the duals of the first
        project_all([Linear(3, 3), *together])
        for one, other in zip(together, alone, strict=True):
            project_all([other])
            torch.testing.assert_close(one.weight, other.weight)


@pytest.mark.parametrize("kind", ["orthogonal", "birkhoff", "wreath"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_stitcher_that_is_not_finite_stays_so_and_spoils_no_other(kind, bad):
    broken, sound = started(kind, 5, 5), started(kind, 5, 5)
    next(broken.parameters()).data.view(-1)[0] = bad
    project_all([broken, sound])
    assert not all(p.isfinite().all() for p in broken.parameters())
    torch.testing.assert_close(sound.affine().matrix, started(kind, 5, 5).affine().matrix)


@pytest.mark.parametrize("kind, options", EVERY)
def test_weight_decay_is_for_free_weights_only(kind, options):
    spared = {"birkhoff": ("weight",), "orthogonal": ("weight",), "wreath": ("scores",)}
    stitcher = started(kind, 4, 4, **options)
    assert stitcher.undecayed == spared.get(kind, ()) and set(stitcher.undecayed) <= dict(stitcher.named_parameters()).keys()


def test_every_trained_value_gets_a_gradient():
    for kind, options in EVERY:
        stitcher = started(kind, 6, 6, **options)
        if stitcher.parameter_count():
            (stitcher(torch.randn(16, 6, generator=generator())) - 1).square().sum().backward()
        for name, parameter in stitcher.named_parameters():
            assert parameter.grad is not None and (parameter.grad != 0).any(), (kind, name)


@pytest.mark.parametrize("kind, options", EVERY)
def test_a_stitcher_can_be_copied_and_its_state_loaded(kind, options):
    stitcher = started(kind, 6, 6, **options)
    x = torch.randn(3, 6, generator=generator())
    stitcher.restrict_(torch.eye(6)[:, :4], torch.ones(6))
    if isinstance(stitcher, Linear):
        stitcher.mask_(torch.eye(6, dtype=torch.bool))
    if stitcher.parameter_count():
        stitcher(x).sum().backward()
    project_all([stitcher])
    loaded = STITCHERS[kind](6, 6, **options)
    loaded.load_state_dict(stitcher.state_dict())
    for other in (copy.deepcopy(stitcher), loaded):
        assert torch.equal(other(x), stitcher(x))
        assert torch.equal(other.rounded()(x), stitcher.rounded()(x))


@pytest.mark.parametrize("rank", [0, 8])
def test_a_rank_that_does_not_fit_is_refused(rank):
    with pytest.raises(InputError, match="from 9 to 7 values"):
        LowRank(9, 7, rank=rank)


@pytest.mark.parametrize("kind", ["permutation", "wreath", "birkhoff"])
def test_unequal_widths_are_refused_where_channels_are_matched_one_to_one(kind):
    with pytest.raises(InputError, match="16 and 32"):
        STITCHERS[kind](16, 32)


def test_building_for_layers_that_do_not_fit_names_both_shapes():
    with pytest.raises(InputError) as error:
        build("birkhoff", join((16, 8, 8), (32, 8, 8)))
    assert "(16, 8, 8)" in str(error.value) and "(32, 8, 8)" in str(error.value)


@pytest.mark.parametrize(
    "kind, options, field",
    [("birkhoff", {"projection": "sinkhron"}, "projection"), ("birkhoff", {"pgd": "hook"}, "pgd"), ("wreath", {"tau": 0.0}, "tau")],
)
def test_an_option_that_cannot_be_meant_is_refused_by_its_field(kind, options, field):
    with pytest.raises(InputError) as error:
        STITCHERS[kind](4, 4, **options)
    assert error.value.where == field
