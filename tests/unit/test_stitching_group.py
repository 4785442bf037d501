"""A whole group on networks whose stitch is known: starts, controls, ranks, masks, the choice of α, and the columns of a row."""

import copy

import numpy as np
import pytest
import torch
from stitching_networks import feed, images, network, rotated_copy, shuffled_copy

from repsim.errors import InputError
from repsim.models.cut import cuts
from repsim.stitching.asked import Asked, Family
from repsim.stitching.columns import columns
from repsim.stitching.group import Results, measure
from repsim.stitching.pair import Pair
from repsim.stitching.runs import Training

STITCHERS = {
    "linear": Family("linear"),
    "lowrank": Family("lowrank", (("rank", 32),)),
    "lasso": Family("lasso", (("lasso_weight", 1e-6),)),
    "orthogonal": Family("orthogonal"),
    "permutation": Family("permutation"),
    "birkhoff": Family("birkhoff"),
    "wreath": Family("wreath"),
    "g_relu": Family("birkhoff", (("scales", True),)),
}


def ask(key: str, layer: str, family: Family, init: str = "matched", **more) -> Asked:
    return Asked(key, layer, layer, family, init, **more)


def rows(pair: Pair, asked: list[Asked], norms: str = "frozen", **more) -> tuple[list[dict], Results]:
    results = measure(pair, feed(**more), asked, norms)
    return [columns(each, results) for each in results.measured], results


def values(net, layer: str, x: torch.Tensor) -> np.ndarray:
    """Rows of a layer, fp64."""
    value = cuts(net).reader(values=[layer])(x).values[layer]
    return value.double().movedim(1, -1).flatten(0, -2).numpy()


@pytest.mark.parametrize("init", ["eye", "matched"])
def test_a_network_stitched_to_itself_has_no_penalty(init):
    net = network(seed=0)
    (row,), results = rows(Pair(net, copy.deepcopy(net), ["bn4"], ["bn4"]), [ask("self", "bn4", Family("linear"), init)])
    assert row["accuracy"] == row["front_accuracy"] == row["end_accuracy"] == results.end.accuracy
    assert row["penalty"] == row["penalty_end"] == 0 and row["relative_accuracy"] in (None, 1.0)
    assert row["agreement"] == row["front_agreement"] == 1.0 and row["hits_rw"] == row["hits_wr"] == 0
    assert row["residual"] == pytest.approx(0.0, abs=1e-9)
    for cka in ("cut_cka_before", "cut_cka_after", "logits_cka_before", "logits_cka_after"):
        assert row[cka] == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("kind", ["linear", "lowrank", "lasso", "orthogonal", "permutation", "birkhoff"])
@pytest.mark.parametrize("layer", ["bn5"])
def test_matching_undoes_a_shuffle_of_channels(layer, kind):
    net = network(seed=0)
    order = torch.randperm(32, generator=torch.Generator().manual_seed(5))
    pair = Pair(net, shuffled_copy(net, int(layer[-1]), order), [layer], [layer])
    (row,), results = rows(pair, [ask("run", layer, STITCHERS[kind])])
    hard = results.measured[0].run.stitcher.rounded().affine().matrix
    loose = kind in ("linear", "lowrank", "lasso", "orthogonal")
    torch.testing.assert_close(hard, torch.eye(32)[order], atol=1e-2 if loose else 0, rtol=0)
    assert row["agreement"] == 1.0 and row["residual"] < 1e-5 and row["cut_cka_after"] == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("kind", ["wreath", "g_relu"])
def test_matching_with_scales_undoes_a_shuffle_and_a_scaling_at_a_relu(kind):
    net, generator = network(seed=0), torch.Generator().manual_seed(5)
    order, scales = torch.randperm(32, generator=generator), torch.rand(32, generator=generator) + 0.5
    pair = Pair(net, shuffled_copy(net, 4, order, scales), ["relu4"], ["relu4"])
    (row,), results = rows(pair, [ask("run", "relu4", STITCHERS[kind])])
    alive = torch.as_tensor(values(net, "relu4", images(24, seed=1)[0]).max(0) > 0)[order]
    expected = torch.eye(32)[order] * scales[:, None]
    matrix = results.measured[0].run.stitcher.rounded().affine().matrix
    torch.testing.assert_close(matrix[alive], expected[alive], atol=1e-5, rtol=1e-5)
    assert row["agreement"] == 1.0


