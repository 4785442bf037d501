"""The probe job: what its Config refuses, what it checks, and groups end to end on the digits."""

from dataclasses import replace
from pathlib import Path

import jobground
import numpy as np
import pytest
import similarity_networks
import torch
from pydantic import ValidationError
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge

from repsim import job as jobs
from repsim.data import images, splits
from repsim.errors import InputError, Interrupted
from repsim.models import checkpoint
from repsim.models.network import Facts, Network
from repsim.probing.ridge import GRID

JOB = jobs.load(Path(__file__).parents[2] / "jobs", "probe")
BASE = {"network": "aaaa", "dataset": "digits", "layer": "relu2", "train_images": 300, "validation_images": 200}
VIT = Facts("vit_tiny", 1, 10, 1, 8, 2)


def config(**fields):
    return JOB.config(**{**BASE, **fields})


class Catalog:
    """What a plan offers to a job's check: one network for every run."""

    def __init__(self, facts=jobs.NetworkFacts("mcnn", 4, 10, 1, 8), shape=(8, 4, 4), data_folders=()):
        self.facts, self.data_folders = facts, data_folders
        self.sheet = [{"name": "relu2", "kind": "ReLU", "shape": list(shape), "parameters": 100, "beside": []}]

    def network(self, run):
        return self.facts

    def network_layers(self, run):
        return self.sheet

    def kept(self, run):
        return None


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Holds the artefacts of two networks that know the digits a little, and the cache of decoded images."""
    root = tmp_path_factory.mktemp("probe")
    for run, facts in (("aaaa", similarity_networks.FACTS), ("vvvv", VIT)):
        (root / run).mkdir()
        checkpoint.save(similarity_networks.trained(root / "cache", 1, facts), root / run / "network.pt", {})
    return root


@pytest.fixture
def context(folder):
    return jobground.context_of(folder)


def rows(configs, context):
    return jobground.rows_of(JOB, configs, context)


def activations(folder, run: str, layer: str):
    """(value, labels) of training, validation and test images, by a plain hook."""
    network: Network = checkpoint.load(folder / run / "network.pt")
    three = splits.divide("digits", (), folder / "cache", "cpu", train=300, match=None, validation=200, test=None)
    kept = []
    handle = network.body.get_submodule(layer).register_forward_hook(lambda module, args, out: kept.append(out.detach()))
    found = []
    for part in (three.train, three.validation, three.test):
        assert isinstance(part, images.Images)
        with torch.no_grad():
            network(part.images.float() / 255)
        found.append((kept.pop().double(), part.labels.numpy()))
    handle.remove()
    return found


def oracle(made, rank=None):
    """(accuracy, chosen λ) of scikit-learn's ridge on pooled maps, λ chosen on the validation images."""
    (_, y), *others = made
    moved = [each.movedim(1, -1).numpy() for each, _ in made]
    if rank is not None:
        pca = PCA(rank).fit(moved[0].reshape(-1, moved[0].shape[-1]))
        moved = [pca.inverse_transform(pca.transform(each.reshape(-1, each.shape[-1]))).reshape(each.shape) for each in moved]
    x, *tested = (each.mean((1, 2)) for each in moved)
    power = ((x - x.mean(0)) ** 2).sum() / x.shape[1]
    fits = [Ridge(lam * power, solver="svd").fit(x, np.eye(10)[y]) for lam in GRID]
    outputs = [[fit.predict(each) for fit in fits] for each in tested]
    right = [(each.argmax(1) == others[0][1]).mean() for each in outputs[0]]
    errors = [((each - np.eye(10)[others[0][1]]) ** 2).sum(1).mean() for each in outputs[0]]
    best = max(range(len(GRID)), key=lambda k: (round(right[k], 9), -errors[k]))
    return (outputs[1][best].argmax(1) == others[1][1]).mean(), GRID[best]


@pytest.mark.parametrize("rank", [None, 1, 3, 8])
def test_a_ridge_probe_is_what_scikit_learn_finds_on_the_same_images(rank, folder, context):
    (row,) = rows([config(rank=rank)], context)
    accuracy, lam = oracle(activations(folder, "aaaa", "relu2"), rank)
    assert (row.used_ridge, row.used_view, row.row_values) == (lam, "pool", 8)
    assert row.accuracy == pytest.approx(accuracy, abs=1e-9) and row.test_images == 500
    assert (row.train_images, row.validation_images, row.loss, row.ece) == (300, 200, None, None)


def test_layers_ranks_and_fits_of_one_group_are_as_they_are_alone(context):
    asked = [{}, {"rank": 2}, {"layer": "relu1"}, {"layer": "logits"}, {"view": "flatten", "ridge": 0.1}, {"ridge": 1.0, "rank": 2}]
    asked += [{"fit": "sgd", "epochs": 2}, {"fit": "sgd", "epochs": 1, "rank": 2}, {"fit": "sgd", "epochs": 2, "probe_seed": 3}]
    configs = [config(**fields) for fields in asked]
    together = rows(configs, context)
    for one, row in zip(configs, together, strict=True):
        (alone,) = rows([one], context)
        mine, theirs = (each.model_dump(exclude={"seconds"}) for each in (row, alone))
        rounded = {name for name, value in mine.items() if isinstance(value, float)}
        assert {name: mine[name] for name in mine.keys() - rounded} == {name: theirs[name] for name in theirs.keys() - rounded}
        assert {name: mine[name] for name in rounded} == pytest.approx({name: theirs[name] for name in rounded}, rel=1e-3)
    assert len({row.network_accuracy for row in together}) == 1


