"""Stitches of checkpoints, and the negative controls: untrained networks, shuffled pairs, clusters that carry the label."""

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from similarity_networks import FACTS, digits, trained

from repsim import job as jobs
from repsim.errors import InputError
from repsim.identity import id_of
from repsim.models import checkpoint
from repsim.models.cut import cuts
from repsim.models.zoo import build
from repsim.stitching import controls, rules
from repsim.stitching.pair import Needs, Pair

JOB = jobs.load(Path(__file__).parents[2] / "jobs", "stitch")
BASE = {"front_network": "aaaa", "end_network": "bbbb", "dataset": "digits", "front_layer": "relu3", "end_layer": "relu3"}
TRAINED = {"epochs": 8, "lr": 0.02, "validation_images": 100, "batch_size": 64, "stitcher": "linear", "init": "random"}


def config(**fields):
    return JOB.config(**{**BASE, **TRAINED, **fields})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Holds two networks that know the digits, one of them also as it was before it did, and the cache of decoded images."""
    root = tmp_path_factory.mktemp("controls")
    made = {("aaaa", "network.pt"): 0, ("bbbb", "network.pt"): 1, ("aaaa", "epoch_0001.pt"): 2}
    for (run, file), seed in made.items():
        (root / run).mkdir(exist_ok=True)
        checkpoint.save(trained(root / "cache", seed), root / run / file, {})
    return root


@pytest.fixture
def context(folder):
    ids: dict = {}
    return jobs.Context("cpu", (), folder / "cache", folder, lambda one: ids.setdefault(one, f"run-{len(ids)}"))


def row(context, **fields):
    (found,) = JOB.run([config(**fields)], context)
    return found


def test_runs_that_name_neither_epoch_nor_control_keep_their_ids():
    old = config()
    assert not {"front_epoch", "end_epoch", "control", "control_seed"} & old.model_fields_set
    assert id_of(JOB, old) == id_of(JOB, config(front_epoch=None, end_epoch=None, control=None, control_seed=0))
    others = ({"front_epoch": 1}, {"end_epoch": 1}, {"control": "untrained"}, {"control": "clusters", "control_seed": 1})
    assert len({id_of(JOB, config(**one)) for one in ({}, *others)}) == 5
    assert len({JOB.group_key(config(**one)) for one in ({}, *others)}) == 5


def test_a_network_stitched_to_itself_is_itself_and_not_what_it_was_after_epoch_1(context):
    same = {"end_network": "aaaa", "init": "eye", "epochs": 0}
    itself, then, both = row(context, **same), row(context, front_epoch=1, **same), row(context, front_epoch=1, end_epoch=1, **same)
    assert itself.agreement == both.agreement == 1 and itself.penalty == both.penalty == 0
    assert then.residual > 0.1 and then.front_accuracy == both.front_accuracy != itself.front_accuracy
    assert then.end_accuracy == itself.end_accuracy


def test_an_epoch_that_was_not_kept_is_told_with_those_that_were(context):
    with pytest.raises(InputError, match=r"front_epoch(.|\n)*kept no network after epoch 7(.|\n)*kept: 1"):
        row(context, front_epoch=7)
    with pytest.raises(InputError, match=r"end_epoch(.|\n)*checkpoint_every"):
        row(context, end_epoch=1)


def test_from_shuffled_rows_neither_training_nor_matching_learns_more_than_chance(context):
    real, trained_, matched = (
        row(context),
        row(context, control="shuffled"),
        row(context, control="shuffled", init="ps_inv", epochs=0),
    )
    assert real.accuracy > 0.7
    assert trained_.accuracy < 0.25 and matched.accuracy < 0.25  # chance 0.1
    assert matched.matched_accuracy == matched.null_accuracy == matched.accuracy
    assert trained_.front_accuracy == real.front_accuracy


def test_displaced_readings_pair_every_image_with_another_and_move_nothing_else(folder):
    pair = Pair(*(checkpoint.load(folder / run / "network.pt") for run in ("aaaa", "bbbb")), ["relu3"], ["relu3"])
    x = digits(folder / "cache", 6).images.float() / 255
    one = pair.reader(Needs(front=("relu3",), end=("relu3",), front_logits=True))(x)
    other = one.displaced()
    assert torch.equal(other.front["relu3"][1:], one.front["relu3"][:-1]) and torch.equal(
        other.front["relu3"][0], one.front["relu3"][-1]
    )
    assert torch.equal(other.end["relu3"], one.end["relu3"]) and torch.equal(other.front_logits, one.front_logits)


def test_clusters_that_carry_the_label_are_stitched_almost_perfectly_and_random_ones_not_at_all(context):
    """Smith et al. 2025: noise that knows nothing of an image but its class passes for a representation."""
    flat = {"view": "flatten", "front_layer": "relu4", "end_layer": "relu4"}
    labelled, drawn = row(context, control="clusters", **flat), row(context, control="random_clusters", **flat)
    assert labelled.accuracy > 0.99 > labelled.end_accuracy
    assert drawn.accuracy < 0.25
    assert labelled.front_accuracy == drawn.front_accuracy


def test_an_untrained_network_is_that_of_its_seed(folder, context):
    one, again, other = (row(context, control="untrained", control_seed=seed) for seed in (3, 3, 4))
    assert one.model_dump(exclude={"seconds", "images_per_second", "run_id"}) == again.model_dump(
        exclude={"seconds", "images_per_second", "run_id"}
    )
    assert one.loss != other.loss and one.front_accuracy == other.front_accuracy
    drawn = build(FACTS, (0.3,), (0.4,), torch.Generator().manual_seed(3)).eval()
    x = digits(folder / "cache", 5).images.float() / 255
    stand_in = controls.untrained(checkpoint.load(folder / "aaaa" / "network.pt"), 3)
    assert torch.equal(stand_in.reader(["relu3"])(x)["relu3"], cuts(drawn).reader(values=("relu3",))(x).values["relu3"])


def test_the_noise_of_an_image_is_the_same_in_every_pass_and_batch_and_lies_about_its_centre(folder):
    images = digits(folder / "cache", 60)
    x = images.images.float() / 255
    noise = controls.Clusters(lambda layer: (500,), 10, 0, controls.clusters_of([images], 0))
    read = noise.reader(["relu3"])
    whole, split = read(x)["relu3"], torch.cat([read(part)["relu3"] for part in x.split(7)])
    assert torch.equal(whole, split)
    apart = whole - noise._centres("relu3")[images.labels]
    assert apart.std() == pytest.approx(controls.SPREAD, rel=0.02) and apart.mean().abs() < 0.02
    assert not torch.equal(
        whole, controls.Clusters(lambda layer: (500,), 10, 1, controls.clusters_of([images], 1)).reader(["relu3"])(x)["relu3"]
    )


def test_a_comparison_with_clusters_finds_their_classes_and_with_random_ones_nothing(context):
    """Clusters that carry the label are as near to what separates the classes as noise can be."""
    compare = jobs.load(Path(__file__).parents[2] / "jobs", "compare")
    asked = [
        compare.config(**BASE, measure="cka_debiased", images=300, control=one)
        for one in (None, "untrained", "clusters", "random_clusters")
    ]
    real, untrained, labelled, drawn = (next(iter(compare.run([one], context))) for one in asked)
    assert real.value > untrained.value and labelled.value > 0.3 and abs(drawn.value) < 0.05
    assert len({row.front_accuracy for row in (real, untrained, labelled, drawn)}) == 1
    assert compare.module.mirrored(asked[1]) is None
    with pytest.raises(ValidationError, match="control: it takes the place of layers"):
        compare.config(**{**BASE, "front_layer": "logits", "end_layer": "logits"}, measure="agreement", control="untrained")


@pytest.mark.parametrize(
    "fields, named",
    [
        ({"control": "noise"}, "control"),
        ({"control_seed": 1}, "control_seed: nothing is drawn"),
        ({"control": "shuffled", "control_seed": 1}, "control_seed: nothing is drawn"),
        ({"control": "untrained", "front_epoch": 1}, "front_epoch: with control untrained"),
        ({"control": "clusters", "augment": "flip"}, "augment: control clusters"),
    ],
)
def test_a_control_that_cannot_be_meant_is_refused(fields, named):
    with pytest.raises(ValidationError, match=named):
        config(**fields)


def test_an_epoch_that_will_not_be_kept_is_found_before_the_training_is_sent():
    with pytest.raises(InputError, match=r"end_epoch: the network is not kept after epoch 9\n.*kept: 2, 4"):
        rules.check_epoch("end_epoch", 9, [2, 4])
