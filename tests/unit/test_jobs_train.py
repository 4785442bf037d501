"""The jobs that leave a network behind: trained here, or brought in from elsewhere."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from repsim import job
from repsim.data import batches, images
from repsim.errors import InputError, Interrupted, SpecError, UserError
from repsim.models import checkpoint, training, zoo
from repsim.models.layers import describe

JOBS = Path(__file__).parents[2] / "jobs"
TRAIN = job.load(JOBS, "train")
IMPORT = job.load(JOBS, "import_network")
MCNN = {"arch": "mcnn", "width": 4, "dataset": "digits", "recipe": "quick"}


@dataclass
class Catalog:
    """What a plan offers to a job's check."""

    data_folders: tuple[Path, ...] = ()

    def layers(self, facts):
        return describe(facts)


def digest_of(config):
    return hashlib.sha256(json.dumps(config.model_dump()).encode()).hexdigest()[:12]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def context(cache, artefacts, **more):
    return job.Context("cpu", (), cache, artefacts, digest_of, **more)


def train(cache, artefacts, more=None, **config):
    config = TRAIN.config(**{**MCNN, "epochs": 1, "train_images": 256, **config})
    (row,) = TRAIN.run([config], context(cache, artefacts, **(more or {})))
    return row


def stored(artefacts, row):
    return checkpoint.load(artefacts / row.run_id / "network.pt")


def same(one, two):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))


def test_the_quick_recipe_recognises_held_out_digits(cache, tmp_path):
    row = train(cache, tmp_path, width=8, epochs=None, train_images=None, seed=1)
    assert row.outcome == "ok" and row.accuracy > 0.97 and row.train_accuracy > 0.98
    assert (row.test_images, row.train_images, row.epochs) == (500, 1297, 12)


def test_the_stored_network_is_the_one_that_was_scored(cache, tmp_path):
    row = train(cache, tmp_path)
    network = stored(tmp_path, row)
    score = training.evaluate(network, batches.ordered(images.load("digits", "test", (), cache), 77))
    assert (score.accuracy, score.n) == (row.accuracy, row.test_images)
    assert score.loss == pytest.approx(row.loss, rel=1e-5)
    assert row.parameters == sum(p.numel() for p in network.parameters())
    assert network.facts.arch == "mcnn" and network.facts.width == 4 and network.mean.flatten().tolist() == pytest.approx([0.3056])


def test_equal_seeds_give_equal_networks_and_each_seed_matters(cache, tmp_path):
    networks = {}
    for name, seeds in {"a": (1, None), "b": (1, 1), "weights": (2, 1), "order": (1, 2)}.items():
        row = train(cache, tmp_path / name, seed=seeds[0], data_seed=seeds[1])
        networks[name] = stored(tmp_path / name, row)
    assert same(networks["a"], networks["b"])
    assert not same(networks["a"], networks["weights"]) and not same(networks["a"], networks["order"])


def test_a_dry_run_takes_few_steps_but_leaves_all_that_a_run_leaves(cache, tmp_path):
    ticks = []
    row = train(cache, tmp_path, {"steps": 2, "report": lambda f, t: ticks.append(t)}, epochs=None, train_images=None)
    assert [text.split(",")[0] for text in ticks] == ["epoch 1 of 12"] * 2 + ["scoring"] * 4  # test images twice, training images
    assert row.epochs == 1 and stored(tmp_path, row)


def test_a_training_that_is_told_to_stop_leaves_no_network(cache, tmp_path):
    with pytest.raises(Interrupted):
        train(cache, tmp_path, {"should_stop": lambda: True})
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["resume.pt"]


def test_a_diverged_network_leaves_a_row_and_no_artefact(cache, tmp_path, monkeypatch):
    original = zoo.build

    def broken(*args):
        network = original(*args)
        torch.nn.init.constant_(network.body.fc.bias, torch.nan)
        return network

    monkeypatch.setattr(zoo, "build", broken)
    row = train(cache, tmp_path)
    assert (row.outcome, row.loss, row.train_loss) == ("diverged", None, None)
    assert 0 <= row.accuracy < 0.3
    assert not list(tmp_path.rglob("network.pt"))


