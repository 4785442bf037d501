"""Stitching across tasks: label maps that must be said and must fit, and rows whose numbers follow from the networks."""

import copy
import re
from dataclasses import asdict, replace

import pytest
import torch
from pydantic import ValidationError
from test_jobs_stitch import FACTS, JOB, Sheets, config, context, folder  # noqa: F401

from repsim import job as jobs
from repsim.data import images
from repsim.errors import UserError
from repsim.models import checkpoint
from repsim.models.zoo import build
from repsim.stitching import tasks

FOUR = "digits32-of-3.1.4.9"
SMALL = {"train_images": 64, "validation_images": 0, "test_images": 80, "select": "last", "controls": False}
EYE = {"front_layer": "relu8", "end_layer": "relu8", "init": "eye"}


class Two(Sheets):
    """f was made for the ten digits, g for four of them."""

    def network(self, run):
        return self.facts if run == "aaaa" else jobs.NetworkFacts(**{**asdict(FACTS), "classes": 4})

    def dataset(self, run):
        return "digits32" if run == "aaaa" else FOUR

    def kept(self, run):
        return ()


@pytest.mark.parametrize(
    "text, means", [("same", None), (None, None), ("0>3", ((0, 3),)), ("0>3 1>3, 2>0", ((0, 3), (1, 3), (2, 0)))]
)
def test_a_map_is_read_as_people_write_it(text, means):
    assert tasks.parsed(text, "label_map") == means


@pytest.mark.parametrize(
    "fields, said",
    [
        ({"label_map": "0:3"}, "label_map: '0:3' maps no classes; write 'same'"),
        ({"label_map": "0>3 0>4"}, "label_map: a class stands twice"),
        ({"label_map": ""}, "label_map: '' maps no classes"),
        ({"eval_dataset": "digits32", "eval_label_map": "a>b"}, "eval_label_map: 'a>b'"),
        ({"eval_label_map": "same"}, "eval_label_map: nothing is scored besides"),
        ({"eval_dataset": "digits32"}, "eval_dataset: it is the data set that everything is scored on"),
    ],
)
def test_what_no_map_can_mean_is_refused_by_its_field(fields, said):
    with pytest.raises(ValidationError) as caught:
        config(**fields)
    assert said in str(caught.value)


MISSING = r"label_map: g was made for 'digits32-of-3\.1\.4\.9': nothing says which of its classes those of 'digits32' count as"
CHOICES = r"[\s\S]*write 'same' .* as in '0>3 1>3 2>5'; 'digits32' has the classes 0…9, g 0…3"


@pytest.mark.parametrize(
    "fields, said",
    [
        ({}, MISSING + CHOICES),
        ({"label_map": "same"}, r"label_map: 4>4: there is no such class" + CHOICES),
        ({"label_map": "0>0 1>1"}, r"label_map: class 2 of 'digits32' counts as none" + CHOICES),
        ({"label_map": " ".join(f"{k}>4" for k in range(10))}, "label_map: 0>4: there is no such class"),
        ({"label_map": " ".join(f"{k}>0" for k in range(11))}, "label_map: 10>0: there is no such class"),
        ({"dataset": FOUR, "label_map": "same"}, r"label_map: g was made for [\s\S]*leave label_map out"),
        ({"dataset": FOUR, "eval_dataset": "digits32"}, "eval_" + MISSING),
        ({"dataset": FOUR, "eval_dataset": "cifar10", "eval_label_map": "same"}, "eval_dataset: .*does not fit[\\s\\S]*digits32, "),
        ({"dataset": FOUR, "eval_dataset": "digits33", "eval_label_map": "same"}, "did you mean 'digits32'"),
        ({"dataset": FOUR, "init": "ps_inv", "epochs": 1, "target": "soft_1"}, "target: f answers in the classes of 'digits32'"),
        ({"dataset": FOUR, "attack": "pgd"}, "attack: f answers in the classes of 'digits32'"),
    ],
)
def test_a_map_that_is_missing_or_wrong_is_refused_with_the_valid_choices(fields, said):
    with pytest.raises(UserError) as caught:
        JOB.hook("check")(config(**{**SMALL, **fields}), Two())
    assert re.search(said, str(caught.value)), str(caught.value)


