"""The evaluate job: what its Config refuses, what it checks, and a group end to end on the digits."""

from dataclasses import replace
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
from repsim.models.network import Facts
from repsim.models.zoo import build
from repsim.robustness import rules
from repsim.robustness.attacks import pgd
from repsim.robustness.linf import Linf

JOB = jobs.load(Path(__file__).parents[2] / "jobs", "evaluate")
BASE = {"network": "aaaa", "dataset": "digits"}
FACTS = Facts("mcnn", 4, 10, 1, 8)
PGD = {"attack": "pgd", "epsilon": 0.1}


def config(**fields):
    return JOB.config(**{**BASE, **fields})


class Catalog:
    """What a plan offers to a job's check: one network for every run."""

    def __init__(self, facts=jobs.NetworkFacts("mcnn", 4, 10, 1, 8), data_folders=()):
        self.facts, self.data_folders = facts, data_folders

    def network(self, run):
        return self.facts


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Holds the artefact of a network that knows the digits a little, and the cache of decoded images."""
    root = tmp_path_factory.mktemp("evaluate")
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


def test_clean_scores_are_those_that_training_reports(folder, context):
    (row,) = rows([config()], context)
    network = checkpoint.load(folder / "aaaa" / "network.pt")
    score = training.evaluate(network, batches.ordered(images.load("digits", "test", (), folder / "cache"), 77))
    assert (row.accuracy, row.test_images, row.answers) == (score.accuracy, 500, 500)
    assert row.loss == pytest.approx(score.loss, rel=1e-5) and row.right == round(500 * score.accuracy)
    assert 0.7 < row.accuracy < 1 and 0 < row.ece < 0.5
    assert (row.robust_right, row.robust_accuracy, row.attack_step) == (None, None, None)


def test_a_row_is_the_same_alone_and_in_its_group(context):
    attacks = [{}, {**PGD, "attack_steps": 3}, {**PGD, "attack_steps": 12}, {**PGD, "restarts": 3}, {**PGD, "attack_seed": 5}]
    together = rows([config(**fields) for fields in attacks], context)
    for fields, row in zip(attacks, together, strict=True):
        assert rows([config(**fields)], context) == [row]
    assert len({row.accuracy for row in together}) == 1


def test_more_steps_restarts_and_room_leave_less(context):
    asked = [{"attack_steps": 1}, {"attack_steps": 4}, {"attack_steps": 20}, {"attack_steps": 20, "restarts": 3}]
    found = rows([config(**PGD, **fields) for fields in asked], context)
    shares = [row.robust_accuracy for row in found]
    assert shares == sorted(shares, reverse=True) and found[0].accuracy > shares[0] > shares[2]
    (wider,) = rows([config(attack="pgd", epsilon=0.3, attack_steps=20)], context)
    assert wider.robust_accuracy < shares[2] and wider.attack_step == 0.3 / 4


def test_fgsm_is_a_row_that_can_be_checked_by_hand(folder, context):
    (row,) = rows([config(**PGD, attack_steps=1, attack_step=0.1, attack_start="image")], context)
    network, test = checkpoint.load(folder / "aaaa" / "network.pt"), images.load("digits", "test", (), folder / "cache")
    x, y = test.images.float() / 255, test.labels
    moved = pgd(network, x, y, Linf(0.1, 0.1, 1, start="image"), torch.Generator())
    with torch.no_grad():
        standing = (network(x).argmax(1) == y) & (network(moved).argmax(1) == y)
    assert row.robust_right == int(standing.sum()) and row.robust_accuracy == row.robust_right / 500


def test_so_many_test_images_are_the_same_for_every_run(context):
    one, two = rows([config(test_images=60), config(test_images=60, **PGD)], context)
    assert one.test_images == two.test_images == 60 and (one.accuracy, one.ece) == (two.accuracy, two.ece)


def test_a_dry_run_takes_few_steps_of_few_batches(context):
    ticks = []
    (row,) = rows([config(**PGD, attack_steps=50)], replace(context, steps=2, report=lambda f, t: ticks.append((f, t))))
    assert row.test_images == 500 and len(ticks) <= 1 + 3 and {t for _, t in ticks} == {"scoring"}
    assert all(0 <= f < 1 for f, _ in ticks)


def test_an_evaluation_that_is_told_to_stop_leaves(context):
    with pytest.raises(Interrupted):
        rows([config()], replace(context, should_stop=lambda: True))


def test_runs_of_one_network_on_the_same_images_are_one_group():
    key = JOB.group_key(config())
    for fields in (PGD, {**PGD, "attack_steps": 50}, {"arch": "mcnn", "seed": 4}):
        assert JOB.group_key(config(**fields)) == key
    for fields in ({"network": "bbbb"}, {"dataset": "digits32"}, {"test_images": 9}):
        assert JOB.group_key(config(**fields)) != key
    assert JOB.inputs(config()) == ["aaaa"]


def test_work_counts_images_and_steps():
    work = JOB.hook("work")
    assert work(config()) == 500 and work(config(test_images=10, **PGD, attack_steps=20, restarts=2)) == 10 * (1 + 2 * 21)
    assert work(config(attack="autoattack")) > 100 * work(config(**PGD))


@pytest.mark.parametrize(
    "fields, named",
    [
        ({"epsilon": 0.1}, "epsilon: the attack none has none"),
        ({"attack_steps": 20}, "attack_steps"),
        ({"attack_seed": 1}, "attack_seed"),
        ({"attack": "autoattack", "attack_steps": 20}, "attack_steps: the attack autoattack has none"),
        ({"attack": "autoattack", "restarts": 2}, "restarts"),
        ({"attack": "pgd", "attack_start": "image", "restarts": 2}, "restarts: each would start at the image itself"),
        ({"attack": "pgd", "attack_start": "image", "attack_seed": 2}, "attack_seed: nothing is drawn"),
        ({"attack": "pgd", "epsilon": 0.0}, "epsilon"),
        ({"attack": "pgd", "epsilon": 8.0}, "epsilon"),
        ({"attack": "fgsm"}, "attack"),
        ({"network": "../x"}, "network"),
        ({"test_images": 0}, "test_images"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_the_name_of_its_field(fields, named):
    with pytest.raises(ValidationError, match=named):
        config(**fields)


@pytest.mark.parametrize(
    "fields, catalog, message",
    [
        ({"dataset": "digit"}, Catalog(), "did you mean 'digits'"),
        ({"dataset": "cifar10"}, Catalog(), "'cifar10' was not found"),
        ({"dataset": "digits32"}, Catalog(), "'digits32' does not fit a network made for mcnn of width 4"),
        ({"test_images": 501}, Catalog(), "501 of 500 test images of 'digits' are wanted"),
        ({"attack": "autoattack"}, Catalog(), "AutoAttack is not installed"),
    ],
)
def test_what_cannot_run_is_found_before_it_is_sent(fields, catalog, message, monkeypatch):
    monkeypatch.setattr(rules, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=message):
        JOB.hook("check")(config(**fields), catalog)


def test_a_network_may_be_scored_on_another_data_set_of_its_size_and_classes():
    catalog = Catalog(jobs.NetworkFacts("tiny10", None, 10, 1, 32))
    JOB.hook("check")(config(dataset="digits32", test_images=500, **PGD), catalog)


def test_lengths_may_be_written_as_fractions_and_are_then_the_same_run():
    one, two = config(attack="pgd", epsilon="8/255"), config(attack="pgd")
    assert one == two and id_of(JOB, one) == id_of(JOB, two)
    assert config(attack="pgd", epsilon="4 / 255", attack_step="0.5/255").step == 0.5 / 255
    for wrong in ("8/0", "8/255/2", "eight", "0.1", "8"):
        with pytest.raises(ValidationError, match="valid number"):
            config(attack="pgd", epsilon=wrong)
    with pytest.raises(ValidationError, match="less than or equal to 1"):
        config(attack="pgd", epsilon="8/2")


def test_every_field_and_every_column_is_explained():
    for model in (JOB.config, JOB.row):
        assert all(field.description for field in model.model_fields.values()), model
    assert JOB.config.labels == {"arch", "made", "seed"}