def test_every_field_and_every_column_is_explained():
    for loaded in (TRAIN, IMPORT):
        for model in (loaded.config, loaded.row):
            assert all(field.description for field in model.model_fields.values()), model


@pytest.mark.parametrize(
    "field", [{"seed": -1}, {"epochs": 0}, {"lr": 0.0}, {"batch_size": 0}, {"width": 0}, {"arch": "../x"}, {"seeds": 1}]
)
def test_values_that_cannot_be_meant_are_refused(field):
    with pytest.raises(ValidationError):
        TRAIN.config(**{**MCNN, **field})


def test_each_training_is_a_group_of_its_own():
    one, two = TRAIN.config(**MCNN), TRAIN.config(**MCNN, seed=1)
    assert TRAIN.inputs(one) == []
    assert hash(TRAIN.group_key(one)) == hash(TRAIN.group_key(TRAIN.config(**MCNN)))
    assert TRAIN.group_key(one) != TRAIN.group_key(two)


def test_the_network_of_a_config_has_the_data_sets_classes_and_size():
    facts = TRAIN.hook("network")(TRAIN.config(arch="resnet20", dataset="cifar10"))
    assert facts == job.NetworkFacts("resnet20", None, 10, 3, 32)


@pytest.mark.parametrize(
    ("field", "kind", "message"),
    [
        ({"recipe": "quik"}, InputError, "did you mean 'quick'"),
        ({"dataset": "digit"}, InputError, "did you mean 'digits'"),
        ({"dataset": "cifar10"}, InputError, "was not found"),
        ({"arch": "mcn"}, UserError, "mcnn"),
        ({"train_images": 1298}, SpecError, "'digits' has 1297"),
    ],
)
def test_a_config_that_cannot_run_is_found_before_it_is_sent(tmp_path, field, kind, message):
    with pytest.raises(kind, match=message):
        TRAIN.hook("check")(TRAIN.config(**{**MCNN, **field}), Catalog((tmp_path,)))


def test_a_config_that_can_run_passes_the_check():
    TRAIN.hook("check")(TRAIN.config(**MCNN), Catalog())


def foreign(artefacts, network):
    """Stage the plain state dict of `network` as the command line does; the config that imports it."""
    file = artefacts / "raw.pt"
    torch.save(network.body.state_dict(), file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    (artefacts / "imports").mkdir()
    file.rename(artefacts / "imports" / f"{digest}.pt")
    return IMPORT.config(arch="mcnn", width=4, dataset="digits", name="elsewhere", seed=3, digest=digest)


def test_an_imported_network_keeps_its_weights_and_its_accuracy(cache, tmp_path):
    row = train(cache, tmp_path, epochs=4)
    trained = stored(tmp_path, row)
    config = foreign(tmp_path, trained)
    IMPORT.hook("check")(config, Catalog())
    (brought,) = IMPORT.run([config], context(cache, tmp_path))
    assert brought.run_id != row.run_id and row.accuracy > 0.5
    assert (brought.accuracy, brought.loss, brought.test_images) == (row.accuracy, row.loss, 500)
    assert brought.parameters == row.parameters and same(stored(tmp_path, brought), trained)


def test_a_file_other_than_the_one_named_is_refused(cache, tmp_path):
    config = foreign(tmp_path, zoo.build(TRAIN.hook("network")(TRAIN.config(**MCNN))))
    file = tmp_path / "imports" / f"{config.digest}.pt"
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(InputError, match="SHA-256 differs"):
        list(IMPORT.run([config], context(cache, tmp_path)))
    file.unlink()
    with pytest.raises(InputError, match="is not there"):
        list(IMPORT.run([config], context(cache, tmp_path)))


def test_weights_of_another_width_are_refused(cache, tmp_path):
    config = foreign(tmp_path, zoo.build(TRAIN.hook("network")(TRAIN.config(**{**MCNN, "width": 5}))))
    with pytest.raises(InputError, match="conv1"):
        list(IMPORT.run([config], context(cache, tmp_path)))
    assert not list(tmp_path.rglob("network.pt"))