def test_what_can_be_meant_passes():
    joined = " ".join(f"{k}>{k % 4}" for k in range(10))
    JOB.hook("check")(config(**SMALL, label_map=joined), Two())
    JOB.hook("check")(config(**SMALL, dataset=FOUR), Two())
    JOB.hook("check")(config(**SMALL, dataset=FOUR, eval_dataset="digits32", eval_label_map=joined), Two())


@pytest.fixture
def across(context, folder):  # noqa: F811
    """f answers in ten classes; g is f with the logits of 3, 1, 4 and 9 alone."""
    front = build(FACTS, (0.3,), (0.4,), torch.Generator().manual_seed(5)).eval()
    end = build(replace(FACTS, classes=4), (0.3,), (0.4,), torch.Generator().manual_seed(6)).eval()
    state = copy.deepcopy(front.body.state_dict())
    end.body.load_state_dict({**state, "fc.weight": state["fc.weight"][[3, 1, 4, 9]], "fc.bias": state["fc.bias"][[3, 1, 4, 9]]})
    for run, network in (("aaaa", front), ("cccc", end)):
        (folder / run).mkdir(exist_ok=True)
        checkpoint.save(network, folder / run / "network.pt", {})
    return context, front, end


def hits(network, test, renamed=None):
    with torch.no_grad():
        labels = test.labels if renamed is None else torch.tensor(renamed)[test.labels]
        return float((network(test.images / 255).argmax(1) == labels).float().mean())


def test_a_row_across_tasks_holds_both_sets_and_no_penalty_that_means_nothing(across, folder):  # noqa: F811
    there, front, end = across
    told = {"end_network": "cccc", "front_dataset": "digits32", "end_dataset": FOUR}
    renamed = [2, 1, 0, 0, 2, 1, 3, 3, 3, 3]
    text = " ".join(f"{k}>{other}" for k, other in enumerate(renamed))
    (row,) = JOB.run([config(**SMALL, **EYE, **told, dataset=FOUR, eval_dataset="digits32", eval_label_map=text)], there)
    four, ten = (images.take(images.load(name, "test", (), folder / "cache"), 80, 0) for name in (FOUR, "digits32"))
    assert row.accuracy == row.end_accuracy == pytest.approx(hits(end, four))
    assert row.penalty_end == 0 and row.agreement == 1
    assert row.front_accuracy is row.penalty is row.front_agreement is row.logits_cka_before is None
    assert row.eval_accuracy == pytest.approx(hits(end, ten, renamed)) == row.eval_end_accuracy
    assert row.eval_front_accuracy == pytest.approx(hits(front, ten)) and row.eval_penalty is None and row.eval_images == 80


def test_a_map_gives_the_classes_of_g_to_images_of_f_in_training_and_in_scores(across, folder):  # noqa: F811
    there, front, end = across
    told = {"end_network": "cccc", "front_dataset": "digits32", "end_dataset": FOUR, "dataset": "digits32"}
    renamed = [3, 1, 0, 0, 2, 2, 2, 1, 0, 3]
    text = " ".join(f"{k}>{other}" for k, other in enumerate(renamed))
    asked = [
        config(**SMALL, **EYE, **told, label_map=text),
        config(**SMALL, **{**EYE, "init": "ps_inv"}, **told, label_map=text, epochs=9),
    ]
    start, trained = JOB.run(asked, there)
    ten = images.take(images.load("digits32", "test", (), folder / "cache"), 80, 0)
    assert start.accuracy == pytest.approx(hits(end, ten, renamed)) == start.end_accuracy
    assert start.front_accuracy == pytest.approx(hits(front, ten))
    assert start.penalty is start.penalty_end is start.relative_accuracy is None
    assert trained.loss < start.loss


def test_two_networks_of_one_task_have_both_penalties(across):
    there, _, _ = across
    told = {"end_network": "aaaa", "front_dataset": "digits32", "end_dataset": "digits32"}
    ten = "0>3 1>1 2>4 3>9"
    (row,) = JOB.run([config(**SMALL, **EYE, **told, eval_dataset=FOUR, eval_label_map=ten)], there)
    assert row.penalty == 0 and row.eval_penalty is None and row.eval_front_accuracy is None
    assert row.eval_accuracy == row.eval_end_accuracy
