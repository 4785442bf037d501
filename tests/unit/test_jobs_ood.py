"""The ood job: what its Config refuses, what it checks, and a group end to end on the digits."""

import math
from dataclasses import asdict, replace
from pathlib import Path

import jobground
import pytest
import torch
from pydantic import ValidationError

from repsim import job as jobs
from repsim.data import batches, images
from repsim.errors import InputError, Interrupted, UserError
from repsim.models import checkpoint
from repsim.models.network import Facts
from repsim.models.zoo import build
from repsim.probing import detectors, study
from repsim.stitching import saved

JOB = jobs.load(Path(__file__).parents[2] / "jobs", "ood")
FACTS = Facts("mcnn", 4, 10, 1, 8)
BASE = {"front_network": "aaaa", "end_network": "bbbb", "dataset": "digits", "front_layer": "relu2", "end_layer": "relu2"}
SMALL = {"train_images": 400, "validation_images": 100, "batch_size": 64, "lr": 0.01, "classifier_batch_size": 64}
QUICK = {"classifier_epochs": 2, "finetune_epochs": 2, "classifier_lr": 0.01}
DEEP = {"front_layer": "relu3", "end_layer": "relu3", "classifier_epochs": 6, "classifier_batch_size": 32}
KINDS = ("energy", "msp", "mahalanobis", "relative_mahalanobis")


def config(**fields):
    return JOB.config(**{**BASE, "stitcher": "linear", "init": "matched", **fields})


def quick(**fields):
    return config(**{**SMALL, **QUICK, **fields})


