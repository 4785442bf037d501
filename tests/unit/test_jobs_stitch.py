"""The stitch job: what its Config refuses, what it checks against layer sheets, and a group end to end on the digits."""

import re
from dataclasses import asdict, replace
from pathlib import Path

import jobground
import pytest
import torch
from pydantic import ValidationError

from repsim import job as jobs
from repsim.data import sources
from repsim.errors import InputError, Interrupted, UserError
from repsim.models import checkpoint
from repsim.models.layers import describe
from repsim.models.network import Facts
from repsim.models.zoo import build
from repsim.stitching import inits, masks, rules, saved
from repsim.stitching.inits import STARTS
from repsim.stitching.shapes import join
from repsim.stitching.stitchers import STITCHERS
from repsim.stitching.stitchers import build as build_stitcher

JOB = jobs.load(Path(__file__).parents[2] / "jobs", "stitch")
FACTS = Facts("tiny10", None, 10, 1, 32)
BASE = {"front_network": "aaaa", "end_network": "bbbb", "dataset": "digits32", "front_layer": "bn6", "end_layer": "bn6"}
SMALL = {"train_images": 64, "validation_images": 32, "test_images": 50, "batch_size": 32}


def config(**fields):
    return JOB.config(**{**BASE, "stitcher": "linear", "init": "matched", **fields})


