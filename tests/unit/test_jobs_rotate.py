"""The rotate job: what its Config refuses, what it checks, and a group end to end on the digits."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import jobground
import pytest
import torch
from pydantic import ValidationError

from repsim import job as jobs
from repsim.data import batches, images
from repsim.errors import InputError, Interrupted
from repsim.identity import id_of
from repsim.models import checkpoint, training
from repsim.models.layers import describe
from repsim.models.network import Facts
from repsim.models.zoo import build
from repsim.rotation import configured
from repsim.rotation.resume import Resume
from repsim.stitching import epochfile

JOB = jobs.load(Path(__file__).parents[2] / "jobs", "rotate")
FACTS = Facts("mcnn", 4, 10, 1, 8)
BASE = {"network": "aaaa", "dataset": "digits", "layer": "relu3", "matrix": "orthogonal"}
SHORT = {"epochs": 2, "batch_size": 100, "augment": "none", "train_images": 500, "validation_images": 100, "test_images": 200}


def config(**fields):
    return JOB.config(**{**BASE, **SHORT, **fields})


class Catalog:
    """What a plan offers to a job's check: one network for every run."""

    data_folders = ()

    def __init__(self, facts=jobs.NetworkFacts("mcnn", 4, 10, 1, 8)):
        self.facts = facts

    def network(self, run):
        return self.facts

    def network_layers(self, run):
        return [vars(layer) for layer in describe(self.facts)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Holds the artefact of a network that knows the digits a little, and the cache of decoded images."""
    root = tmp_path_factory.mktemp("rotate")
    network = build(FACTS, (0.3,), (0.4,), torch.Generator().manual_seed(1)).train()
    digits = images.load("digits", "train", (), root / "cache")
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for x, y in [*batches.ordered(digits, 100)] * 4:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(x), y).backward()
        optimizer.step()
    (root / "aaaa").mkdir()
    checkpoint.save(network, root / "aaaa" / "network.pt", {})
    return root


@pytest.fixture
def context(folder):
    return jobground.context_of(folder)


def rows(configs, context):
    return jobground.rows_of(JOB, configs, context)


def but_time(row):
    return row.model_dump(exclude={"seconds", "images_per_second", "run_id"})


def test_a_row_holds_the_cost_against_the_control_and_against_the_network_itself(folder, context):
    orthogonal, identity, fresh = rows([config(), config(matrix="identity"), config(start="fresh", matrix="permutation")], context)
    network = checkpoint.load(folder / "aaaa" / "network.pt")
    test = images.take(images.load("digits", "test", (), folder / "cache"), 200, 0)
    itself = training.evaluate(network, batches.ordered(test, 50)).accuracy
    assert {row.original_accuracy for row in (orthogonal, identity, fresh)} == {itself}
    assert orthogonal.control_accuracy == identity.accuracy == identity.control_accuracy
    assert orthogonal.penalty == pytest.approx(identity.accuracy - orthogonal.accuracy, abs=1e-12)
    assert orthogonal.penalty_original == pytest.approx(itself - orthogonal.accuracy, abs=1e-12)
    assert (identity.penalty, identity.start_accuracy, identity.condition) == (0, itself, 1)
    assert orthogonal.start_accuracy < itself - 0.2
    assert orthogonal.accuracy > orthogonal.start_accuracy
    assert fresh.control_accuracy != identity.accuracy, "the control of a fresh start starts afresh"
    assert [len(row.curve_validation_accuracy) for row in (orthogonal, identity, fresh)] == [2, 2, 2]
    assert (orthogonal.channels, orthogonal.train_images, orthogonal.validation_images, orthogonal.test_images) == (
        16,
        500,
        100,
        200,
    )
    above = sum(p.numel() for name in ("conv4", "bn4", "fc") for p in network.body.get_submodule(name).parameters())
    assert orthogonal.retrained_parameters == above


def test_a_row_is_the_same_alone_and_in_its_group(context):
    fields = [{}, {"matrix": "g_relu", "sigma": 0.5}, {"matrix_seed": 4}, {"batchnorm": "frozen"}, {"start": "fresh", "epochs": 3}]
    configs = [config(**each) for each in fields]
    together = rows(configs, context)
    assert len({JOB.group_key(one) for one in configs}) == 1
    for one, row in zip(configs, together, strict=True):
        assert but_time(rows([one], context)[0]) == but_time(row)


@pytest.mark.parametrize("augment", ["none", "crop_flip"])
def test_a_group_that_is_told_to_stop_leaves_at_its_next_step_and_starts_again_cleanly(folder, context, augment):
    before, state = sorted(folder.rglob("*")), torch.random.get_rng_state()
    (whole,) = rows([config(augment=augment)], context)
    calls = []

    def stop():
        calls.append(1)
        return len(calls) > 12

    with pytest.raises(Interrupted):
        list(JOB.run([config(augment=augment)], replace(context, should_stop=stop)))
    assert len(calls) == 13
    assert sorted(folder.rglob("*")) == before
    assert torch.equal(torch.random.get_rng_state(), state)
    assert but_time(rows([config(augment=augment)], context)[0]) == but_time(whole)


@pytest.mark.parametrize("stopped", [1, 2])
def test_a_group_that_was_stopped_goes_on_behind_its_last_epoch_to_the_same_rows(context, monkeypatch, stopped):
    """Stopped in the middle of its second or third epoch: 5 steps of 4 arms (two that are asked for, two controls) each."""
    monkeypatch.setattr(configured, "Resume", partial(Resume, every_s=0.0))
    monkeypatch.setattr(epochfile, "SHARE", 1e9)
    fields = {"epochs": 3, "augment": "flip", "lr": 0.02}
    configs = [config(**fields), config(**fields, start="fresh", matrix="g_relu", optimizer="sgd")]
    whole = [but_time(row) for row in rows(configs, context)]
    file = context.artefacts / context.run_id(configs[0]) / "resume.pt"
    assert not file.parent.exists(), "a group that is done leaves nothing"
    texts: list[str] = []

    def steps() -> int:
        return texts.count("training") // 5  # a tick per batch and one behind each arm

    with pytest.raises(Interrupted):
        stop = {"report": lambda _, text: texts.append(text), "should_stop": lambda: steps() >= stopped * 5 + 2}
        rows(configs, replace(context, **stop))
    assert isinstance(torch.load(file, weights_only=True), dict), "data alone"
    texts.clear()
    again = rows(configs, replace(context, report=lambda _, text: texts.append(text)))
    assert [but_time(row) for row in again] == whole
    assert steps() == (3 - stopped) * 5, "the epochs that were left"
    assert not file.parent.exists()


def test_a_dry_run_makes_a_few_steps_of_each_loop(context):
    (row,) = rows([config()], replace(context, steps=1))
    assert (row.epochs_run, row.outcome) == (2, "ok")


def test_a_diverged_run_and_a_diverged_control_have_no_penalty(context):
    (row,) = rows([config(optimizer="sgd", lr=100.0, momentum=0.99, epochs=3, weight_decay=10.0)], context)
    assert row.outcome == "diverged" and (row.accuracy, row.penalty, row.control_accuracy) == (None, None, None)


def test_an_identity_is_one_run_whatever_the_seed_of_the_matrix():
    one, two = (config(matrix="identity", matrix_seed=seed) for seed in (0, 3))
    assert one == two and id_of(JOB, one) == id_of(JOB, two)
    assert config(matrix_seed=0) != config(matrix_seed=3)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"matrix_seed": -1}, "greater than or equal to 0"),
        ({"matrix": "identity", "matrix_seed": -1}, "greater than or equal to 0"),
        ({"start_seed": -1}, "greater than or equal to 0"),
        ({"data_seed": -1}, "greater than or equal to 0"),
        ({"epochs": 0}, "greater than or equal to 1"),
        ({"matrix": "rotation"}, "'identity', 'permutation', 'g_relu' or 'orthogonal'"),
        ({"sigma": 0.5}, "sigma: a matrix orthogonal has no scales"),
        ({"momentum": 0.5}, "momentum: only sgd has it"),
        ({"start_seed": 1}, "start_seed: only a fresh start is drawn"),
        ({"start": "fresh", "batchnorm": "frozen"}, "batchnorm: frozen statistics mean nothing to a fresh start"),
        ({"validation_images": 0}, "select: validation needs validation_images"),
    ],
)
def test_a_config_that_cannot_be_meant_is_refused(fields, message):
    with pytest.raises(ValidationError, match=message):
        config(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"layer": "rellu3"}, r"layer: there is no layer 'rellu3'\n  → did you mean 'relu3'"),
        ({"layer": "fc"}, r"no weights to retrain behind 'fc'\n  → choose an earlier layer: .*relu4"),
        ({"dataset": "digit"}, "did you mean 'digits'"),
        ({"train_images": 1297}, "1297 training and 100 validation images are wanted of 'digits', which has 1297"),
        ({"test_images": 501}, "501 of 500 test images"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_runs(fields, message):
    with pytest.raises(InputError, match=message):
        JOB.module.check(config(**fields), Catalog())


def test_a_network_of_other_images_is_refused():
    with pytest.raises(InputError, match="'digits' does not fit a network made for mcnn"):
        JOB.module.check(config(), Catalog(jobs.NetworkFacts("mcnn", 4, 10, 3, 32)))
    JOB.module.check(config(), Catalog())


def test_a_batch_of_one_image_is_refused_where_a_norm_wants_more(folder, context):
    (folder / "bbbb").mkdir()
    checkpoint.save(build(Facts("preactresnet18", 4, 10, 1, 8)), folder / "bbbb" / "network.pt", {})
    with pytest.raises(InputError, match="leave a batch of one image"):
        rows([config(network="bbbb", layer="layer2", train_images=501)], context)