def trained(seed, folder):
    """A network that knows the digits a little."""
    network = build(FACTS, (0.3,), (0.4,), torch.Generator().manual_seed(seed)).train()
    digits = images.load("digits", "train", (), folder / "cache")
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for x, y in [*batches.ordered(digits, 100)] * 4:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(x), y).backward()
        optimizer.step()
    return network


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Holds the artefacts of three networks, and the cache of decoded images."""
    root = tmp_path_factory.mktemp("ood")
    for seed, run in enumerate(("aaaa", "bbbb", "cccc")):
        (root / run).mkdir()
        checkpoint.save(trained(seed, root), root / run / "network.pt", {})
    return root


@pytest.fixture
def context(folder):
    return jobground.context_of(folder)


def rows(configs, context):
    return jobground.rows_of(JOB, configs, context)


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_stitched_to_itself_by_eye_is_native_and_strange_images_are_not(context, kind):
    (row,) = rows([quick(**DEEP, front_network="bbbb", init="eye", detector=kind, controls=False)], context)
    assert (row.auroc, row.penalty, row.agreement) == (0.5, 0, 1)
    assert row.stitched_score == pytest.approx(row.native_score, rel=1e-9) and row.read_accuracy == row.classifier_accuracy
    assert row.fpr95 >= 0.95 and row.aupr == pytest.approx(0.5, abs=0.01)
    assert row.sanity_auroc > (0.7 if kind == "relative_mahalanobis" else 0.85) and row.sanity_score > row.native_score
    assert row.sanity_fpr95 < row.fpr95
    assert abs(row.native_split_auroc - 0.5) < 4 * math.sqrt(501 / (12 * 250 * 250))
    assert (row.native_images, row.sanity_images, row.detector_images) == (500, 500, 400)
    assert row.outlier_images == (400 if kind == "energy" else 0)
    assert (row.classifier_parameters > 0) == (kind in ("energy", "msp")) and row.matched_auroc is None
    assert row.classifier_accuracy > 0.8


def test_least_squares_of_a_network_with_itself_is_native_and_of_shuffled_pairs_it_is_not(context):
    found = rows([quick(front_network="bbbb", detector=kind) for kind in KINDS], context)
    for row in found:
        assert row.auroc == row.matched_auroc and row.matched_accuracy == pytest.approx(row.end_accuracy, abs=0.01)
        assert row.auroc == pytest.approx(0.5, abs=0.01) and row.residual < 1e-6
    _, msp, mahalanobis, relative = found
    assert relative.null_auroc > 0.8 and msp.null_auroc > 0.8
    assert mahalanobis.null_auroc < 0.3  # every image at the mean: nearer to it than any native one


def test_what_a_stitch_has_scored_does_not_depend_on_the_company_of_its_run(context):
    asked = quick(init="random", epochs=3, detector="relative_mahalanobis")
    company = [quick(detector="energy"), quick(front_layer="relu3", end_layer="relu3", detector="mahalanobis")]
    company += [quick(init="random", epochs=3, detector="msp"), quick(front_network="cccc", detector="msp")]
    (alone,) = rows([asked], context)
    among = rows([*company, asked], context)[-1]
    for name in ("accuracy", "auroc", "fpr95", "matched_auroc", "null_auroc", "sanity_auroc", "native_score", "selected_epoch"):
        assert getattr(alone, name) == pytest.approx(getattr(among, name), rel=1e-6), name


def test_what_stands_in_for_f_is_judged_beside_it_by_the_same_detectors(context):
    """Shuffled pairs, matched, are the null of the plain run."""
    same = {"detector": "mahalanobis", "test_images": 200}
    plain, shuffled, clusters = rows([quick(**same), quick(**same, control="shuffled"), quick(**same, control="clusters")], context)
    assert shuffled.auroc == pytest.approx(plain.null_auroc) and shuffled.accuracy == plain.null_accuracy
    assert plain.native_score == shuffled.native_score == clusters.native_score and clusters.auroc != plain.auroc


def test_every_detector_and_every_stitcher_of_a_group_is_made_once(context, monkeypatch):
    calls = {"teach": 0, "finetune": 0, "moments": 0, "stitchers": []}

    def counted(module, name, key):
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, **k: (calls.update({key: calls[key] + 1}), real(*a, **k))[1])

    counted(detectors.schooling, "teach", "teach")
    counted(detectors.schooling, "finetune", "finetune")
    counted(detectors, "_moments", "moments")
    measure = study.measure
    monkeypatch.setattr(
        study, "measure", lambda p, f, asked, *a, **k: (calls["stitchers"].append(len(asked)), measure(p, f, asked, *a, **k))[1]
    )
    fronts, layers = ("aaaa", "cccc"), ("relu2", "bn2")
    cases = ({}, {"init": "random", "epochs": 1})
    asked = [
        quick(front_network=front, front_layer=layer, detector=kind, **case)
        for front in fronts
        for layer in layers
        for case in cases
        for kind in KINDS
    ]
    found = rows(asked, context)
    assert len({JOB.group_key(one) for one in asked}) == 1 and len(found) == 32
    assert calls == {"teach": 1, "finetune": 1, "moments": 1, "stitchers": [4, 4]}
    assert len({row.accuracy for row in found[:4]}) == 1


@pytest.mark.parametrize(("classifier", "width"), [("suffix", None), ("fresh", None), ("mcnn", 8)])
def test_any_classifier_makes_a_detector(context, classifier, width):
    asked = {**DEEP, "classifier": classifier, "classifier_width": width}
    row, plain = rows([quick(**asked), quick(**asked, detector="msp")], context)
    assert row.sanity_auroc > 0.8 and row.classifier_accuracy > 0.75 and row.auroc > 0.5
    assert plain.classifier_parameters == row.classifier_parameters


def test_g_s_own_confidence_is_the_untaught_suffix(context, folder):
    (row,) = rows([quick(classifier="suffix", classifier_epochs=0, detector="msp")], context)
    assert row.classifier_accuracy == row.end_accuracy and row.read_accuracy == row.accuracy
    network, test = checkpoint.load(folder / "bbbb" / "network.pt").eval(), images.load("digits", "test", (), folder / "cache")
    with torch.no_grad():
        sure = network(test.images.float() / 255).double().log_softmax(1).max(1).values
    assert row.native_score == pytest.approx(-float(sure.mean()), rel=1e-4)


def test_a_stitcher_trained_against_attacks_is_judged_as_any_other(context):
    hard = {"adversary": "madry", "epsilon": 0.2, "attack_steps": 2, "attack": "pgd", "test_steps": 5, "attacked_images": 60}
    asked = {"init": "ps_inv", "epochs": 2, "detector": "mahalanobis", "test_images": 200}
    plain, robust = rows([quick(**asked), quick(**asked, **hard)], context)
    assert plain.robust_accuracy is None and 0 <= robust.robust_accuracy < robust.accuracy
    assert robust.native_score == plain.native_score and robust.stitched_score != plain.stitched_score


def test_a_run_that_diverged_has_no_verdict_but_its_controls_have(context):
    wild = {"init": "random", "optimizer": "sgd", "momentum": 0.99, "lr": 100.0, "epochs": 20, "target": "match", "select": "last"}
    asked = quick(**wild, detector="mahalanobis")
    (row,) = rows([asked], context)
    assert row.outcome == "diverged" and row.auroc is None and row.accuracy is None
    assert row.matched_auroc is not None and row.sanity_auroc > 0.9


def test_what_was_learned_is_kept_where_asked(context):
    asked = quick(init="random", epochs=1, detector="mahalanobis", save=True)
    (row,) = rows([asked], context)
    assert saved.load(context.artefacts / row.run_id / jobs.STITCHER).weight.shape == (8, 8)


def test_a_dry_run_stops_every_loop_early_and_progress_goes_forward(context):
    ticks = []
    dry = replace(context, steps=1, report=lambda *a: ticks.append(a))
    rows([quick(detector=kind, init="random", epochs=3) for kind in KINDS], dry)
    texts = [text for _, text in ticks]
    assert texts.count("teaching") == 2 and texts.count("fine-tuning") == 2 and texts.count("training") == 3
    assert [f for f, _ in ticks] == sorted(f for f, _ in ticks) and ticks[-1][0] <= 1


def test_a_group_that_is_told_to_stop_leaves_without_a_row(context):
    with pytest.raises(Interrupted):
        rows([quick()], replace(context, should_stop=lambda: True))


@pytest.mark.parametrize(
    "fields, named",
    [
        ({"detector": "enregy"}, "detector"),
        ({"shrinkage": 1.5}, "shrinkage"),
        ({"sanity": "digits"}, "sanity: digits is what g was made for"),
        ({"sanity": "digits32"}, "sanity: digits32 is what g was made for"),
        ({"sanity": "jigsaw"}, "sanity: jigsaw is among the outliers"),
        ({"outliers": "noise digits32", "sanity": None}, "outliers: digits32 is what g was made for"),
        ({"outliers": " "}, "outliers: name one or more"),
        ({"outliers": "noise noise"}, "outliers: name one or more data sets or kinds, each once"),
        ({"margin_in": -7.0}, "margin_in: it must be below"),
        ({"classifier_epochs": 0}, "classifier_epochs: a fresh classifier must be taught"),
        ({"classifier": "resnet20", "classifier_epochs": 0, "detector": "msp"}, "classifier_epochs: a resnet20"),
        ({"classifier_width": 2}, "classifier_width: a fresh classifier"),
        ({"classifier": "../x"}, "classifier"),
        ({"stitcher": "lowrank"}, "rank"),
        ({"finetune": 3}, "finetune"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_the_field_is_named(fields, named):
    with pytest.raises(ValidationError, match=named):
        config(**fields)


def test_what_belongs_to_other_detectors_may_be_fixed_for_all():
    for kind in KINDS:
        config(detector=kind, shrinkage=0.1, finetune_epochs=3, margin_in=-23.0, outliers="noise blobs", sanity="svhn")
    config(detector="mahalanobis", classifier_epochs=0, sanity="noise", outliers="noise")


class Catalog:
    """What a plan offers to a job's check: one network for every run."""

    sheet = ({"name": "relu2", "kind": "ReLU", "shape": [8, 8, 8], "beside": []},)

    def __init__(self, data_folders=()):
        self.data_folders, self.asked = data_folders, []

    def network(self, run):
        return jobs.NetworkFacts(**asdict(FACTS))

    def network_layers(self, run):
        return list(self.sheet)

    def kept(self, run):
        return ()

    def layers(self, facts):
        self.asked.append(facts)
        return []