def test_matching_undoes_a_rotation_by_an_orthogonal_map():
    net = network(seed=0)
    turned, rotation = rotated_copy(net, "bn4", seed=3)
    (row,), results = rows(Pair(net, turned, ["bn4"], ["bn4"]), [ask("run", "bn4", STITCHERS["orthogonal"])])
    torch.testing.assert_close(results.measured[0].run.stitcher.affine().matrix, rotation, atol=1e-4, rtol=0)
    assert row["agreement"] == 1.0 and row["residual"] < 1e-6


def test_the_controls_are_the_matched_optimum_and_that_of_shuffled_pairs():
    pair = Pair(network(seed=0), network(seed=1), ["bn5"], ["bn5"])
    asked = [ask(name, "bn5", family, "matched", controls=True) for name, family in STITCHERS.items()]
    found, _ = rows(pair, asked)
    for row in found:
        assert row["matched_accuracy"] == row["accuracy"] and row["matched_penalty"] == row["penalty"]
        assert row["matched_residual"] == pytest.approx(row["residual"], rel=1e-6)
        assert row["null_residual"] != row["matched_residual"] and row["null_residual"] > 0
        assert 0 <= row["null_accuracy"] <= 1 and row["null_penalty"] == pytest.approx(
            row["penalty"] + row["accuracy"] - row["null_accuracy"]
        )


def test_the_null_is_the_fit_to_images_that_do_not_belong_together():
    pair = Pair(network(seed=0), network(seed=1), ["bn5"], ["bn5"])
    (row,), _ = rows(pair, [ask("run", "bn5", Family("linear"), controls=True)], train=200)
    x, _ = images(200, seed=1)
    other = torch.roll(x, 1, 0)  # every image of f meets the one before it of g
    f, g = values(pair.front, "bn5", x), values(pair.end, "bn5", other)
    held, wanted = (values(net, "bn5", images(16, seed=2)[0]) for net in (pair.front, pair.end))
    W = np.linalg.lstsq(f - f.mean(0), g - g.mean(0), rcond=None)[0]
    error = ((held - f.mean(0)) @ W + g.mean(0) - wanted) ** 2
    expected = error.sum() / ((wanted - wanted.mean(0)) ** 2).sum()
    assert row["null_residual"] == pytest.approx(expected, rel=1e-3)
    assert row["null_residual"] > 1.1 * row["matched_residual"]


def test_without_controls_a_row_has_none_and_nothing_is_matched():
    pair, source = Pair(network(seed=0), network(seed=1), ["bn5"], ["bn5"]), feed()
    object.__setattr__(source, "matching", lambda: pytest.fail("nothing needs the matching images"))
    results = measure(pair, source, [ask("run", "bn5", Family("linear"), "eye")])
    assert "matched_accuracy" not in columns(results.measured[0], results)


def test_the_residual_and_the_cka_at_the_cut_are_those_of_the_whole_test_split():
    pair = Pair(network(seed=0), network(seed=1), ["bn5"], ["bn5"])
    (row,), results = rows(pair, [ask("run", "bn5", Family("linear"))])
    x, _ = images(16, seed=2)
    f, g = values(pair.front, "bn5", x), values(pair.end, "bn5", x)
    affine = results.measured[0].run.stitcher.affine()
    s = f @ affine.weight.detach().double().numpy().T + affine.bias.detach().double().numpy()
    error, centred = ((s - g) ** 2).sum(), ((g - g.mean(0)) ** 2).sum()
    assert row["residual"] == pytest.approx(error / centred, rel=1e-4)
    assert row["residual_uncentred"] == pytest.approx(error / (g**2).sum(), rel=1e-4)
    for name, one in (("before", f), ("after", s)):
        a, b = one - one.mean(0), g - g.mean(0)
        cka = np.linalg.norm(a.T @ b) ** 2 / (np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b))
        assert row[f"cut_cka_{name}"] == pytest.approx(cka, rel=1e-4)
    spectrum = np.linalg.svd(affine.weight.detach().numpy().astype(float), compute_uv=False)
    assert row["singular_values"] == pytest.approx(spectrum.tolist(), rel=1e-6) and row["matrix_rank"] == 32