def test_more_rank_explains_and_reads_more_and_shuffled_labels_give_chance(context):
    found = rows([config(rank=rank, train_images=1000) for rank in (1, 2, 4, 8)], context)
    shares, accuracies = [row.explained for row in found], [row.accuracy for row in found]
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1)
    assert accuracies[-1] > accuracies[1] > accuracies[0] > found[0].majority_accuracy
    assert all(row.null_accuracy < 0.25 for row in found) and found[0].majority_accuracy == pytest.approx(0.1, abs=0.03)


def test_a_trained_probe_reads_as_much_as_the_closed_form_and_says_its_losses(context):
    long = {"fit": "sgd", "epochs": 60, "lr": 0.3, "schedule": "cosine"}
    sgd, closed = rows([config(train_images=1000, batch_size=64, **long)], context) + rows([config(train_images=1000)], context)
    assert sgd.accuracy > closed.accuracy - 0.05 and closed.accuracy > 0.6
    assert 0 < sgd.train_loss < 2.3 and 0 < sgd.loss < 2.3 and 0 < sgd.ece < 0.3 and sgd.null_accuracy < 0.25
    assert sgd.used_ridge is None and sgd.validation_accuracy == pytest.approx(sgd.accuracy, abs=0.1)


def test_the_logits_are_a_layer_from_which_a_probe_reads_what_the_network_says(context):
    (row,) = rows([config(layer="logits", train_images=1000)], context)
    assert row.accuracy > row.network_accuracy - 0.08 and row.used_view == "flatten" and row.row_values == 10


def test_a_transformer_is_read_at_its_class_token(folder, context):
    block = {"network": "vvvv", "layer": "blocks.0"}
    asked = [{}, {"view": "class"}, {"view": "mean"}, {"view": "pool"}, {"view": "flatten", "ridge": 1.0}, {"rank": 2}]
    found = rows([config(**block, **fields) for fields in asked], context)
    assert [row.used_view for row in found] == ["class", "class", "mean", "pool", "flatten", "class"]
    assert found[0].accuracy == found[1].accuracy and len({row.row_values for row in found[:4]}) == 1
    made = activations(folder, "vvvv", "blocks.0")
    tokens = [(value[:, :1].mT[..., None], y) for value, y in made]
    assert found[0].accuracy == pytest.approx(oracle(tokens)[0], abs=1e-9)


def test_a_dry_run_takes_few_steps_and_one_that_is_told_to_stop_leaves(context):
    ticks = []
    short = replace(context, steps=2, report=lambda fraction, text: ticks.append(text))
    assert len(rows([config(), config(fit="sgd", epochs=3)], short)) == 2
    assert {"matching", "training", "validating", "testing"} <= set(ticks) and len(ticks) <= 2 * (3 + 4)
    with pytest.raises(Interrupted):
        rows([config()], replace(context, should_stop=lambda: True))


def test_layers_ranks_and_fits_are_one_group_and_other_images_another():
    key = JOB.group_key(config())
    for fields in ({"layer": "bn1"}, {"rank": 2}, {"fit": "sgd", "lr": 0.1}, {"view": "flatten"}, {"seed": 3}):
        assert JOB.group_key(config(**fields)) == key
    for fields in ({"network": "bbbb"}, {"train_images": 9}, {"test_images": 9}, {"fit": "sgd", "batch_size": 7}, {"epoch": 3}):
        assert JOB.group_key(config(**fields)) != key
    assert JOB.inputs(config()) == ["aaaa"]


def test_a_group_is_reckoned_as_a_whole():
    work = JOB.hook("group_work")
    one, many = (work([config(rank=rank) for rank in ranks], Catalog(), "cpu") for ranks in ([1], range(1, 9)))
    assert one < many < 2 * one
    assert work([config(fit="sgd", epochs=5000)], Catalog(), "cpu") > 2 * one


@pytest.mark.parametrize(
    "fields, named",
    [
        ({"epochs": 3}, "epochs: a probe fitted by ridge has none"),
        ({"weight_decay": 0.1}, "weight_decay"),
        ({"fit": "sgd", "ridge": 0.1}, "ridge: a probe fitted by sgd has none"),
        ({"fit": "sgd", "momentum": 0.9}, "momentum: only the optimizer sgd has it"),
        ({"validation_images": 0}, "ridge: λ is chosen on validation images"),
        ({"ridge": 0.0}, "ridge"),
        ({"rank": 0}, "rank"),
        ({"fit": "svm"}, "fit"),
        ({"view": "channel"}, "view"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_the_name_of_its_field(fields, named):
    with pytest.raises(ValidationError, match=named):
        config(**fields)


@pytest.mark.parametrize(
    "fields, catalog, message",
    [
        ({"dataset": "digit"}, Catalog(), "did you mean 'digits'"),
        ({"layer": "relu3"}, Catalog(), "did you mean 'relu2'"),
        ({"rank": 9}, Catalog(), "9 principal components are wanted of a layer of shape"),
        ({"view": "class"}, Catalog(), "has no tokens"),
        ({"view": "flatten"}, Catalog(shape=(64, 16, 16)), "rows of 16,384 values, more than 8,192"),
        ({"train_images": 1200}, Catalog(), "1200 training and 200 validation images are wanted"),
        ({"test_images": 501}, Catalog(), "501 of 500 test images"),
        ({"dataset": "digits32"}, Catalog(), "does not fit a network made for"),
    ],
)
def test_what_cannot_run_is_found_before_it_is_sent(fields, catalog, message):
    with pytest.raises(InputError, match=message):
        JOB.hook("check")(config(**fields), catalog)


def test_every_field_and_every_column_is_explained():
    for model in (JOB.config, JOB.row):
        assert all(field.description for field in model.model_fields.values()), model
    assert JOB.config.labels == {"arch", "made", "seed"}