def test_a_classifier_of_another_architecture_is_asked_of_the_catalog(tmp_path):
    catalog = Catalog()
    JOB.hook("check")(config(), catalog)
    JOB.hook("check")(config(detector="mahalanobis", classifier="resnet20"), catalog)
    assert not catalog.asked
    JOB.hook("check")(config(classifier="resnet20", classifier_width=1), catalog)
    assert catalog.asked == [jobs.NetworkFacts("resnet20", 1, 10, 8, 8)]


@pytest.mark.parametrize(
    "fields, what, where",
    [
        ({"sanity": "svhm"}, "there is no data set 'svhm'", "sanity"),
        ({"sanity": "svhn"}, "'svhn' was not found", "sanity"),
        ({"outliers": "blobs images300k"}, "'images300k' was not found", "outliers"),
        ({"outliers": "blob"}, "did you mean 'blobs'", "outliers"),
        ({"inliers": "noise"}, "'noise' has no classes", "inliers"),
        ({"inliers": "digits32"}, "not those of g", "inliers"),
        ({"front_epoch": 3}, "not kept after epoch 3", "front_epoch"),
        ({"front_layer": "relu9"}, "there is no layer 'relu9'", "front_layer"),
        ({"test_images": 501}, "501 of 500 test images", "test_images"),
    ],
)
def test_what_is_missing_is_said_with_what_would_do(tmp_path, fields, what, where):
    with pytest.raises(UserError) as error:
        JOB.hook("check")(config(**fields), Catalog((tmp_path,)))
    assert what in str(error.value) and error.value.where == where and error.value.do