def test_front_stitch_rank_lets_the_stitcher_see_one_fixed_subspace():
    pair = Pair(network(seed=0), network(seed=1), ["bn5"], ["bn5"])
    training = Training(2, "sgd", 0.05)
    asked = [ask("run", "bn5", Family("linear", stitch_rank=3), "random", training=training, controls=True)]
    (row,), results = rows(pair, asked)
    run = results.measured[0].run
    f = values(pair.front, "bn5", images(24, seed=1)[0])
    mean = f.mean(0)
    top = np.linalg.eigh(np.cov(f.T))[1][:, -3:]
    seen = mean + (f - mean) @ top @ top.T
    affine, applied = run.stitcher.affine(), run.stitcher.applied()
    expected = seen @ affine.weight.detach().double().numpy().T + affine.bias.detach().double().numpy()
    got = f @ applied.weight.detach().double().numpy().T + applied.bias.detach().double().numpy()
    np.testing.assert_allclose(got, expected, atol=1e-4)
    assert row["matrix_rank"] == 3, "of the map that is applied"


def test_front_match_rank_is_principal_component_regression():
    pair = Pair(network(seed=0), network(seed=1), ["bn5"], ["bn5"])
    _, results = rows(pair, [ask("run", "bn5", Family("linear", match_rank=4))])
    x, _ = images(24, seed=1)
    f, g = values(pair.front, "bn5", x), values(pair.end, "bn5", x)
    top = np.linalg.eigh(np.cov(f.T))[1][:, -4:]
    inner = np.linalg.lstsq((f - f.mean(0)) @ top, g - g.mean(0), rcond=None)[0]
    np.testing.assert_allclose(results.measured[0].run.stitcher.weight.detach().numpy(), (top @ inner).T, atol=1e-3)


@pytest.mark.parametrize("mask", ["identity", "semi-match", "abs-semi-match", "random-permutation", "soft-match", "hard-match"])
def test_a_masked_stitcher_uses_only_what_its_mask_allows(mask):
    pair = Pair(network(seed=0), network(seed=1), ["bn5"], ["bn5"])
    asked = [ask(str(n), "bn5", Family("linear", mask=mask), "random", seed=n, training=Training(1), controls=True) for n in (0, 1)]
    found, results = rows(pair, asked)
    patterns = [each.run.stitcher.affine().weight != 0 for each in results.measured]
    one_each = mask != "soft-match"
    assert all((pattern.sum(1) == 1).all() if one_each else (pattern.sum(1) >= 1).all() for pattern in patterns)
    assert torch.equal(*patterns) == (mask != "random-permutation")
    full, _ = rows(pair, [ask("run", "bn5", Family("linear"))])
    assert all(row["matched_residual"] >= full[0]["residual"] - 0.05 and row["stitcher_parameters"] > 0 for row in found)


def test_crossval_chooses_alpha_on_the_validation_images_and_says_which():
    pair = Pair(network(seed=0), network(seed=1), ["bn5"], ["bn5"])
    training = Training(2, "sgd", 0.1)
    family = Family("birkhoff", (("alpha", 0.1),))
    choices = (0.01, 0.1, 1.0)
    each = [
        ask(str(a), "bn5", Family("birkhoff", (("alpha", a),)), "random", training=training, select="validation") for a in choices
    ]
    together = ask("all", "bn5", family, "random", training=training, select="validation", crossval=choices)
    (*single, chosen), results = rows(pair, [*each, together])
    runs = [measured.run for measured in results.measured]
    best = max(range(3), key=lambda i: (runs[i].judged.accuracy, -runs[i].judged.loss, -i))
    assert chosen["regulariser"] == choices[best]
    for column in ("accuracy", "validation_accuracy", "selected_epoch"):
        assert chosen[column] == single[best][column]
    assert [row["regulariser"] for row in single] == list(choices)


@pytest.mark.parametrize("norms", ["train", "reestimate"])
def test_statistics_are_kept_apart_from_the_first_step_to_the_test(norms):
    pair = Pair(network(seed=0), network(seed=1), ["bn3"], ["bn3"])
    asked = [ask(str(n), "bn3", Family("linear"), "random", seed=n, training=Training(2), select="validation") for n in (0, 1)]
    together, _ = rows(pair, asked, norms)
    for want, row in zip(asked, together, strict=True):
        (alone,), _ = rows(Pair(network(seed=0), network(seed=1), ["bn3"], ["bn3"]), [want], norms)
        assert alone["accuracy"] == row["accuracy"] and alone["selected_epoch"] == row["selected_epoch"]
        assert alone["loss"] == pytest.approx(row["loss"], rel=1e-3)
    (frozen,), _ = rows(pair, asked[:1])
    assert frozen["loss"] != pytest.approx(together[0]["loss"], rel=1e-3)