class Sheets:
    """Stands in for the catalog: the same network for every run."""

    data_folders = ()
    facts = jobs.NetworkFacts(**asdict(FACTS))
    sheet = (
        {"name": "bn1", "kind": "BatchNorm2d", "shape": [16, 30, 30], "beside": []},
        {"name": "bn6", "kind": "BatchNorm2d", "shape": [64, 4, 4], "beside": ["branch"]},
        {"name": "branch", "kind": "Conv2d", "shape": [64, 4, 4], "beside": []},
        {"name": "wide", "kind": "Conv2d", "shape": [96, 4, 4], "beside": []},
    )

    def network(self, run):
        return self.facts

    def dataset(self, run):
        return "digits32"

    def network_layers(self, run):
        return list(self.sheet)

    def kept(self, run):
        return None


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Holds the artefacts of two networks, and the cache of decoded images."""
    root = tmp_path_factory.mktemp("stitch")
    for run, seed in (("aaaa", 0), ("bbbb", 1)):
        (root / run).mkdir()
        network = build(FACTS, (0.3,), (0.4,), torch.Generator().manual_seed(seed))
        checkpoint.save(network, root / run / "network.pt", {})
    return root


@pytest.fixture
def context(folder):
    return jobground.context_of(folder)


@pytest.mark.parametrize(
    "fields, named",
    [
        ({"stitcher": "lowrank"}, "rank"),
        ({"rank": 2}, "rank"),
        ({"alpha": 0.5}, "alpha"),
        ({"projection": "sinkhorn"}, "projection"),
        ({"scales": True}, "scales"),
        ({"stitcher": "permutation", "epochs": 2}, "epochs"),
        ({"stitcher": "permutation", "init": "random"}, "init"),
        ({"stitcher": "birkhoff", "init": "ps_inv"}, "init"),
        ({"stitcher": "lowrank", "rank": 2, "init": "eye"}, "init"),
        ({"init": "random"}, "epochs"),
        ({"epochs": 1, "validation_images": 0}, "select"),
        ({"epochs": 1, "momentum": 0.9}, "momentum"),
        ({"epochs": -1}, "epochs"),
        ({"lr": 0.0}, "lr"),
        ({"stitcher": "liner"}, "stitcher"),
        ({"stitcher": "lasso"}, "lasso_weight"),
        ({"stitcher": "lasso", "lasso_weight": 0.1, "crossval": "0.1 1"}, "lasso_weight: crossval chooses it"),
        ({"lasso_weight": 0.1}, "lasso_weight: a linear stitcher has none"),
        ({"tau": 2.0}, "tau"),
        ({"warmup": 0.2}, "warmup"),
        ({"stitcher": "birkhoff", "warmup": 0.2}, "warmup: without scales"),
        ({"stitcher": "birkhoff", "alternating": True}, "alternating: without scales"),
        ({"stitcher": "birkhoff", "pgd": "gradient"}, "pgd: .* sgd"),
        ({"stitcher": "lowrank", "rank": 2, "mask": "identity"}, "mask: only a linear"),
        ({"mask": "semi"}, "mask"),
        ({"view": "flatten", "resize": "nearest"}, "view: flatten"),
        ({"stitcher": "permutation", "ridge": 0.1}, "ridge"),
        ({"init": "eye", "ridge": 0.1, "controls": False}, "ridge: nothing is matched"),
        ({"init": "eye", "front_match_rank": 2, "controls": False}, "front_match_rank"),
        ({"front_match_rank": 5, "front_stitch_rank": 2}, "front_match_rank: it is above"),
        ({"temperature": 2.0}, "temperature: the target hard"),
        ({"target": "latents"}, "latents"),
        ({"latents": "cut 1"}, "latents"),
        ({"target": "latents", "latents": "cut"}, "latents: give 'LAYER WEIGHT"),
        ({"target": "latents", "latents": "cut one"}, "latents: 'one' is no number"),
        ({"target": "latents", "latents": "cut 1, cut 2"}, "latents: a layer stands twice"),
        ({"target": "latents", "latents": "cut -1"}, "latents: -1 is not a positive"),
        ({"stitcher": "orthogonal", "l1": 0.1}, "l1: only a linear"),
        ({"crossval": "0.1 1"}, "crossval: a linear stitcher has nothing"),
        ({"stitcher": "birkhoff", "crossval": "0.1"}, "crossval: give two or more"),
        ({"stitcher": "birkhoff", "crossval": "0.1 nan"}, "crossval: nan is not a positive"),
        ({"stitcher": "birkhoff", "crossval": "0.1 1", "validation_images": 0}, "crossval: it chooses on validation"),
        ({"stitcher": "birkhoff", "crossval": "0.1 1", "select": "test_best"}, "crossval: .* test_best"),
        ({"stitcher": "wreath", "init": "ps_inv"}, "init: a wreath stitcher has no 'ps_inv'"),
        ({"stitcher": "birkhoff", "epochs": 1, "crossval": "0.1 1", "alpha": 0.5}, "alpha: crossval chooses it"),
        ({"stitcher": "birkhoff", "crossval": "0.1 1"}, "crossval: nothing is trained"),
        ({"stitcher": "lasso", "init": "ps_inv", "crossval": "0.1 1"}, "crossval: nothing is trained"),
        ({"target": "soft_1"}, "target: nothing is trained"),
        ({"target": "latents", "latents": "cut 1"}, "target: nothing is trained"),
        ({"l1": 0.1}, "l1: nothing is trained"),
        ({"cka_reg": 0.1}, "cka_reg: nothing is trained"),
        ({"stitcher": "birkhoff", "scales": True, "warmup": 0.2}, "warmup: nothing is trained"),
        ({"stitcher": "birkhoff", "scales": True, "alternating": True}, "alternating: nothing is trained"),
        ({"stitcher": "birkhoff", "scales": True, "epochs": 2, "alternating": True, "warmup": 1.0}, "warmup: it leaves no epoch"),
        ({"init": "eye", "match_images": 50, "controls": False}, "match_images: nothing is matched"),
        ({"init": "eye", "match_images": 50, "controls": False, "mask": "identity"}, "match_images: nothing is matched"),
        ({"schedule": "step"}, "schedule"),
        ({"batchnorm": "batch"}, "batchnorm"),
        ({"precision": "fp16"}, "precision"),
        ({"epoch": 3}, "epoch"),
        ({"seed": "0"}, "seed"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_the_field_is_named(fields, named):
    with pytest.raises(ValidationError, match=named):
        config(**fields)


def test_values_fixed_for_a_whole_sweep_may_stand_at_every_case():
    fixed = {
        "alpha": 0.1,
        "projection": "euclidean",
        "scales": False,
        "rank": None,
        "lr": 0.01,
        "optimizer": "sgd",
        "momentum": 0.9,
    }
    config(**fixed)
    config(stitcher="permutation", **fixed)
    config(stitcher="birkhoff", epochs=2, init="random", **fixed)


def test_how_one_trains_may_be_fixed_also_for_cases_that_train_nothing():
    fixed = {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4, "schedule": "cosine", "augment": "flip"}
    config(epochs=0, batch_size=64, batchnorm="train", select="last", train_images=500, **fixed)


@pytest.mark.parametrize("reads", [{"controls": True}, {"init": "ps_inv"}, {"mask": "soft-match"}, {"front_stitch_rank": 2}])
def test_images_to_match_with_may_be_counted_wherever_any_are_read(reads):
    config(**{"init": "eye", "match_images": 50, "controls": False, **reads})


def test_crossval_may_choose_the_weight_of_a_lasso_that_is_only_matched(context):
    (row,) = JOB.run([config(**SMALL, stitcher="lasso", crossval="0.001 0.1 10")], context)
    alone = JOB.run([config(**SMALL, stitcher="lasso", lasso_weight=weight) for weight in (0.001, 0.1, 10.0)], context)
    best = max(alone, key=lambda one: one.validation_accuracy)
    assert (row.validation_accuracy, row.accuracy) == (best.validation_accuracy, best.accuracy)
    assert row.regulariser == best.regulariser


def test_work_counts_every_candidate_of_crossval():
    one = config(**SMALL, stitcher="birkhoff", epochs=3)
    three = config(**SMALL, stitcher="birkhoff", epochs=3, crossval="0.1 1 10")
    assert JOB.hook("work")(one) == 3 * (64 + 32) + 50
    assert JOB.hook("work")(three) == 3 * 3 * (64 + 32) + 50


def test_labels_are_no_part_of_what_sets_a_group_apart():
    told = ("arch", "made", "dataset", "seed")
    assert JOB.config.labels == {f"{side}_{name}" for side in ("front", "end") for name in told}
    one, other = (
        config(front_seed=1, seed=3),
        config(front_seed=2, front_layer="bn1", end_layer="bn1", epochs=9, stitcher="birkhoff"),
    )
    assert JOB.group_key(one) == JOB.group_key(other)
    for field, value in {
        "data_seed": 1,
        "batchnorm": "reestimate",
        "batch_size": 64,
        "test_images": 9,
        "end_network": "cccc",
    }.items():
        assert JOB.group_key(config(**{field: value})) != JOB.group_key(config())
    assert JOB.inputs(one) == ["aaaa", "bbbb"]


def test_the_job_offers_exactly_the_inits_that_there_are():
    assert {kind: set(choices) for kind, choices in rules.INITS.items()} == {k: set(STARTS[s]) for k, s in STITCHERS.items()}
    assert set(rules.MASKS_FROM_MOMENTS) == masks.FROM_MOMENTS


@pytest.mark.parametrize(
    "fields, said",
    [
        ({"front_layer": "bn66"}, "did you mean 'bn6'"),
        ({"end_layer": "bn1"}, r"\(64, 4, 4\) in front, \(16, 30, 30\) behind[\s\S]*resize: bilinear"),
        (
            {"end_layer": "wide", "stitcher": "birkhoff"},
            r"not 64 and 96 \(layers of shape \(64, 4, 4\) and [\s\S]*linear or lowrank",
        ),
        ({"stitcher": "lowrank", "rank": 65}, "rank 65 does not fit a stitcher from 64 to 64 values"),
        ({"dataset": "digits23"}, "digits32"),
        ({"resize": "bilinear"}, "resize"),
        ({"class_token": "pooled"}, "class_token"),
        ({"front_stitch_rank": 65}, "front_stitch_rank: 65 principal components .* rows of 64"),
        ({"target": "latents", "latents": "bn1 1", "epochs": 1}, "latents: 'bn1' is no layer of g that is computed"),
        ({"target": "latents", "latents": "branch 1", "epochs": 1}, "latents: 'branch' is no layer .* computed from 'bn6'"),
        (
            {"target": "latents", "latents": "wid 1", "epochs": 1},
            "latents: 'wid' is no layer of g that is computed from 'bn6'[\\s\\S]*did you mean 'wide'",
        ),
        ({"stitcher": "orthogonal", "front_layer": "wide"}, "orthogonal .* 96"),
        ({"train_images": 1000, "validation_images": 1000}, "has 1297"),
        ({"train_images": None, "validation_images": 1296}, "train_images, validation_images: 2 training and 1296"),
        ({"test_images": 501}, "test_images: 501 of 500 test images of 'digits32'"),
        ({"match_images": 65}, "match_images: 65 of 64 training images"),
        ({"train_images": None, "match_images": 1266}, "match_images: 1266 of 1265 training images"),
        ({"dataset": "digits"}, r"dataset: 'digits' does not fit a network made for tiny10 \(10 classes, 1×32×32 input\)"),
        ({"end_layer": "bn1", "view": "flatten"}, r"view: .* 1,024 values to 14,400, .* 1\.66 GB[\s\S]*8,192 values at most"),
        ({"front_layer": "bn1", "view": "flatten"}, "view: .* 14,400 values to 1,024"),
    ],
)
def test_what_does_not_fit_the_networks_is_said_before_anything_runs(fields, said):
    with pytest.raises(UserError) as caught:
        JOB.hook("check")(config(**{**SMALL, **fields}), Sheets())
    assert re.search(said, str(caught.value)), str(caught.value)


def test_what_fits_passes_the_check():
    JOB.hook("check")(config(**SMALL), Sheets())
    JOB.hook("check")(config(**SMALL, end_layer="wide"), Sheets())
    JOB.hook("check")(config(**SMALL, end_layer="bn1", resize="nearest"), Sheets())
    JOB.hook("check")(config(**SMALL, end_layer="wide", view="flatten"), Sheets())
    JOB.hook("check")(config(**{**SMALL, "match_images": 64, "test_images": 500}), Sheets())
    JOB.hook("check")(config(**SMALL, target="latents", latents="cut 1, wide 2, logits 1", epochs=1), Sheets())


def test_a_side_branch_of_a_real_network_is_refused_before_anything_runs(monkeypatch):
    monkeypatch.setattr(Sheets, "sheet", tuple(asdict(layer) for layer in describe(Facts("resnet20", None, 10, 1, 32))))
    asked = {**SMALL, "front_layer": "layer2.0.conv1", "end_layer": "layer2.0.conv1", "target": "latents", "epochs": 1}
    JOB.hook("check")(config(**asked, latents="layer2.0.bn1 1, layer2.0 1"), Sheets())
    with pytest.raises(UserError, match=r"latents: 'layer2\.0\.downsample' is no layer of g that is computed"):
        JOB.hook("check")(config(**asked, latents="layer2.0.downsample 1"), Sheets())


def test_plan_and_run_say_alike_what_a_data_set_does_not_fit(context):
    asked = config(**{**SMALL, "dataset": "digits"})
    with pytest.raises(InputError) as planned:
        rules.check_fit(sources.get("digits"), Sheets.facts)
    with pytest.raises(InputError) as met:
        list(JOB.run([asked], context))
    assert str(planned.value) == str(met.value)


def test_a_group_gives_one_row_for_each_run_with_consistent_numbers(context):
    configs = [
        config(**SMALL, epochs=2, init="random"),
        config(**SMALL, epochs=1, init="ps_inv", select="last"),
        config(**SMALL, front_layer="bn4", end_layer="bn4", stitcher="lowrank", rank=3),
        config(**SMALL, stitcher="permutation"),
        config(**SMALL, stitcher="birkhoff", init="random", epochs=2, optimizer="sgd", scales=True),
    ]
    ticks = []
    rows = list(JOB.run(configs, replace(context, report=lambda fraction, text: ticks.append(fraction))))
    assert [row.run_id for row in rows] == [context.run_id(one) for one in configs]
    for row, one in zip(rows, configs, strict=True):
        assert row.outcome == "ok" and row.epochs_run == one.epochs
        assert row.penalty == pytest.approx((row.front_accuracy + row.end_accuracy) / 2 - row.accuracy)
        assert row.penalty_end == pytest.approx(row.end_accuracy - row.accuracy)
        assert row.accuracy * 50 == pytest.approx(round(row.accuracy * 50))
        assert (row.train_images, row.validation_images, row.test_images) == (64, 32, 50)
        assert (row.accuracy_unrounded is None) == (one.stitcher != "birkhoff")
        assert 0 <= row.agreement <= 1 and row.residual > 0 and row.validation_accuracy is not None
    assert rows[1].selected_epoch == 1 and rows[2].selected_epoch == 0 and rows[2].train_loss is None
    assert rows[2].stitcher_parameters == 3 * (32 + 32) + 32
    assert rows[4].rounding_loss == pytest.approx(rows[4].accuracy_unrounded - rows[4].accuracy)
    assert ticks == sorted(ticks) and ticks[-1] <= 1.0


def test_a_row_does_not_depend_on_the_company_of_its_run(context):
    asked = config(**SMALL, epochs=2, init="random")
    company = [config(**SMALL, epochs=3, init="random", seed=5), config(**SMALL, front_layer="bn2", end_layer="bn2")]
    (alone,) = JOB.run([asked], context)
    among = list(JOB.run([*company, asked], context))[-1]
    for name in ("accuracy", "selected_epoch", "validation_accuracy", "agreement"):
        assert getattr(alone, name) == getattr(among, name)
    assert alone.loss == pytest.approx(among.loss, rel=1e-4)


def test_a_network_stitched_to_itself_by_eye_has_penalty_zero(context):
    configs = [config(**SMALL, end_network="aaaa", init="eye", front_layer=layer, end_layer=layer) for layer in ("conv2", "relu8")]
    for row in JOB.run(configs, context):
        assert row.penalty == 0 and row.agreement == 1 and row.residual == pytest.approx(0, abs=1e-9)


def test_a_dry_run_stops_every_loop_early(context):
    ticks = []
    rows = list(
        JOB.run([config(**SMALL, epochs=2, init="ps_inv")], replace(context, steps=1, report=lambda *a: ticks.append(a[1])))
    )
    assert ticks.count("training") == 2 and rows[0].epochs_run == 2


def test_what_was_learned_is_kept_by_run_id_where_asked_and_comes_back_with_one_call(context):
    asked = [config(**SMALL, epochs=3, init="random", save=True), config(**SMALL, epochs=3, init="random", save=True, seed=1)]
    rows = list(JOB.run([*asked, config(**SMALL, epochs=1, init="ps_inv")], context))
    kept = saved.load(context.artefacts / rows[0].run_id / jobs.STITCHER)
    assert [entry["epoch"] for entry in kept.curve] == [1, 2, 3] and kept.curve[-1]["train_loss"] == pytest.approx(
        rows[0].train_loss
    )
    assert kept.curve[rows[0].selected_epoch - 1]["validation_accuracy"] == rows[0].validation_accuracy
    assert kept.config["seed"] == 0 and kept.weight.shape == (64, 64) and not torch.equal(kept.weight, kept.start.weight)
    start = build_stitcher("linear", join((64, 4, 4), (64, 4, 4)))
    inits.start_(start, "random", torch.Generator().manual_seed(0))
    assert torch.equal(kept.start.weight, start.weight)
    assert torch.linalg.svdvals(kept.weight.double()).tolist() == pytest.approx(rows[0].singular_values, rel=1e-6)
    assert not (context.artefacts / rows[2].run_id / jobs.STITCHER).exists()


def test_a_diverged_run_is_kept_as_it_is_and_the_pack_goes_on(context):
    wild = {
        "stitcher": "birkhoff",
        "init": "random",
        "scales": True,
        "warmup": 0.0,
        "optimizer": "sgd",
        "lr": 100.0,
        "momentum": 0.99,
    }
    asked = [config(**SMALL, **wild, epochs=20, target="match", select="last", save=True), config(**SMALL)]
    lost, other = JOB.run(asked, context)
    assert lost.outcome == "diverged" and lost.accuracy is None and other.outcome == "ok"
    kept = saved.load(context.artefacts / lost.run_id / jobs.STITCHER)
    assert len(kept.curve) == lost.epochs_run and kept.weight.shape == (64, 64)


def test_what_is_kept_of_an_untrained_stitcher_starts_where_it_ends(context):
    asked = [config(**SMALL, init="eye", front_stitch_rank=2, save=True), config(**SMALL, stitcher="birkhoff", save=True)]
    for row in JOB.run(asked, context):
        kept = saved.load(context.artefacts / row.run_id / jobs.STITCHER)
        torch.testing.assert_close(kept.weight, kept.start.weight)


def test_a_run_that_is_told_to_stop_leaves_without_a_row(context):
    with pytest.raises(Interrupted):
        list(JOB.run([config(**SMALL)], replace(context, should_stop=lambda: True)))


def test_networks_of_another_data_set_are_refused(context):
    with pytest.raises(InputError, match="'digits' does not fit"):
        list(JOB.run([config(**{**SMALL, "dataset": "digits"})], context))


def test_a_missing_network_is_said_by_its_path(context):
    with pytest.raises(InputError, match="cccc"):
        list(JOB.run([config(**SMALL, end_network="cccc")], context))