def test_only_the_energy_needs_its_outliers(tmp_path):
    JOB.hook("check")(config(detector="mahalanobis", outliers="images300k", inliers="cifar5m"), Catalog((tmp_path,)))
    JOB.hook("check")(config(finetune_epochs=0, outliers="images300k"), Catalog((tmp_path,)))


def test_stitchers_and_detectors_of_one_g_are_one_group():
    key = JOB.group_key(config())
    for fields in ({"front_network": "cccc"}, {"detector": "msp"}, {"init": "eye"}, {"shrinkage": 0.5}, {"front_layer": "bn1"}):
        assert JOB.group_key(config(**fields)) == key
    for fields in (
        {"end_network": "cccc"},
        {"end_layer": "bn1"},
        {"test_images": 9},
        {"batch_size": 32},
        {"sanity": "blobs", "outliers": "mixed"},
    ):
        assert JOB.group_key(config(**fields)) != key


def test_a_group_is_reckoned_at_each_stitcher_and_each_detector_once():
    work = JOB.hook("group_work")
    one = work([config(epochs=2, detector="energy")], None, "cpu")
    assert work([config(epochs=2, detector=kind) for kind in KINDS], None, "cpu") == one
    two = work([config(epochs=2, detector="energy"), config(epochs=2, front_network="cccc", detector="energy")], None, "cpu")
    assert one < two < 2 * one
    assert work([config(epochs=0, detector="mahalanobis")], None, "cpu") < one / 10


def test_networks_of_another_data_set_are_refused(context):
    with pytest.raises(InputError, match="'digits32' does not fit"):
        rows([quick(dataset="digits32")], context)