def test_rounding_and_cutting_are_measured_on_both_sides():
    pair = Pair(network(seed=0), network(seed=1), ["relu5"], ["relu5"])
    training = Training(1, "sgd", 0.05)
    asked = [
        ask("birkhoff", "relu5", Family("birkhoff"), "random", training=training),
        ask("lasso", "relu5", Family("lasso", (("lasso_weight", 0.05),)), "matched"),
        ask("linear", "relu5", Family("linear"), "matched"),
    ]
    (birkhoff, lasso, linear), results = rows(pair, asked)
    assert birkhoff["rounding_loss"] == birkhoff["accuracy_unrounded"] - birkhoff["accuracy"]
    zeros = (results.measured[1].run.stitcher.weight.abs() < 1e-4).double().mean().item()
    assert lasso["sparsity"] == pytest.approx(zeros) and 0 < zeros < 1
    assert linear["sparsity"] is None and linear["accuracy_unrounded"] is None


def test_layers_of_other_sizes_are_refused_with_both_shapes():
    pair = Pair(network(seed=0), network(seed=1), ["bn1"], ["bn8"])
    with pytest.raises(InputError, match=r"\(16, 30, 30\) in front, \(64, 2, 2\) behind"):
        measure(pair, feed(), [Asked("run", "bn1", "bn8", Family("linear"))])
    resized = Asked("run", "bn1", "bn8", Family("linear", joint=(("resize", "bilinear"),)), "matched")
    (row,), _ = rows(pair, [resized])
    assert 0 <= row["residual"] < 10


def test_a_diverged_run_says_what_it_can():
    pair = Pair(network(seed=0), network(seed=1), ["pool"], ["pool"])
    wild = Training(3, "sgd", 1e20, weight_decay=1.0)
    (bad, good), results = rows(
        pair, [ask("bad", "pool", Family("linear"), "random", training=wild), ask("good", "pool", Family("linear"))]
    )
    assert results.measured[0].run.diverged and results.measured[0].outcome is None
    assert "accuracy" not in bad and bad["end_accuracy"] == good["end_accuracy"] and good["accuracy"] >= 0


def test_a_learned_class_token_starts_at_the_mean_of_the_ends():
    pair = Pair(network("tiny10", 0), network("vit_tiny", 1, width=1), ["bn4"], ["blocks.0"])
    family = Family("linear", joint=(("class_token", "learned"),))
    (row,), results = rows(pair, [Asked("run", "bn4", "blocks.0", family, "matched", controls=True)])
    x, _ = images(24, seed=1)
    token = cuts(pair.end).reader(values=["blocks.0"])(x).values["blocks.0"][:, 0].mean(0)
    torch.testing.assert_close(results.measured[0].run.stitcher.alignment.token.detach(), token, atol=1e-5, rtol=1e-4)
    assert 0 <= row["accuracy"] <= 1 and row["residual"] > 0


@pytest.mark.parametrize(
    "front, end, joint",
    [
        (("vit_tiny", "blocks.1"), ("vit_tiny", "blocks.2"), {}),
        (("vit_tiny", "blocks.1"), ("tiny10", "bn4"), {"class_token": "added"}),
        (("vit_tiny", "blocks.1"), ("tiny10", "bn4"), {"class_token": "only"}),
        (("tiny10", "bn4"), ("vit_tiny", "blocks.2"), {"class_token": "pooled"}),
        (("resnet20", "layer2.0.bn1"), ("tiny10", "bn3"), {"resize": "bilinear", "resize_at": "post"}),
        (("tiny10", "bn8"), ("resnet20", "layer3.2"), {"view": "flatten"}),
    ],
)
def test_layers_of_other_architectures_are_trained_and_matched(front, end, joint):
    widths = {"vit_tiny": 1}
    nets = [network(arch, seed, width=widths.get(arch)) for seed, (arch, _) in enumerate((front, end))]
    pair = Pair(*nets, [front[1]], [end[1]])
    family = Family("linear", joint=tuple(joint.items()))
    asked = [Asked("trained", front[1], end[1], family, "random", training=Training(2), controls=True)]
    asked += [Asked("matched", front[1], end[1], family, "matched")]
    (trained, matched), results = rows(pair, asked)
    assert results.measured[0].run.epochs_run == 2 and trained["matched_accuracy"] == matched["accuracy"]
    assert trained["matched_residual"] == pytest.approx(matched["residual"], rel=1e-6)


def test_the_residual_of_an_added_class_token_is_that_of_the_trained_weight():
    pair = Pair(network("vit_tiny", 0, width=1), network("tiny10", 1), ["blocks.1"], ["bn4"])
    family = Family("linear", joint=(("class_token", "added"), ("resize", "nearest")))
    asked = [Asked(str(n), "blocks.1", "bn4", family, "random", seed=n, training=Training(3, "sgd", 1.0)) for n in (0, 1)]
    found, results = rows(pair, asked)
    x, _ = images(16, seed=2)
    front = cuts(pair.front).reader(values=["blocks.1"])(x).values["blocks.1"]
    end = cuts(pair.end).reader(values=["bn4"])(x).values["bn4"]
    for row, each in zip(found, results.measured, strict=True):
        stitcher = each.run.stitcher
        assert abs(float(stitcher.alignment.weight.detach()) - 0.1) > 1e-4, "it was trained"
        with torch.no_grad():
            error = (stitcher(front) - end).double().square().sum()
        centred = (end - end.mean((0, 2, 3), keepdim=True)).double().square().sum()
        assert row["residual"] == pytest.approx(float(error / centred), rel=1e-3)


def test_the_controls_of_a_chosen_lasso_are_those_of_the_chosen_weight():
    pair = Pair(network(seed=0), network(seed=1), ["bn5"], ["bn5"])
    choices = (1e-4, 0.5)
    training = Training(1, "adam", 1e-3)
    each = [
        ask(str(w), "bn5", Family("lasso", (("lasso_weight", w),)), "random", training=training, controls=True) for w in choices
    ]
    chosen = ask("all", "bn5", Family("lasso"), "random", training=training, select="validation", crossval=choices, controls=True)
    (*single, row), _ = rows(pair, [*each, chosen])
    assert single[0]["matched_residual"] != single[1]["matched_residual"]
    best = choices.index(row["regulariser"])
    assert row["matched_residual"] == single[best]["matched_residual"] and row["null_residual"] == single[best]["null_residual"]


def test_families_that_differ_in_training_alone_share_their_controls(monkeypatch):
    from repsim.stitching import inits

    solved, match = [], inits.matching.match
    monkeypatch.setattr(inits.matching, "match", lambda *args: (solved.append(1), match(*args))[1])
    pair = Pair(network(seed=0), network(seed=1), ["bn5"], ["bn5"])
    asked = [ask(str(a), "bn5", Family("birkhoff", (("alpha", a),)), "eye", controls=True) for a in (0.1, 0.2, 0.3)]
    rows(pair, asked)
    assert len(solved) == 2, "one optimum and one null"


def test_controls_see_batch_statistics_where_their_stitcher_does():
    pair = Pair(network(seed=0), network(seed=1), ["bn3"], ["bn3"])
    want = ask("run", "bn3", Family("linear"), controls=True)
    accuracies = {norms: rows(pair, [want], norms)[0][0]["matched_accuracy"] for norms in ("frozen", "train", "reestimate")}
    again = [rows(pair, [want], norms)[1].measured[0].matched.score.loss for norms in ("frozen", "train", "reestimate")]
    assert again[1] == pytest.approx(again[2], rel=1e-5) and again[0] != pytest.approx(again[1], rel=1e-3), accuracies


def test_a_start_that_cannot_be_found_is_recorded_as_diverged_and_the_pack_goes_on(monkeypatch):
    from repsim.stitching import inits

    def fail(*_):
        raise ArithmeticError("did not converge")

    monkeypatch.setattr(inits.matching, "match", fail)
    pair = Pair(network(seed=0), network(seed=1), ["bn5"], ["bn5"])
    asked = [ask("lost", "bn5", Family("birkhoff"), controls=True), ask("other", "bn5", Family("linear"), "eye", controls=True)]
    (lost, other), results = rows(pair, asked)
    assert results.measured[0].run.diverged and results.measured[0].outcome is None and "accuracy" not in lost
    assert 0 <= other["accuracy"] <= 1 and "matched_accuracy" not in other
